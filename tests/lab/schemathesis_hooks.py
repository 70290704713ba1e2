"""Points made-up requests at the lab, whose engine is the only one there.

Where a request is valid, what it names of the world outside (machines, images, repositories,
commands to run) is replaced by what the lab has: that none of a random name can be had is right,
and is tested elsewhere. What was made invalid on purpose is left alone.
"""

import copy

import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

IMAGE = "mapek/busybox:1"


def is_valid(case):
    parts = case.meta.components if case.meta else {}
    body = parts.get(ParameterLocation.BODY)
    return body is None or body.mode == GenerationMode.POSITIVE


def in_the_lab(topology):
    """The topology with the lab's one engine and image."""
    if not isinstance(topology, dict):
        return
    infrastructure = topology.get("infrastructure")
    if isinstance(infrastructure, dict):
        for field in ("cloud_driver", "hooks_git_repo", "hooks_ref", "docker", "self_heal", "min_vms"):
            infrastructure.pop(field, None)
        # More than the machine has is refused, and then nothing else is tried.
        for field, most in (("cpu_cores", 2), ("mem_units", 4), ("mem_unit_mb", 64)):
            if isinstance(infrastructure.get(field), (int, float)):
                infrastructure[field] = min(infrastructure[field], most)
    for app in topology.get("apps") or []:
        for tier in (app.get("tiers") or {}).values() if isinstance(app, dict) else []:
            if not isinstance(tier, dict):
                continue
            tier["docker_image"] = IMAGE
            tier["entrypoint_params"] = "sleep 1000"
            tier["stop_grace_s"] = 0
            for field in ("command", "user", "volumes", "ports", "port_bindings", "healthcheck", "run_parameters",
                          "on_node_scale", "on_dependency_scale", "environment", "labels",
                          "requires", "prefers", "spread"):
                tier.pop(field, None)


@schemathesis.hook
def before_call(context, case, kwargs):
    if not isinstance(case.body, dict) or not is_valid(case):
        return
    case.body = copy.deepcopy(case.body)
    if case.path == "/api/topology":
        in_the_lab(case.body)
    if case.path == "/api/solve":
        # As long as it likes is as long as the one who waits for it likes.
        case.body["deadline_ms"] = 50
        case.body.pop("exact", None)
