// The page: what it knows, when it asks the host, and what is done when something is pressed.

import { call, keepKey, NeedsKey } from "./api.js";
import { actions } from "./actions.js";
import { ask } from "./dialog.js";
import { h, morph } from "./dom.js";
import { entitiesView } from "./entities_view.js";
import { count, duration } from "./format.js";
import { functionsView } from "./functions_view.js";
import { instancesView } from "./instances_view.js";
import { queuesView } from "./queues_view.js";
import { timersView } from "./timers_view.js";

const EVERY_MILLISECONDS = 1000;
const VIEWS = { functions: functionsView, instances: instancesView, entities: entitiesView, queues: queuesView, timers: timersView };

const state = {
  view: "functions",
  instanceId: null,
  overview: null,
  list: null,
  detail: null,
  isGone: false,
  entities: null,
  entityPages: [],
  entityPrefix: "",
  queues: null,
  poison: {},
  open: new Set(),
  filter: { status: "", prefix: "", name: "", isRootsOnly: false, pages: [] },
  now: Date.now(),
  isLost: false,
};

function route() {
  const [, view, id] = location.hash.split("/");
  const isKnown = Object.hasOwn(VIEWS, view ?? "");
  const instanceId = isKnown && view === "instances" && id ? decodeURIComponent(id) : null;
  if (instanceId !== state.instanceId) {
    Object.assign(state, { detail: null, isGone: false });
    state.open = new Set([...state.open].filter((key) => !key.startsWith("event ")));
  }
  Object.assign(state, { view: isKnown ? view : "functions", instanceId });
  render();
  refresh();
}

function header() {
  const { overview } = state;
  const total = Object.values(overview.counts).reduce((sum, number) => sum + number, 0);
  const tab = (view, label, number) => h("a", {
    href: `#/${view}`, "data-key": view, "aria-current": state.view === view ? "page" : false,
  }, label, number === null ? null : h("b", {}, count(number)));
  return h("header", { class: "top" },
    h("h1", {}, overview.title, h("span", { class: "faint" }, "on devhost")),
    h("p", { class: state.isLost ? "live lost" : "live" },
      h("i", { class: "pulse" }),
      state.isLost ? "devhost does not answer; trying on" : `up ${duration(state.now - overview.started * 1000)}`,
      h("span", { class: "faint" }, `hub ${overview.hub}`)),
    h("nav", { "aria-label": "Views" },
      tab("functions", "Functions", overview.functions.length),
      tab("instances", "Instances", total),
      tab("entities", "Entities", overview.entities),
      tab("queues", "Queues", null),
      tab("timers", "Timers", overview.timers.length)));
}

function render() {
  if (!state.overview) return;
  document.title = `${state.overview.title} on devhost`;
  const wanted = h("div", { id: "page" }, header(),
    h("main", { "data-key": state.view, class: state.view }, VIEWS[state.view](state)));
  morph(document.getElementById("page"), wanted);
}

async function load() {
  const wanted = state.view;
  const asked = [call("GET", ["overview"]).then((overview) => {
    state.overview = overview;
    state.now = overview.now * 1000;
  })];
  if (wanted === "instances") asked.push(loadInstances());
  if (wanted === "entities") asked.push(loadEntities());
  if (wanted === "queues") asked.push(loadQueues());
  await Promise.all(asked);
}

async function loadInstances() {
  const { status, prefix, name, isRootsOnly, pages } = state.filter;
  const { instanceId } = state;
  const listed = call("GET", ["instances"], { query: { status, prefix, name, roots: isRootsOnly, before: pages.at(-1) } });
  const detailed = instanceId ? call("GET", ["instances", instanceId]).catch((error) => {
    if (error instanceof NeedsKey || error instanceof TypeError) throw error;
    return null;
  }) : null;
  const [list, detail] = await Promise.all([listed, detailed]);
  state.list = list;
  if (instanceId === state.instanceId) Object.assign(state, { detail, isGone: instanceId !== null && detail === null });
}

async function loadEntities() {
  state.entities = await call("GET", ["entities"], { query: { prefix: state.entityPrefix, after: state.entityPages.at(-1) } });
}

async function loadQueues() {
  state.queues = await call("GET", ["queues"]);
  const opened = state.queues.items.filter((queue) => state.open.has(`poison ${queue.name}`));
  await Promise.all(opened.map(async ({ name }) => {
    state.poison[name] = (await call("GET", ["queues", name, "poison"])).items;
  }));
}

let isAsking = false;
let isWantedAgain = false;

// Asks the host once more; one call at a time, and the last wish is not forgotten.
export async function refresh() {
  if (isAsking) {
    isWantedAgain = true;
    return;
  }
  isAsking = true;
  try {
    await load();
    state.isLost = false;
  } catch (error) {
    if (error instanceof NeedsKey) await askForKey();
    else state.isLost = true;
  }
  isAsking = false;
  render();
  if (isWantedAgain) {
    isWantedAgain = false;
    await refresh();
  }
}

async function askForKey() {
  const given = await ask({
    title: "Master key", text: "This host was started with --enable-auth.", action: "Open",
    fields: [{ name: "key", label: "Key", isSecret: true }],
  });
  if (given) keepKey(given.key);
}

let noticed;

function notice(text, isBad = false) {
  const place = document.getElementById("notice");
  clearTimeout(noticed);
  place.className = isBad ? "shown bad" : "shown";
  place.textContent = text;
  noticed = setTimeout(() => { place.className = ""; }, 5000);
}

document.addEventListener("click", async (event) => {
  const pressed = event.target.closest("[data-act]");
  if (!pressed) return;
  try {
    const said = await actions[pressed.dataset.act](state, pressed.dataset.arg);
    if (said) notice(said);
  } catch (error) {
    notice(error.message, true);
  }
  render();
  refresh();
});

document.addEventListener("input", (event) => {
  const name = event.target.dataset?.filter;
  if (!name) return;
  if (name === "entity") Object.assign(state, { entityPrefix: event.target.value.trim(), entityPages: [] });
  else Object.assign(state.filter, { [name]: event.target.value.trim(), pages: [] });
  refresh();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.instanceId && !document.querySelector("dialog")) location.hash = "#/instances";
});

window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
setInterval(() => { if (!document.hidden && !isAsking) refresh(); }, EVERY_MILLISECONDS);
route();
