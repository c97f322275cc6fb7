// The functions of the app, with their last runs.

import { h } from "./dom.js";
import { ago, clock, count, duration } from "./format.js";

export function functionsView(state) {
  const functions = state.overview.functions;
  if (!functions.length) {
    const { error } = state.overview;
    return h("p", { class: error ? "empty bad" : "empty" }, error ? `The app could not be loaded. ${error}` : "The app has no functions.");
  }
  return h("table", { class: "wide functions" },
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Function"), h("th", { scope: "col" }, "Trigger"),
      h("th", { scope: "col", class: "number" }, "Runs"), h("th", { scope: "col", class: "number" }, "Failed"),
      h("th", { scope: "col" }, "Last runs"), h("th", { scope: "col", class: "number" }, "Took"),
      h("th", { scope: "col" }, "Last"))),
    functions.map((item) => rows(item, state)));
}

function rows(item, state) {
  const key = `function ${item.name}`;
  const isOpen = state.open.has(key);
  const last = item.runs.find((run) => run.milliseconds !== null);
  return h("tbody", { "data-key": key, class: isOpen ? "open" : false },
    h("tr", {},
      h("th", { scope: "row", "data-label": "Function" },
        h("button", { class: "row", "data-act": "toggle", "data-arg": key, "aria-expanded": String(isOpen) }, item.name),
        item.state === "enabled" ? null : h("span", { class: "tag" }, item.state),
        item.underWay ? h("span", { class: "tag live" }, `${count(item.underWay)} running`) : null),
      h("td", { "data-label": "Trigger" }, item.trigger,
        item.target ? h("code", { class: "target", title: item.target }, item.target) : null),
      h("td", { class: "number", "data-label": "Runs" }, count(item.succeeded + item.failed)),
      h("td", { class: item.failed ? "number bad" : "number", "data-label": "Failed" }, count(item.failed)),
      h("td", { "data-label": "Last runs" }, strip(item.runs)),
      h("td", { class: "number", "data-label": "Took" }, last ? duration(last.milliseconds) : "–"),
      h("td", { "data-label": "Last" }, ago(item.runs[0]?.started, state.now))),
    isOpen ? h("tr", { class: "detail" }, h("td", { colspan: 7 }, detail(item))) : null);
}

function strip(runs) {
  const failed = runs.filter((run) => run.error !== null).length;
  const label = runs.length ? `${runs.length} runs, ${failed} failed` : "no runs";
  return h("span", { class: "strip", role: "img", "aria-label": label },
    [...runs].reverse().map((run) => h("i", {
      class: outcome(run), title: `${clock(run.started)} ${duration(run.milliseconds)}`,
    })));
}

function detail(item) {
  if (item.reason) return h("p", { class: "bad" }, item.reason);
  if (!item.runs.length) return h("p", { class: "faint" }, "It has not run since the host was started.");
  return h("ul", { class: "runs" }, item.runs.map((run) => h("li", { "data-key": run.id },
    h("span", { class: `dot ${outcome(run)}`, role: "img", "aria-label": outcome(run) }),
    h("span", { class: "when" }, clock(run.started)),
    h("span", { class: "number" }, run.milliseconds === null ? "running" : duration(run.milliseconds)),
    h("span", { class: run.error ? "bad text" : "faint text" }, run.error ?? "succeeded"))));
}

function outcome(run) {
  if (run.milliseconds === null) return "running";
  return run.error === null ? "succeeded" : "failed";
}
