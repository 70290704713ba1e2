#!/bin/sh
# Scale hook: fits nginx to the cores that its container has now.
#
# Sets worker_processes to 2 · cores + 1, rounded up where cores are decimal, and reloads
# nginx. Does nothing when the number is right already. A configuration that nginx refuses
# is not put in place.
#
#   MAPEK_CPU_CORES   the container's cores, from mapek
#   NGINX_CONF        default /etc/nginx/nginx.conf
#   NGINX_PID         default /run/nginx.pid
set -eu

conf=${NGINX_CONF:-/etc/nginx/nginx.conf}
pid_file=${NGINX_PID:-/run/nginx.pid}

fail() {
    echo "set_nginx_workers: $*" >&2
    exit 1
}

# The other hooks of this container change the same nginx: one at a time. The lock names its
# holder, so that one left by a hook that was killed holds nobody up.
lock=/tmp/mapek-nginx-hooks.lock
until ln -s $$ "$lock" 2>/dev/null; do
    holder=$(readlink "$lock" || true)
    [ -z "$holder" ] || grep -q _hooks/ "/proc/$holder/cmdline" 2>/dev/null || rm -f "$lock"
    sleep 0.1
done
new=$conf.mapek-new
trap 'rm -f "$new" "$lock"' EXIT

workers=$(awk -v cores="${MAPEK_CPU_CORES:-}" 'BEGIN {
    if (cores !~ /^[0-9]+(\.[0-9]+)?$/ || cores + 0 == 0) exit 1
    # The tiny subtraction keeps 2 * 1.5 at 3, whatever the binary fraction.
    exact = 2 * cores + 1 - 0.000001
    rounded = int(exact)
    if (rounded < exact) rounded++
    print rounded
}') || fail "MAPEK_CPU_CORES is '${MAPEK_CPU_CORES:-}', not a number of cores"

# The hook runs as soon as the container does; nginx may still be starting.
tries=0
until [ -s "$pid_file" ]; do
    tries=$((tries + 1))
    [ $tries -le 100 ] || fail "nginx does not run: no $pid_file"
    sleep 0.1
done

# In nginx's own folder, or its relative includes would not be found.
awk -v workers="$workers" '
    /^[ \t]*worker_processes[ \t]/ && !done { print "worker_processes " workers ";"; done = 1; next }
    { line[++n] = $0; print }
    END { exit done ? 0 : 3 }
' "$conf" >"$new" || {
    # nginx.conf has no such line, so nginx runs the one worker of its default: say it first.
    { echo "worker_processes $workers;" && cat "$conf"; } >"$new"
}

if cmp -s "$new" "$conf"; then
    echo "nginx has $workers workers already"
    exit 0
fi
nginx -t -q -c "$new" || fail "nginx refuses the configuration with $workers workers; it is unchanged"
# Written into the file, not moved over it: the file may be a mount of its own.
cat "$new" >"$conf"
kill -HUP "$(cat "$pid_file")"
echo "nginx: $workers workers for $MAPEK_CPU_CORES cores"
