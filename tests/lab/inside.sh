#!/bin/sh
# The first process of a lab test's sandbox: makes its mounts, then runs the command given.
# Called by sandbox.rs behind `unshare`, in network, mount, process and IPC namespaces of its own.
set -eu
exec 2>&1

# From here on no mount made here is seen outside.
mount --make-rprivate /

# An empty /run hides the machine's own Docker socket, network namespaces and lock files. All
# that the lab's daemons keep is in it, and goes with it.
mount -t tmpfs -o mode=755 lab /run
[ "$(readlink -f /var/run)" = /run ] || mount --bind /run /var/run
# Docker keeps a key there, and the machine's own settings are none of the lab's.
mkdir -p /etc/docker
mount -t tmpfs lab /etc/docker
mkdir -p /run/lab/home /run/netns /run/lock

ip link set lo up

# The reaper waits for the orphans that containerd's shims are; when the test ends, it ends, and
# the kernel removes everything in the sandbox.
exec tini -g -- "$@"
