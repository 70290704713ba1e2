"""Puts mapek beside OR-tools CP-SAT, and CBC on the predecessor's kind of model.

Called by scripts/bench-solver, which makes the Python environment and builds the solver.
All three get the same instances in one run; the table goes to standard output as Markdown.
"""

import argparse
import json
import pathlib
import subprocess
import time

from ortools.linear_solver import pywraplp
from ortools.sat.python import cp_model

WEIGHTS = {
    "vm_create": 20, "vm_use": 11, "vm_delete": 2, "container_create": 4,
    "container_set": 3, "container_delete": 1, "container_delete_pinned": 100,
}


class Instance:
    """A request body of POST /api/solve, as numbers."""

    def __init__(self, body):
        infrastructure = body["topology"]["infrastructure"]
        self.shape = (infrastructure["cpu_cores"], infrastructure["mem_units"])
        self.tiers = {}
        for app in body["topology"]["apps"]:
            for name, spec in app["tiers"].items():
                demand = body["plan"].get(app["name"], {}).get(name)
                if demand:
                    flat = f"{app['name']}_{name}"
                    self.tiers[flat] = (int(demand["cpu_cores"]), int(demand["mem_units"]),
                                        spec.get("max_node"))
        self.vms = []
        for vm in body["allocation"].values():
            held = {t for t in vm["used"] if t in self.tiers}
            self.vms.append((vm["cpu_cores"], vm["mem_units"], held))

    def volume(self):
        """VMs of the topology's shape that the summed demand needs."""
        return max(-(-sum(t[r] for t in self.tiers.values()) // self.shape[r]) for r in (0, 1))

    def slots(self, spare):
        """Existing VMs, and as many new ones as volume could need, and some to spare."""
        have = [sum(vm[r] for vm in self.vms) for r in (0, 1)]
        need = max(-(-max(0, sum(t[r] for t in self.tiers.values()) - have[r]) // self.shape[r])
                   for r in (0, 1))
        existing = [(vm[0], vm[1], vm[2], True) for vm in self.vms]
        return existing + [(self.shape[0], self.shape[1], set(), False)] * (need + spare)

    def base(self):
        """Cost of deleting everything: constant part of the objective."""
        total = WEIGHTS["vm_delete"] * len(self.vms)
        for _, _, held in self.vms:
            total += sum(self.removal(t) for t in held)
        return total

    def removal(self, tier):
        pinned = self.tiers[tier][2] == 1
        return WEIGHTS["container_delete_pinned" if pinned else "container_delete"]

    def prices(self, slot, tier):
        """Price of a container on a slot, relative to the base cost."""
        if tier in slot[2]:
            return WEIGHTS["container_set"] - self.removal(tier)
        return WEIGHTS["container_create"]

    def vm_price(self, slot):
        if slot[3]:
            return WEIGHTS["vm_use"] - WEIGHTS["vm_delete"]
        return WEIGHTS["vm_create"]


def cp_sat(instance, seconds):
    """Section 5 of the contract as a CP-SAT model, with new VMs in order of use."""
    slots = instance.slots(max(4, instance.volume() // 8))
    model = cp_model.CpModel()
    used = [model.NewBoolVar("") for _ in slots]
    cost = []
    on, cpu, mem = {}, {}, {}
    for s, slot in enumerate(slots):
        cost.append(instance.vm_price(slot) * used[s])
        for t, (d, e, _) in instance.tiers.items():
            x = on[s, t] = model.NewBoolVar("")
            c = cpu[s, t] = model.NewIntVar(0, min(d, slot[0]), "")
            m = mem[s, t] = model.NewIntVar(0, min(e, slot[1]), "")
            model.Add(c <= min(d, slot[0]) * x)
            model.Add(m <= min(e, slot[1]) * x)
            model.Add(c >= x)
            model.Add(m >= x)
            model.AddImplication(x, used[s])
            cost.append(instance.prices(slot, t) * x)
        model.Add(sum(cpu[s, t] for t in instance.tiers) <= slot[0] * used[s])
        model.Add(sum(mem[s, t] for t in instance.tiers) <= slot[1] * used[s])
    fresh = [s for s, slot in enumerate(slots) if not slot[3]]
    for a, b in zip(fresh, fresh[1:]):
        model.AddImplication(used[b], used[a])
    for t, (d, e, most) in instance.tiers.items():
        model.Add(sum(cpu[s, t] for s in range(len(slots))) == d)
        model.Add(sum(mem[s, t] for s in range(len(slots))) == e)
        if most:
            model.Add(sum(on[s, t] for s in range(len(slots))) <= most)
    model.Minimize(sum(cost))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    begun = time.time()
    status = solver.Solve(model)
    spent = time.time() - begun
    base = instance.base()
    known = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    objective = round(solver.ObjectiveValue()) + base if known else None
    return objective, round(solver.BestObjectiveBound()) + base, spent


def cbc(instance, seconds):
    """The predecessor's model for CBC: as many new VMs as volume needs, nothing else to help it."""
    slots = instance.slots(0)
    solver = pywraplp.Solver.CreateSolver("CBC")
    solver.SetTimeLimit(int(seconds * 1000))
    used = [solver.BoolVar("") for _ in slots]
    objective = solver.Objective()
    totals = {}
    for s, slot in enumerate(slots):
        objective.SetCoefficient(used[s], instance.vm_price(slot))
        loads = [[], []]
        for t, (d, e, most) in instance.tiers.items():
            x = solver.BoolVar("")
            objective.SetCoefficient(x, instance.prices(slot, t))
            for r, amount in enumerate((d, e)):
                size = min(amount, slot[r])
                a = solver.IntVar(0, size, "")
                solver.Add(a <= size * x)
                solver.Add(a >= x)
                loads[r].append(a)
                totals.setdefault((t, r), []).append(a)
            solver.Add(x <= used[s])
            totals.setdefault((t, "on"), []).append(x)
        for r in (0, 1):
            solver.Add(sum(loads[r]) <= slot[r] * used[s])
    for t, (d, e, most) in instance.tiers.items():
        solver.Add(sum(totals[t, 0]) == d)
        solver.Add(sum(totals[t, 1]) == e)
        if most:
            solver.Add(sum(totals[t, "on"]) <= most)
    objective.SetMinimization()
    begun = time.time()
    status = solver.Solve()
    spent = time.time() - begun
    base = instance.base()
    known = status in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE)
    return (round(objective.Value()) + base if known else None,
            round(objective.BestBound()) + base if known else None, spent)


def mapek(command, path, deadline_ms):
    """One run of the solver's own binary, which prints one line of JSON."""
    output = subprocess.run([*command, "--deadline-ms", str(deadline_ms), str(path)],
                            check=True, capture_output=True, text=True).stdout
    answer = json.loads(output)
    return answer.get("objective"), answer.get("bound"), answer["solve_ms"] / 1000


def cells(result):
    objective, bound, seconds = result
    gap = "" if None in (objective, bound) else f"{(objective - bound) / max(objective, 1):.1%}"
    show = ["–" if x is None else str(x) for x in (objective, bound)]
    return [*show, gap or "–", f"{seconds:.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60, help="time limit of CP-SAT and CBC")
    parser.add_argument("--deadline-ms", type=int, default=2000, help="deadline of mapek")
    parser.add_argument("--largest", type=int, default=150,
                        help="most tiers for which CP-SAT and CBC are run")
    parser.add_argument("--without", action="append", default=[], choices=["cp-sat", "cbc"])
    parser.add_argument("command", nargs="+", help="mapek's solver binary")
    options = parser.parse_args()
    peers = {"cp-sat": ("CP-SAT", cp_sat), "cbc": ("CBC", cbc)}
    peers = [peer for name, peer in peers.items() if name not in options.without]
    names = ["mapek"] + [name for name, _ in peers]
    print("| instance | tiers | VMs | " + " | ".join(
        f"{name} objective | bound | gap | s" for name in names) + " |")
    print("|---|--:|--:|" + "--:|--:|--:|--:|" * len(names))
    worse = 0
    for path in sorted(options.directory.glob("*.json")):
        body = json.loads(path.read_text())
        if "topology" not in body:
            continue
        instance = Instance(body)
        pinned = all(most == 1 for _, _, most in instance.tiers.values())
        deadline = options.deadline_ms * (5 if pinned else 1)
        ours = mapek(options.command, path, deadline)
        row = [path.stem, str(len(instance.tiers)), str(len(instance.vms)), *cells(ours)]
        for _, solve in peers:
            if len(instance.tiers) > options.largest:
                row += ["–"] * 4
                continue
            theirs = solve(instance, options.seconds)
            worse += theirs[0] is not None and (ours[0] is None or ours[0] > theirs[0])
            row += cells(theirs)
        print("| " + " | ".join(row) + " |", flush=True)
    print(f"\nPlaces where mapek's objective is above a peer's: {worse}.")


if __name__ == "__main__":
    main()
