// The dashboard: asks once, then again whenever an event says that something changed.

import { Problem, ask, follow, token } from "/ui/api.js";
import * as view from "/ui/view.js";

const $ = (id) => document.getElementById(id);
const put = (id, elements) => $(id).replaceChildren(...[elements].flat(3));

let allocation = {};
let seen = null;
// The execution that is shown: the one that somebody chose, else the newest that runs.
let chosen = null;

// Many events come at once; one look after the last of them is enough.
function soon(work, wait) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => work().catch(failed), wait);
  };
}

function failed(problem) {
  if (problem instanceof Problem && [401, 403].includes(problem.status)) login(problem);
  else link("waiting");
}

function link(state) {
  const words = { live: "live", waiting: "connection lost, trying again" };
  $("link").textContent = words[state] ?? state;
  $("link").className = `pill ${state === "live" ? "good" : "bad"}`;
}

function login(problem) {
  link("a token is needed");
  $("why").textContent = problem.message;
  $("forget").hidden = true;
  if (!$("login").open) $("login").showModal();
}

function draw() {
  const drifted = seen === null ? null : Object.values(seen)
    .filter((vm) => vm !== null && typeof vm === "object")
    .flatMap((vm) => Object.values(vm)).filter((container) => container?.drift?.length).length;
  put("figures", view.figures(allocation, drifted));
  put("vms", view.vms(allocation, seen));
}

async function look() {
  allocation = await ask("GET", "/api/allocation");
  draw();
}

async function inspect() {
  seen = await ask("GET", "/api/inspect").catch((problem) => {
    if (problem instanceof Problem && problem.status >= 500) return null;
    throw problem;
  });
  draw();
}

async function executions() {
  const list = (await ask("GET", "/api/executions?limit=30")).executions;
  put("history", view.history(list, (id) => {
    chosen = id;
    executions().catch(failed);
    $("now").scrollIntoView({ behavior: "smooth" });
  }));
  const running = list.find((one) => one.state === "running" || one.state === "held");
  if (running) chosen = running.id;
  const id = chosen ?? list[0]?.id;
  if (!id) return;
  const record = await ask("GET", `/api/executions/${id}`);
  const cancel = () => ask("POST", `/api/executions/${id}/cancel`).catch(failed);
  put("execution", view.execution(record, cancel));
}

const soonLook = soon(look, 150);
const soonExecutions = soon(executions, 150);
const soonInspect = soon(inspect, 600);

function told(event) {
  const list = $("events");
  if (list.firstElementChild?.className === "faint") list.replaceChildren();
  list.prepend(view.event(event));
  while (list.children.length > 100) list.lastElementChild.remove();
  soonLook();
  const reset = event.event === "reset";
  if (event.execution || reset) soonExecutions();
  if (reset || ["finished", "drift", "drift_over"].includes(event.event)) soonInspect();
}

async function start() {
  $("forget").hidden = token.get() === null;
  // Before the first look, so that nothing is missed in between.
  follow(told, (state) => {
    if (state instanceof Problem) failed(state);
    else {
      link(state);
      if (state === "live") Promise.all([look(), executions(), inspect()]).catch(failed);
    }
  });
}

$("login").addEventListener("close", () => {
  const given = $("token").value.trim();
  $("token").value = "";
  if (given) token.set(given);
  start();
});
$("forget").addEventListener("click", () => {
  token.forget();
  location.reload();
});

$("ask").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const button = $("ask").querySelector("button.main");
  button.disabled = true;
  try {
    put("proposal", view.proposal(await ask("PUT", "/api/translate", $("plan").value)));
  } catch (problem) {
    put("proposal", view.problem(problem));
    if (problem.status === 401) failed(problem);
  } finally {
    button.disabled = false;
  }
});
$("current").addEventListener("click", () => {
  const plan = {};
  for (const vm of Object.values(allocation)) {
    for (const [tier, container] of Object.entries(vm?.used ?? {})) {
      plan[tier] ??= { cpu_cores: 0, mem_units: 0 };
      plan[tier].cpu_cores = Number(view.number(plan[tier].cpu_cores + container.cpu_cores));
      plan[tier].mem_units += container.mem_units;
      for (const key of ["disk_gb", "gpus"]) {
        if (container[key]) plan[tier][key] = (plan[tier][key] ?? 0) + container[key];
      }
    }
  }
  $("plan").value = JSON.stringify(plan, null, 2);
});

const THEMES = ["auto", "light", "dark"];
function theme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").textContent = `Theme: ${name}`;
  localStorage.setItem("mapek.theme", name);
}
theme(THEMES.includes(localStorage.getItem("mapek.theme")) ? localStorage.getItem("mapek.theme") : "auto");
$("theme").addEventListener("click", () => {
  const now = THEMES.indexOf(localStorage.getItem("mapek.theme") ?? "auto");
  theme(THEMES[(now + 1) % THEMES.length]);
});

// Changes that somebody makes without the service create no event at once.
setInterval(() => document.visibilityState === "visible" && token && inspect().catch(() => {}), 30000);
start();
