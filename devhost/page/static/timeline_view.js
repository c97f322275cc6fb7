// The history of an instance: bars for what took a while, marks for what happened at once.

import { h } from "./dom.js";
import { clock, duration, exactly, moment, pretty } from "./format.js";

const MOST_ROWS = 400;
const SHORT = { "sub-orchestration": "sub" };

export function timelineView(item, state, end) {
  const rows = item.timeline;
  if (!rows.length) return h("p", { class: "empty" }, "It has not begun yet.");
  const start = moment(rows[0].start);
  const last = Math.max(...rows.map((row) => moment(row.end) || 0), item.status === "Running" ? end : 0, start);
  const span = Math.max(last - start, 1);
  const place = (value) => `${Math.min(Math.max((moment(value) - start) / span, 0), 1) * 100}%`;
  return h("section", { class: "timeline", "aria-label": "Timeline" },
    h("div", { class: "axis" }, h("span", {}, clock(rows[0].start)), h("span", {}, `+ ${duration(span)}`)),
    item.isCut || rows.length > MOST_ROWS ? h("p", { class: "faint" }, "Only the last events are shown.") : null,
    h("ol", {}, rows.slice(-MOST_ROWS).map((row, index) => line(row, index, { state, place, last, isFinal: item.status !== "Running" }))));
}

function line(row, index, { state, place, last, isFinal }) {
  const key = `event ${index}`;
  const isOpen = state.open.has(key);
  const isBar = row.kind === "activity" || row.kind === "timer" || row.kind === "sub-orchestration";
  const ended = row.end === null ? last : moment(row.end);
  const took = ended - moment(row.start);
  const label = row.name || (row.kind === "timer" ? "timer" : row.kind);
  return h("li", { "data-key": key, class: `${row.kind.replaceAll(" ", "-")} ${row.state}${isFinal ? " final" : ""}` },
    h("button", { class: "label", "data-act": "toggle", "data-arg": key, "aria-expanded": String(isOpen), title: label },
      h("span", { class: "kind" }, SHORT[row.kind] ?? row.kind), label === row.kind ? null : h("span", { class: "what" }, label)),
    h("span", { class: "track" }, isBar
      ? h("i", { class: "bar", style: { left: place(row.start), width: `max(3px, calc(${placeOf(ended, row, place)} - ${place(row.start)}))` } })
      : h("i", { class: "mark", style: { left: place(row.start) } })),
    h("span", { class: "number" }, isBar ? (row.end === null ? (isFinal ? "open" : "…") : duration(took)) : clock(row.start)),
    row.reason ? h("p", { class: "reason bad" }, row.reason.split("\n")[0]) : null,
    isOpen ? more(row) : null);
}

function placeOf(ended, row, place) {
  return row.end === null ? place(ended / 1000) : place(row.end);
}

function more(row) {
  const fact = (name, value) => value === null || value === undefined || value === "" ? null
    : h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const isInstance = row.kind === "sub-orchestration" && row.instanceId;
  return h("dl", { class: "more" },
    fact(row.end === row.start ? "At" : "From", row.end && row.end !== row.start ? `${exactly(row.start)} to ${exactly(row.end)}` : exactly(row.start)),
    fact("Due", row.fireAt ? exactly(row.fireAt) : null),
    fact("Instance", isInstance ? h("a", { href: `#/instances/${encodeURIComponent(row.instanceId)}` }, row.instanceId) : row.instanceId),
    fact(row.kind === "ended" ? "Output" : "Input", row.text ? h("pre", {}, pretty(row.text)) : null),
    fact("Result", row.result ? h("pre", {}, pretty(row.result)) : null),
    fact("Reason", row.reason?.includes("\n") ? h("pre", {}, row.reason) : null),
    fact("Details", row.details ? h("pre", {}, row.details) : null));
}
