// From answers of the service to elements of the page. Text only ever becomes text.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name === "grow") element.style.flexGrow = value;
    else if (name === "width") element.style.width = value;
    else if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Resources that are told only where there are any.
const FURTHER = [["disk_gb", "GB of disk"], ["gpus", "GPUs"]];

const count = (value, one) => `${number(value)} ${one}${value === 1 ? "" : "s"}`;
export const number = (value) => String(Math.round(value * 1000) / 1000);
const time = (text) => (text ? new Date(text).toLocaleString() : "");
const clock = (text) => (text ? new Date(text).toLocaleTimeString() : "");

// The same tier has the same colour on every VM, and on the next visit.
function colour(tier) {
  let hash = 7;
  for (const letter of tier) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return `t${hash % 10}`;
}

const vmsOf = (allocation) =>
  Object.entries(allocation).filter(([, vm]) => vm !== null && typeof vm === "object" && "used" in vm);

function sum(vm, key) {
  return Object.values(vm.used).reduce((total, container) => total + (container[key] ?? 0), 0);
}

export function figures(allocation, drift) {
  const vms = vmsOf(allocation);
  const all = (key) => vms.reduce((total, [, vm]) => total + (vm[key] ?? 0), 0);
  const used = (key) => vms.reduce((total, [, vm]) => total + sum(vm, key), 0);
  const containers = vms.reduce((total, [, vm]) => total + Object.keys(vm.used).length, 0);
  const figure = (name, value, style = "") => h("div", { class: "figure" }, h("b", { class: style }, value), h("span", { class: "faint" }, name));
  const drifted = drift === null ? "?" : String(drift);
  return [
    figure("VMs in use", String(vms.length)),
    figure("containers", String(containers)),
    figure("cores used", `${number(used("cpu_cores"))} / ${number(all("cpu_cores"))}`),
    figure("memory units used", `${number(used("mem_units"))} / ${number(all("mem_units"))}`),
    ...FURTHER.filter(([key]) => all(key)).map(([key, name]) => figure(`${name} used`, `${number(used(key))} / ${number(all(key))}`)),
    figure("differ from the allocation", drifted, drift ? "bad" : ""),
  ];
}

function bar(vm, key, name) {
  const whole = vm[key] || 1;
  const free = Math.max(0, vm[key] - sum(vm, key));
  const part = (tier, amount) => {
    const thin = amount / whole < 0.12 ? " thin" : "";
    return h("span", { class: colour(tier) + thin, grow: amount, title: `${tier}: ${number(amount)} ${name}` }, number(amount));
  };
  const parts = Object.entries(vm.used).filter(([, container]) => container[key]).map(([tier, container]) => part(tier, container[key]));
  const rest = free > 0 ? h("span", { class: "free", grow: free, title: `free: ${number(free)} ${name}` }, free / whole < 0.12 ? "" : `${number(free)} free`) : null;
  return [
    h("div", { class: "label" }, h("span", {}, name), h("span", {}, `${number(sum(vm, key))} of ${number(vm[key])}`)),
    h("div", { class: "bar", role: "img", "aria-label": `${name}: ${number(sum(vm, key))} of ${number(vm[key])} used` }, parts, rest),
  ];
}

export function vms(allocation, seen) {
  const shown = vmsOf(allocation);
  if (shown.length === 0) return [h("p", { class: "faint" }, "No VM is in use.")];
  return shown.map(([name, vm]) => {
    const containers = Object.entries(vm.used).map(([tier, container]) => {
      const real = seen?.[name]?.[tier];
      const drift = real?.drift?.length ? real.drift.join("; ") : "";
      const state = real?.health && real.health !== "none" ? real.health : (real?.state ?? "");
      return h("li", {},
        h("span", { class: `dot ${colour(tier)}` }),
        h("span", { class: "name" }, tier, drift ? h("div", { class: "bad" }, `drift: ${drift}`) : null),
        h("span", { class: state === "unhealthy" ? "bad" : "faint" }, state),
        h("span", {}, [container.cpu_cores, container.mem_units, ...FURTHER.map(([key]) => container[key]).filter(Boolean)].map(number).join(" / ")));
    });
    const unknown = Object.entries(seen?.[name] ?? {}).filter(([tier, real]) => !(tier in vm.used) && real?.drift?.length);
    const strangers = unknown.map(([tier, real]) => h("li", {}, h("span", { class: "name bad" }, `${tier}: ${real.drift.join("; ")}`)));
    return h("article", { class: "vm", "data-vm": name },
      h("div", { class: "row" }, h("h3", {}, name), h("span", { class: "faint mono" }, vm.ip ?? "")),
      bar(vm, "cpu_cores", "cores"), bar(vm, "mem_units", "memory units"),
      FURTHER.filter(([key]) => vm[key]).map(([key, name]) => bar(vm, key, name)),
      h("ul", { class: "tiers" }, containers, strangers));
  });
}

const SIGNS = { pending: ["·", "faint"], running: ["●", "running hook"], succeeded: ["✓", "good"], failed: ["✗", "bad"], skipped: ["–", "warn"] };

function seconds(from, to) {
  return from && to ? `${((new Date(to) - new Date(from)) / 1000).toFixed(2)} s` : "";
}

function stage(name, actions) {
  return h("div", { class: "stage" }, h("h3", {}, name), h("ul", {}, actions.map((action) => {
    const [sign, style] = SIGNS[action.state] ?? ["?", "faint"];
    return h("li", { class: style, title: action.state },
      h("span", {}, sign),
      h("span", { class: "grow" }, action.text, action.error ? h("div", { class: "bad" }, action.error) : null),
      h("span", { class: "faint" }, seconds(action.started_at, action.finished_at)));
  })));
}

