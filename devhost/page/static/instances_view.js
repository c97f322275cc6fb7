// The list of instances, filtered and in pages, and beside it the one that is looked at.

import { h } from "./dom.js";
import { ago, clock, count, duration, moment, pretty } from "./format.js";
import { timelineView } from "./timeline_view.js";

export const STATUSES = ["Running", "Pending", "Suspended", "Completed", "Failed", "Terminated"];
const FINAL = ["Completed", "Failed", "Terminated", "Canceled"];

export function instancesView(state) {
  return h("div", { class: state.instanceId ? "split chosen" : "split" },
    h("section", { class: "list", "aria-label": "Instances" }, filters(state), list(state), pages(state)),
    state.instanceId ? detail(state) : null);
}

export function status(name) {
  return h("span", { class: `status ${name.toLowerCase()}` }, name);
}

function filters(state) {
  const total = Object.values(state.overview.counts).reduce((sum, number) => sum + number, 0);
  const chip = (name, label, number) => h("button", {
    class: "chip", "data-act": "status", "data-arg": name, "aria-pressed": String(state.filter.status === name),
  }, label, " ", h("b", {}, count(number)));
  return h("div", { class: "filters" },
    h("div", { class: "chips", role: "group", "aria-label": "Status" },
      chip("", "All", total),
      STATUSES.map((name) => chip(name, name, state.overview.counts[name] ?? 0))),
    h("div", { class: "searches" },
      h("input", { type: "search", placeholder: "Id begins with", "aria-label": "Id begins with", "data-filter": "prefix" }),
      h("input", { type: "search", placeholder: "Orchestrator", "aria-label": "Orchestrator", "data-filter": "name" }),
      h("button", { class: "chip", "data-act": "roots", "aria-pressed": String(state.filter.isRootsOnly), title: "Leave out what an orchestration has started" }, "Top level only")));
}

function list(state) {
  const items = state.list?.items ?? [];
  if (!items.length) return h("p", { class: "empty" }, state.list ? "No instance fits." : "Loading");
  return h("table", { class: "instances" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Status"), h("th", { scope: "col" }, "Instance"),
      h("th", { scope: "col" }, "Orchestrator"), h("th", { scope: "col" }, "Created"), h("th", { scope: "col", class: "number" }, "Took"))),
    h("tbody", {}, items.map((item) => h("tr", {
      "data-key": item.id, class: item.id === state.instanceId ? "chosen" : false,
      "aria-current": item.id === state.instanceId ? "true" : false,
    },
    h("td", {}, status(item.status)),
    h("td", { class: "id" }, link(item.id)),
    h("td", { class: "name", title: item.name }, item.name),
    h("td", { class: "when" }, ago(item.created, state.now)),
    h("td", { class: "number" }, FINAL.includes(item.status) ? duration(moment(item.updated) - moment(item.created)) : "")))));
}

function pages(state) {
  const isFirst = !state.filter.pages.length;
  if (isFirst && !state.list?.next) return null;
  return h("div", { class: "pages" },
    h("button", { "data-act": "newer", disabled: isFirst }, "Newer"),
    h("button", { "data-act": "older", disabled: !state.list?.next }, "Older"));
}

function link(id, text = id) {
  return h("a", { href: `#/instances/${encodeURIComponent(id)}`, title: id }, text);
}

function detail(state) {
  const item = state.detail;
  const close = h("a", { class: "back", href: "#/instances" }, "Close");
  if (!item || item.id !== state.instanceId) {
    return h("section", { class: "detail", "aria-label": "Instance" }, close,
      h("p", { class: "empty" }, state.isGone ? "There is no such instance." : "Loading"));
  }
  const isFinal = FINAL.includes(item.status);
  const end = isFinal ? moment(item.updated) : state.now;
  return h("section", { class: "detail", "aria-label": "Instance" },
    h("header", {},
      h("div", { class: "title" }, h("h2", {}, item.name), status(item.status), close),
      h("p", { class: "id" }, item.id),
      h("dl", { class: "facts" },
        fact("Created", clock(item.created)),
        fact(isFinal ? "Ended" : "Last step", clock(item.updated)),
        fact(isFinal ? "Took" : "Age", duration(end - moment(item.created))),
        item.parentId ? fact("Parent", link(item.parentId)) : null),
      actions(item, isFinal)),
    timelineView(item, state, end),
    h("div", { class: "texts" },
      text("Input", item.input), text("Custom status", item.customStatus), text("Output", item.output, item.status === "Failed")),
    item.children.length ? children(item, state) : null);
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function actions(item, isFinal) {
  const button = (act, label, isAllowed, style) => isAllowed
    ? h("button", { "data-act": "operation", "data-arg": act, "data-key": act, class: style ?? false }, label) : null;
  return h("div", { class: "buttons", role: "group", "aria-label": "What can be done" },
    button("raiseEvent", "Raise event", !isFinal),
    button("suspend", "Suspend", !isFinal && item.status !== "Suspended"),
    button("resume", "Resume", item.status === "Suspended"),
    button("rewind", "Rewind", item.status === "Failed"),
    button("restart", "Restart", isFinal),
    button("terminate", "Terminate", !isFinal, "danger"),
    button("purge", "Purge", isFinal, "danger"));
}

function text(title, value, isBad = false) {
  if (value === null || value === undefined) return null;
  return h("section", { "data-key": title }, h("h3", {}, title),
    h("pre", { class: isBad ? "bad" : false, tabindex: "0", "aria-label": title }, pretty(value)));
}

function children(item, state) {
  return h("section", { class: "children" }, h("h3", {}, "Sub-orchestrations"),
    h("ul", {}, item.children.map((child) => h("li", { "data-key": child.id },
      status(child.status), link(child.id), h("span", { class: "faint" }, child.name),
      h("span", { class: "when" }, ago(child.created, state.now))))));
}
