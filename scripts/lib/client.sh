# Talking to the service, and showing what it and Docker say. Needs LISTEN.
# shellcheck shell=bash

# This file in a data folder means that `make run` made the folder, and it may be removed.
# shellcheck disable=SC2034 # used by the scripts that source this
MARK=.made-by-make-run
ANSWER=$(mktemp)

# api METHOD PATH [FILE]: puts the answer's body into $ANSWER; an error ends the script with
# the service's message.
api() {
    local code
    code=$(curl --silent --show-error --request "$1" ${3:+--data-binary "@$3"} \
        --output "$ANSWER" --write-out '%{http_code}' "http://$LISTEN$2") || die "no answer to $1 $2"
    case $code in
        2*) return 0 ;;
    esac
    jq . <"$ANSWER" >&2 2>/dev/null || cat "$ANSWER" >&2
    die "$1 $2 was answered with $code"
}

# wait_until_healthy PID: until the service answers, for as long as its process lives: how long that takes depends
# on the machine.
wait_until_healthy() {
    until curl --silent --fail --output /dev/null "http://$LISTEN/healthz"; do
        kill -0 "$1" 2>/dev/null || die "mapek ended before it answered"
        sleep 0.1
    done
}

# show_actions: the stages in the answer to a translate.
show_actions() {
    jq -r 'if .actions == [] then "    nothing to do: what runs is what the plan asks for"
        else .actions | to_entries[] | (.key + 1) as $stage | .value[] | "    stage \($stage): \(.)" end' <"$ANSWER"
}

# show_allocation: the answer to GET /api/allocation, as JSON with a line for each container.
show_allocation() {
    jq -r 'del(.time) | to_entries[] |
        "    \(.key | tojson): \(.value | del(.used) | tojson[:-1]), \"used\": {",
        (.value.used | to_entries | (map("        \(.key | tojson): \(.value | tojson)") | join(",\n"))),
        "    }}"' <"$ANSWER"
}

# ask_the_sample: asks the sample's load balancer through its published port, and shows the answer. Ends
# the script unless that is what the sample's application server says.
ask_the_sample() {
    local port host url server expected said=nothing _
    port=$(jq -r '.apps[] | select(.name == "rubis").tiers.loadbalancer.ports[0] | split(":")[0]' <"$REPO/topology.json")
    # Ports are published on the machine of the engine.
    host=$(printf '%s\n' "${DOCKER_HOST:-}" | sed -nE 's,^(tcp|https?|ssh)://([^@/]*@)?(\[[^]]*\]|[^:/]+).*,\3,p')
    url=http://${host:-127.0.0.1}:$port/
    server=$(docker inspect --format '{{.Config.Hostname}}' rubis_app_server)
    expected="app server $server"
    say "GET $url  (the sample's load balancer)"
    # The balancer may still be reloading the pool that its hook has just written.
    for _ in $(seq 100); do
        said=$(curl --silent --show-error --noproxy '*' --max-time 30 "$url" 2>&1 || true)
        if [ "$said" = "$expected" ]; then
            echo "    $said"
            return 0
        fi
        sleep 0.25
    done
    printf '%s\n' "$said" | sed 's/^/    /'
    warn "docker logs rubis_loadbalancer, docker logs rubis_app_server and GET http://$LISTEN/api/executions tell more"
    die "the sample's load balancer at $url does not pass on what its app says, which is \"$expected\""
}

# show_containers: a table of mapek's containers with the limits that Docker holds them to.
show_containers() {
    local ids
    ids=$(docker ps --quiet --filter label=mapek.managed=true)
    [ -n "$ids" ] || {
        echo "    nothing"
        return 0
    }
    # shellcheck disable=SC2086 # one word for each container
    docker inspect $ids | jq -r '
        ["NAME", "IMAGE", "STATUS", "CPUSET", "CPUS", "MEMORY", "PORTS"],
        (sort_by(.Name)[] | [
            .Name[1:], .Config.Image, .State.Status + (if .State.Health then " (" + .State.Health.Status + ")" else "" end),
            (.HostConfig.CpusetCpus | if . == "" then "-" else . end),
            (.HostConfig.NanoCpus / 1e9 | if . == 0 then "-" else tostring end),
            "\(.HostConfig.Memory / 1048576) MiB",
            ([.HostConfig.PortBindings // {} | to_entries[] | "\(.value[0].HostPort)->\(.key)"] | join(" ") | if . == "" then "-" else . end)
        ]) | @tsv' | awk -F '\t' '{
            for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) }
        } END {
            for (row = 1; row <= NR; row++) {
                line = "   "
                for (i = 1; i <= NF; i++) line = line sprintf(" %-*s ", width[i], cell[row, i])
                sub(/ +$/, "", line); print line
            }
        }'
}
