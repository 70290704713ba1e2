#!/bin/sh
# Dependency hook of a load balancer: makes nginx's pool of servers what the allocation says.
#
# Called by mapek with the old and the new allocation, each as JSON in the shape of
# GET /api/allocation. The pool is every VM that holds a container of a tier in
# MAPEK_DEPENDENCIES, at UPSTREAM_PORT, weighted by that container's cores. With no server
# left, clients get a 503. The site is tested before nginx loads it, and nginx has taken it up
# when the hook ends; when it can't, the site that worked is put back and the hook fails.
#
#   MAPEK_DEPENDENCIES   tiers to send requests to, such as "rubis_app_server", from mapek
#   UPSTREAM_PORT        the port that they publish on their VM's address (set it in the
#                        environment of the balancer's tier), default 80
#   LISTEN_PORT          where this nginx listens, default 80
#   NGINX_SITE           default /etc/nginx/conf.d/default.conf
#   NGINX_PID            default /run/nginx.pid
#
# Needs a POSIX sh, awk and cmp: busybox has them, and so have Debian's and Alpine's images.
set -eu

site=${NGINX_SITE:-/etc/nginx/conf.d/default.conf}
pid_file=${NGINX_PID:-/run/nginx.pid}

fail() {
    echo "reload_server_pool: $*" >&2
    exit 1
}

[ $# -eq 2 ] || fail "needs two arguments, the old and the new allocation, and got $#"
[ -n "${MAPEK_DEPENDENCIES:-}" ] || fail "MAPEK_DEPENDENCIES is empty: this tier depends on no other"

# servers ALLOCATION: a line "ip weight" for each server.
#
# Reads any JSON of that shape, whatever its order and white space, and whatever else is in it.
servers() {
    printf '%s' "$1" | awk -v wanted="$MAPEK_DEPENDENCIES" '
        BEGIN { RS = "\001"; n = split(wanted, names, " "); for (i = 1; i <= n; i++) want[names[i]] = 1 }
        { text = text $0 }
        function bad(why) { print "reload_server_pool: the allocation is not what was expected: " why > "/dev/stderr"; broken = 1; exit 1 }
        function gcd(a, b, t) { while (b) { t = a % b; a = b; b = t } return a }

        # A value at path key[1] / … / key[depth] has been read.
        function take(value) {
            if (depth == 2 && key[2] == "ip") ip[key[1]] = value
            if (depth == 4 && key[2] == "used" && key[4] == "cpu_cores" && (key[3] in want)) cores[key[1]] += value
        }
        function word_ends() {
            if (word == "") return
            take(word)
            word = ""
        }
        function structure(part, length_, i, c) {
            length_ = length(part)
            for (i = 1; i <= length_; i++) {
                c = substr(part, i, 1)
                if (c ~ /[ \t\r\n]/) { word_ends(); continue }
                if (c == "{" || c == "[") { depth++; kind[depth] = c; key[depth] = ""; naming = (c == "{"); continue }
                if (c == "}" || c == "]") {
                    word_ends()
                    if (depth == 0 || kind[depth] != (c == "}" ? "{" : "[")) bad("a bracket too many")
                    depth--
                    naming = 0
                    continue
                }
                if (c == ",") { word_ends(); naming = (kind[depth] == "{"); continue }
                if (c == ":") { naming = 0; continue }
                word = word c
            }
        }
        function string(value) {
            if (naming) {
                key[depth] = value
                if (depth == 1) order[++vms] = value
                if (depth == 3 && key[2] == "used" && (value in want)) holds[key[1]] = 1
            } else take(value)
        }
        END {
            if (broken) exit 1
            # Between the quotes, structure and strings take turns.
            n = split(text, part, "\"")
            for (i = 1; i <= n; i++) {
                structure(part[i])
                if (++i > n) break
                # A quote after an odd number of backslashes is part of its string. Strings
                # stay as they are written: names and addresses hold nothing to unescape.
                value = part[i]
                while (match(value, /\\+$/) && RLENGTH % 2 == 1 && i < n) value = value "\"" part[++i]
                if (i == n) bad("a string without an end")
                string(value)
            }
            if (depth != 0) bad("a bracket is missing")
            for (i = 1; i <= vms; i++) {
                vm = order[i]
                if (!(vm in holds)) continue
                # It goes into a configuration file: nothing but an address may.
                if (ip[vm] !~ /^[0-9A-Fa-f.:]+$/) bad("VM " vm " has the address \"" ip[vm] "\"")
                weight[vm] = int(cores[vm] * 100 + 0.5)
                if (weight[vm] < 1) weight[vm] = 1
                divisor = gcd(weight[vm], divisor)
            }
            for (i = 1; i <= vms; i++) if (order[i] in holds)
                print (ip[order[i]] ~ /:/ ? "[" ip[order[i]] "]" : ip[order[i]]), weight[order[i]] / divisor
        }
    '
}

# site_for SERVERS: nginx's configuration for these servers.
site_for() {
    listen=${LISTEN_PORT:-80}
    echo "# Written by reload_server_pool.sh; the next change of the pool replaces it."
    if [ -z "$1" ]; then
        cat <<-SITE
	server {
	    listen $listen default_server;
	    location / {
	        add_header Retry-After 1 always;
	        return 503 "no server in the pool\n";
	    }
	}
	SITE
        return
    fi
    echo "upstream mapek_pool {"
    echo "$1" | while read -r address weight; do
        echo "    server $address:${UPSTREAM_PORT:-80} weight=$weight max_fails=1 fail_timeout=2s;"
    done
    # A server that is on its way out refuses the connection: the request goes to the next.
    cat <<-SITE
	}
	server {
	    listen $listen default_server;
	    location / {
	        proxy_pass http://mapek_pool;
	        proxy_set_header Host \$host;
	        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
	        proxy_connect_timeout 2s;
	        proxy_next_upstream error timeout;
	    }
	}
	SITE
}

