# Makes the kernel's control groups usable for a Docker engine where no init system did.
# shellcheck shell=bash

# Whether a controller is mounted (v1), or on in the unified tree (v2).
cgroup_has() {
    grep -Eq "^[^ ]+ [^ ]+ cgroup ([^ ]*,)?$1[, ]" /proc/self/mounts ||
        grep -qw "$1" /sys/fs/cgroup/cgroup.controllers 2>/dev/null
}

cgroup_ready() {
    if cgroup_has memory && cgroup_has cpuset; then
        cgroup_delegate
        return 0
    fi
    say "mounting the control groups"
    mkdir -p /sys/fs/cgroup
    # One unified tree where the kernel offers its controllers there, else one tree each.
    if mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null; then
        if cgroup_has memory && cgroup_has cpuset; then
            cgroup_delegate
            return 0
        fi
        umount /sys/fs/cgroup
    fi
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    local name on
    while read -r name _ _ on; do
        [ "$on" = 1 ] || continue
        mkdir -p "/sys/fs/cgroup/$name"
        mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" || warn "no cgroup controller $name"
    done < <(grep -v '^#' /proc/cgroups)
}

# In a v2 tree, a group that holds processes can't hand controllers down. The kernel's root
# group is exempt (it has no cgroup.type), but in a container "/" is an ordinary group: its
# processes have to move into a group beside the engine's.
cgroup_delegate() {
    local top=/sys/fs/cgroup
    [ -f $top/cgroup.type ] && [ -f $top/cgroup.controllers ] || return 0
    grep -qw memory $top/cgroup.subtree_control && return 0
    mkdir -p $top/mapek-init
    local pid controller
    while read -r pid; do
        echo "$pid" 2>/dev/null >$top/mapek-init/cgroup.procs || true
    done <$top/cgroup.procs
    local controllers
    read -ra controllers <$top/cgroup.controllers
    for controller in "${controllers[@]}"; do
        echo "+$controller" >$top/cgroup.subtree_control || warn "no cgroup controller $controller"
    done
}
