// The queues of the app, and the messages in their poison queues.

import { h } from "./dom.js";
import { ago, count } from "./format.js";

export function queuesView(state) {
  const queues = state.queues?.items ?? [];
  if (!queues.length) {
    return h("p", { class: "empty" }, state.queues ? "No function reads or writes a queue." : "Loading");
  }
  return h("table", { class: "wide queues" },
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Queue"), h("th", { scope: "col" }, "Read by"), h("th", { scope: "col" }, "Written by"),
      h("th", { scope: "col", class: "number" }, "Messages"), h("th", { scope: "col", class: "number" }, "Poison"))),
    queues.map((queue) => rows(queue, state)));
}

function rows(queue, state) {
  const key = `poison ${queue.name}`;
  const isOpen = state.open.has(key);
  return h("tbody", { "data-key": `${queue.connection} ${queue.name}`, class: isOpen ? "open" : false },
    h("tr", {},
      h("th", { scope: "row", "data-label": "Queue" },
        queue.poisonName
          ? h("button", { class: "row", "data-act": "toggle", "data-arg": key, "aria-expanded": String(isOpen) }, queue.name)
          : queue.name,
        queue.error ? h("span", { class: "bad" }, queue.error) : null),
      h("td", { "data-label": "Read by" }, queue.readers.join(", ") || "–"),
      h("td", { "data-label": "Written by" }, queue.writers.join(", ") || "–"),
      h("td", { class: "number", "data-label": "Messages" }, count(queue.length)),
      h("td", { class: queue.poisonLength ? "number bad" : "number", "data-label": "Poison" }, queue.poisonName ? count(queue.poisonLength) : "")),
    isOpen ? h("tr", { class: "detail" }, h("td", { colspan: 5 }, poison(queue, state))) : null);
}

function poison(queue, state) {
  const messages = state.poison[queue.name];
  if (!messages) return h("p", { class: "faint" }, "Loading");
  if (!messages.length) return h("p", { class: "faint" }, `${queue.poisonName} is empty.`);
  return [
    h("div", { class: "buttons" },
      h("span", {}, queue.poisonLength > messages.length
        ? `The first ${messages.length} of about ${count(queue.poisonLength)} messages in ${queue.poisonName}`
        : `${queue.poisonName}`),
      h("button", { "data-act": "resubmitAll", "data-arg": queue.name }, "Resubmit all")),
    h("ul", { class: "messages" }, messages.map((message) => h("li", { "data-key": message.id },
      h("pre", { tabindex: "0", "aria-label": "Message" }, message.text),
      h("div", { class: "buttons" },
        h("span", { class: "faint" }, ago(message.inserted, state.now)),
        h("button", { "data-act": "resubmit", "data-arg": `${queue.name} ${message.id}` }, "Resubmit"))))),
  ];
}
