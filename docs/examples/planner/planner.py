#!/usr/bin/env python3
"""A planner for one tier: Monitor, Analyze, Plan; the Execute is mapek's.

    planner.py --tier shop_web --port 8081

Every few seconds it asks each container of the tier how many requests it has had, decides how many
cores that load is worth, and has mapek carry out the plan. Python's standard library is all it needs.
"""

import argparse
import json
import math
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid


class Refused(Exception):
    """mapek answered with an error."""

    def __init__(self, status, answer):
        super().__init__(answer.get("error", f"status {status}"))
        self.status = status
        self.code = answer.get("code")


class Mapek:
    """The few calls of mapek's API that a planner needs."""

    def __init__(self, server, token):
        self.server = server.rstrip("/")
        self.token = token

    def call(self, method, path, body=None, headers=()):
        request = urllib.request.Request(self.server + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for name, value in headers:
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            try:
                answer = json.load(error)
            except ValueError:
                answer = {}
            raise Refused(error.code, answer) from None

    def allocation(self):
        answer = self.call("GET", "/api/allocation")
        return {name: vm for name, vm in answer.items() if isinstance(vm, dict)}

    def carry_out(self, plan):
        """Has a plan carried out, exactly as translate showed it, and waits for the end."""
        shown = self.call("PUT", "/api/translate", plan)
        for interrupt in shown["interrupts"]:
            say(f"this will interrupt {interrupt['tier']}: {interrupt['reason']}")
        # The seal, if the service gives one: if anything changes in between, the answer is 409.
        seal = f"?plan_id={shown['plan_id']}" if "plan_id" in shown else ""
        # With a key, a request that is sent again is carried out once.
        return self.call("PUT", "/api/execute" + seal, plan, [("Idempotency-Key", str(uuid.uuid4()))])


class Monitor:
    """How many requests a second the tier gets, from nginx's status page in each container."""

    def __init__(self, tier, port, path):
        self.tier, self.port, self.path = tier, port, path
        self.before = {}

    def look(self, allocation):
        """Requests a second since the last look; None the first time."""
        now, seen, rate, known = time.monotonic(), {}, 0.0, False
        for name, vm in allocation.items():
            if self.tier not in vm["used"]:
                continue
            try:
                seen[name] = (now, self.requests(vm["ip"]))
            except (OSError, ValueError) as error:
                say(f"{name} does not tell its load: {error}")
                continue
            then, count = self.before.get(name, (None, 0))
            if then is not None and seen[name][1] >= count:
                # Looking is a request, too.
                rate += max(0, seen[name][1] - count - 1) / (now - then)
                known = True
        self.before = seen
        return rate if known else None

    def requests(self, address):
        url = f"http://{address}:{self.port}{self.path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            page = answer.read().decode()
        counters = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s*$", page, re.MULTILINE)
        if not counters:
            raise ValueError(f"{url} is no status page of nginx")
        return int(counters.group(3))


class Analyzer:
    """How many cores a load is worth. Grows at once, shrinks when less has been enough for a while."""

    def __init__(self, options):
        self.options = options
        self.recent = []

    def cores(self, rate, now):
        o = self.options
        steps = math.ceil(rate / o.per_core / o.step)
        wanted = round(min(max(steps * o.step, o.least), o.most), 2)
        self.recent = [*self.recent, wanted][-o.patience :]
        if wanted >= now:
            return wanted
        return max(self.recent) if len(self.recent) == o.patience else now


def totals(allocation):
    """What every tier holds now, as a plan: a plan is the whole desired state."""
    plan = {}
    for vm in allocation.values():
        for tier, size in vm["used"].items():
            sums = plan.setdefault(tier, {"cpu_cores": 0, "mem_units": 0})
            sums["cpu_cores"] = round(sums["cpu_cores"] + size["cpu_cores"], 2)
            sums["mem_units"] += size["mem_units"]
    return plan


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def once(mapek, monitor, analyzer, options):
    allocation = mapek.allocation()
    plan = totals(allocation)
    if options.tier not in plan:
        say(f"{options.tier} does not run: have a first plan carried out")
        return
    rate = monitor.look(allocation)
    if rate is None:
        return
    now = plan[options.tier]["cpu_cores"]
    wanted = analyzer.cores(rate, now)
    say(f"{rate:.1f} requests/s on {now:g} cores, worth {wanted:g}")
    if wanted == now:
        return
    # Memory grows with the cores; a container needs at least one unit.
    plan[options.tier] = {"cpu_cores": wanted, "mem_units": max(1, math.ceil(wanted * options.mem_per_core))}
    try:
        ended = mapek.carry_out(plan)
        say(f"{options.tier} has {wanted:g} cores now (execution {ended['execution']}, {ended['time']} s)")
    except Refused as refused:
        # Another execution is running, or something has changed: the next round looks again.
        if refused.status != 409:
            raise
        say(f"not now: {refused}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=os.environ.get("MAPEK_SERVER", "http://127.0.0.1:8000"))
    parser.add_argument("--tier", required=True, help="flat name of the tier, such as shop_web")
    parser.add_argument("--port", type=int, required=True, help="published port of the tier's status page")
    parser.add_argument("--path", default="/status", help="its path")
    parser.add_argument("--per-core", type=float, default=100, help="requests a second that a core is good for")
    parser.add_argument("--mem-per-core", type=float, default=1, help="memory units for each core")
    parser.add_argument("--step", type=float, default=1, help="cores are given in steps of this")
    parser.add_argument("--least", type=float, default=1, help="cores without any load")
    parser.add_argument("--most", type=float, default=8, help="cores at any load")
    parser.add_argument("--interval", type=float, default=5, help="seconds between looks")
    parser.add_argument("--patience", type=int, default=6, help="looks that must ask for less before it shrinks")
    options = parser.parse_args()
    mapek = Mapek(options.server, os.environ.get("MAPEK_TOKEN"))
    monitor, analyzer = Monitor(options.tier, options.port, options.path), Analyzer(options)
    # Ends between two rounds, not in the middle of one.
    ended = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.append(True))
    while not ended:
        try:
            once(mapek, monitor, analyzer, options)
        except Refused as refused:
            say(f"mapek refused: {refused}")
        except OSError as error:
            say(f"mapek does not answer: {error}")
        until = time.monotonic() + options.interval
        while not ended and time.monotonic() < until:
            time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
