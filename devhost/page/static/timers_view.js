// The timers of the app: their schedules and their next runs.

import { h } from "./dom.js";
import { ago, clock, until } from "./format.js";

export function timersView(state) {
  const timers = state.overview.timers;
  if (!timers.length) return h("p", { class: "empty" }, "The app has no timers.");
  return h("table", { class: "wide timers" },
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Timer"), h("th", { scope: "col" }, "Schedule"), h("th", { scope: "col" }, "Last run"),
      h("th", { scope: "col" }, "Next run"), h("th", { scope: "col" }, "And then"), h("th", { scope: "col" }, h("span", { class: "unseen" }, "Actions")))),
    timers.map((timer) => h("tbody", { "data-key": timer.name }, h("tr", {},
      h("th", { scope: "row", "data-label": "Timer" }, timer.name),
      h("td", { "data-label": "Schedule" }, h("code", {}, timer.schedule), " ", h("span", { class: "faint" }, timer.zone)),
      h("td", { "data-label": "Last run" }, ago(timer.last, state.now)),
      h("td", { "data-label": "Next run" }, until(timer.coming[0], state.now), " ",
        h("span", { class: "faint" }, timer.coming[0] ? clock(timer.coming[0]) : "")),
      h("td", { class: "faint", "data-label": "And then" }, timer.coming.slice(1, 4).map(clock).join(", ") || "–"),
      h("td", { class: "act" }, h("button", { "data-act": "fire", "data-arg": timer.name }, "Run now"))))));
}