function state(name) {
  const style = name === "succeeded" ? "good" : name === "running" ? "hook" : name === "cancelled" || name === "held" ? "warn" : "bad";
  return h("span", { class: `pill ${style}` }, name.replace("_", " "));
}

export function execution(record, cancel) {
  const part = record.actions ? (100 * record.actions_done) / record.actions : 100;
  const stop = record.state === "running" || record.state === "held" ? h("button", { type: "button", id: "cancel", onclick: cancel }, "Cancel") : null;
  const stages = (record.stages ?? []).map((actions, index) => stage(`Stage ${index + 1}`, actions));
  const anew = (record.replanned_stages ?? []).map((actions, index) => stage(`Replanned ${index + 1}`, actions));
  const back = (record.rollback_stages ?? []).map((actions, index) => stage(`Rollback ${index + 1}`, actions));
  return [
    h("div", { class: "row" }, state(record.state), h("span", { class: "mono" }, record.id),
      h("span", { class: "faint" }, `${record.actions_done} of ${record.actions} actions, started ${clock(record.created_at)}${record.finished_at ? `, took ${seconds(record.created_at, record.finished_at)}` : ""}`),
      h("span", { class: "grow" }), stop),
    h("div", { class: "meter", role: "progressbar", "aria-valuenow": Math.round(part) }, h("div", { width: `${part}%` })),
    h("div", { class: "stages" }, stages, anew, back),
  ];
}

export function history(executions, show) {
  if (executions.length === 0) return [h("tr", {}, h("td", { colspan: 5, class: "faint" }, "No executions yet."))];
  return executions.map((one) => h("tr", {},
    h("td", {}, state(one.state)), h("td", {}, time(one.created_at)),
    h("td", { class: "number" }, seconds(one.created_at, one.finished_at)),
    h("td", { class: "number" }, `${one.actions_done} / ${one.actions}`),
    h("td", { class: "id" }, h("button", { type: "button", onclick: () => show(one.id) }, one.id))));
}

export function event(one) {
  const bad = ["action_failed", "drift", "action_skipped", "replan_failed", "reset"].includes(one.event);
  const { event: kind, at, id: _, ...rest } = one;
  const words = Object.entries(rest).map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return h("li", {}, h("span", { class: "faint" }, clock(at)), h("b", { class: bad ? "bad" : "" }, kind.replaceAll("_", " ")), h("span", { class: "faint" }, words.join(" ").slice(0, 300)));
}

const CHANGES = { create_container: ["+", "good"], update_container: ["~", "warn"], replace_container: ["~", "warn"], delete_container: ["-", "bad"], run_scale_hook: [">", "hook"], run_tier_hook: [">", "hook"] };

function sizes(action) {
  if (action.kind.startsWith("run_")) return `${action.kind === "run_tier_hook" ? "tier hook" : "scale hook"} ${(action.hooks ?? [action.hook]).join(", ")}`;
  const part = (key, name) => {
    const [before, after] = [action.was?.[key], action[key]];
    const changes = before !== undefined && after !== undefined && before !== after;
    return changes ? `${number(before)} → ${count(after, name)}` : count(after ?? before, name);
  };
  return `${part("cpu_cores", "core")}, ${part("mem_units", "memory unit")}`;
}

export function proposal(answer) {
  const actions = (answer.stages ?? []).flat();
  const vms = new Map();
  for (const action of actions) vms.set(action.vm, [...(vms.get(action.vm) ?? []), action]);
  const groups = [...vms].map(([vm, list]) => {
    const kinds = list.map((action) => action.kind);
    const [sign, style] = kinds.includes("create_vm") ? ["+", "good"] : kinds.includes("delete_vm") ? ["-", "bad"] : ["~", "warn"];
    const lines = list.filter((action) => action.container).map((action) => {
      const [mark, paint] = CHANGES[action.kind] ?? ["?", "faint"];
      return h("li", {}, h("span", { class: paint }, mark), h("span", {}, action.container), h("span", { class: "faint" }, sizes(action)));
    });
    return [h("h3", { class: style }, `${sign} VM ${vm}`), h("ul", { class: "changes" }, lines)];
  });
  const note = (style, text) => h("p", { class: `note ${style}` }, h("span", {}, text));
  const interrupts = (answer.interrupts ?? []).map((one) => note("bad", `${one.tier} is interrupted: ${one.reason}`));
  const warnings = (answer.warnings ?? []).map((one) => note("warn", [one.path, one.problem].filter(Boolean).join(": ")));
  const gap = answer.proven_optimal ? "proven to be the least" : `none can cost less than ${number(answer.bound)} (gap ${number(100 * answer.gap)} %)`;
  return [
    actions.length === 0 ? h("p", { class: "good" }, "Nothing to do: the plan is already in place.") : h("div", { class: "changes" }, groups),
    interrupts, warnings,
    h("p", { class: "faint" }, `${count(actions.length, "action")} in ${count((answer.stages ?? []).length, "stage")}. The placement costs ${number(answer.objective)}, ${gap}, found in ${number(answer.solve_ms)} ms.`),
  ].flat();
}

export function problem(one) {
  const details = (one.details ?? []).map((detail) => typeof detail === "string" ? detail : [detail.path, detail.problem].filter(Boolean).join(": ")).filter(Boolean);
  return h("div", { class: "note bad" }, h("span", {}, one.message, details.map((detail) => h("p", { class: "mono" }, detail))));
}