# workers: the process ids of nginx's workers.
workers() {
    for stat in /proc/[0-9]*/stat; do
        # Fields: pid (comm) state ppid …; a process that ends meanwhile is no worker.
        { read -r pid _ _ parent _ <"$stat"; } 2>/dev/null || continue
        [ "$parent" != "$master" ] || echo "$pid"
    done
}

# taken_up OLD: whether new workers run, and none of the old ones takes connections any more.
taken_up() {
    new_ones=
    for pid in $(workers); do
        case $1 in
            *" $pid "*) grep -q 'shutting down' "/proc/$pid/cmdline" 2>/dev/null || [ ! -d "/proc/$pid" ] || return 1 ;;
            *) new_ones=yes ;;
        esac
    done
    [ -n "$new_ones" ]
}

# reload: has nginx load its configuration, and waits until it runs with it.
reload() {
    before=" $(workers | tr '\n' ' ')"
    kill -HUP "$master" || return 1
    tries=0
    until taken_up "$before"; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ]; then
            echo "reload_server_pool: nginx does not take up its new configuration" >&2
            return 1
        fi
        sleep 0.1
    done
}

# The other hooks of this container change the same nginx: one at a time. The lock names its
# holder, so that one left by a hook that was killed holds nobody up.
lock=/tmp/mapek-nginx-hooks.lock
until ln -s $$ "$lock" 2>/dev/null; do
    holder=$(readlink "$lock" || true)
    [ -z "$holder" ] || grep -q _hooks/ "/proc/$holder/cmdline" 2>/dev/null || rm -f "$lock"
    sleep 0.1
done
trap 'rm -f "$lock"' EXIT

# The hook runs as soon as the container does; nginx may still be starting.
tries=0
until [ -s "$pid_file" ]; do
    tries=$((tries + 1))
    [ $tries -le 100 ] || fail "nginx does not run: no $pid_file"
    sleep 0.1
done
master=$(cat "$pid_file")

pool=$(servers "$2") || exit 1
kept=$(mktemp)
new=$(mktemp)
trap 'rm -f "$kept" "$new" "$lock"' EXIT
site_for "$pool" >"$new"
if cmp -s "$new" "$site"; then
    echo "the pool is unchanged"
    exit 0
fi
cat "$site" >"$kept" 2>/dev/null || : >"$kept"
cat "$new" >"$site"
if ! nginx -t -q || ! reload; then
    cat "$kept" >"$site"
    fail "the pool is left as it was"
fi
if [ -n "$pool" ]; then
    echo "the pool is now: $(echo "$pool" | tr '\n' ',' | sed 's/,$//; s/,/, /g; s/ \([0-9][0-9]*\)/ (weight \1)/g')"
else
    echo "the pool is now empty: clients get a 503"
fi
