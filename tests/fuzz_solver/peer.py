"""Answers placement questions, one JSON line each, by OR-tools CP-SAT.

The model is written from the contract's text. First the least price, then the fewest actions at that price.
"""

import json
import sys

from ortools.sat.python import cp_model


def solve(question):
    model = cp_model.CpModel()
    tiers, existing = question["tiers"], question["vms"]
    slots = existing + [{"room": question["new"], "held": {}, "others": 0}] * question["news"]
    used = [model.new_bool_var("") for _ in slots]
    price, actions = [], []
    on, amount = {}, {}
    for s, slot in enumerate(slots):
        stands = s < len(existing)
        create = question["vm_use"] - question["vm_delete"] if stands else question["vm_create"]
        price.append(create * used[s] + (question["vm_delete"] if stands else 0))
        actions.append(1 - used[s] + slot["others"] if stands else used[s])
        for t, tier in enumerate(tiers):
            x = on[s, t] = model.new_bool_var("")
            model.add_implication(x, used[s])
            for r in range(4):
                most = min(tier["demand"][r], slot["room"][r])
                a = amount[s, t, r] = model.new_int_var(0, max(most, 0), "")
                # Of disk and GPUs a container may have none.
                if r < 2:
                    model.add(a >= 1).only_enforce_if(x)
                model.add(a == 0).only_enforce_if(~x)
            now = slot["held"].get(str(t))
            if now is None:
                price.append(question["create"] * x)
                actions.append(x)
                continue
            price.append(question["set"] * x + question["removal"][t] * (1 - x))
            same = model.new_bool_var("")
            for r in range(4):
                model.add(amount[s, t, r] == now[r]).only_enforce_if(same)
            actions.append(1 - same)
        model.add_bool_or([on[s, t] for t in range(len(tiers))]).only_enforce_if(used[s])
        for r in range(4):
            model.add(sum(amount[s, t, r] for t in range(len(tiers))) <= slot["room"][r])
        for a, b in question["clash"]:
            model.add_bool_or([~on[s, a], ~on[s, b]])
    fresh = used[len(existing):]
    for before, after in zip(fresh, fresh[1:]):
        model.add_implication(after, before)
    for t, tier in enumerate(tiers):
        for r in range(4):
            model.add(sum(amount[s, t, r] for s in range(len(slots))) == tier["demand"][r])
        count = sum(on[s, t] for s in range(len(slots)))
        model.add(count >= tier["min"])
        model.add(count <= tier["max"])
    model.add(sum(used) <= question["max_vms"])
    idle(model, question, used, price, actions)
    model.minimize(sum(price))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = question["seconds"]
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return {"impossible": True}
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return {}
    objective = round(solver.objective_value)
    answer = {"objective": objective, "bound": round(solver.best_objective_bound)}
    if status == cp_model.OPTIMAL:
        model.add(sum(price) == objective)
        model.minimize(sum(actions))
        if solver.solve(model) in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            answer["actions"] = round(solver.objective_value)
    return answer


def idle(model, question, used, price, actions):
    """VMs kept or made without containers, where there have to be more than are used."""
    existing = len(question["vms"])
    spare = question["spare"]
    most = question["max_vms"] if spare is None else min(question["max_vms"], existing + spare)
    least = min(question["min_vms"], most)
    if least == 0:
        return
    kept = model.new_int_var(0, least, "")
    made = model.new_int_var(0, least, "")
    model.add(kept + sum(used[:existing]) <= existing)
    if spare is not None:
        model.add(made + sum(used[existing:]) <= spare)
    # As many as are missing, also where keeping one costs less than nothing.
    missing = model.new_int_var(0, least, "")
    model.add_max_equality(missing, [0, least - sum(used)])
    model.add(kept + made == missing)
    price += [(question["vm_use"] - question["vm_delete"]) * kept, question["vm_create"] * made]
    actions += [-kept, made]


for line in sys.stdin:
    print(json.dumps(solve(json.loads(line))), flush=True)
