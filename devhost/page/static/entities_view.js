// The entities of the hub with their states.

import { h } from "./dom.js";
import { ago, oneLine, pretty } from "./format.js";

export function entitiesView(state) {
  const items = state.entities?.items ?? [];
  return h("div", {},
    h("div", { class: "filters" }, h("div", { class: "searches" },
      h("input", { type: "search", placeholder: "name@key begins with", "aria-label": "Id begins with", "data-filter": "entity" }))),
    items.length ? table(items, state) : h("p", { class: "empty" }, state.entities ? "No entity fits." : "Loading"),
    state.entityPages.length || state.entities?.next ? h("div", { class: "pages" },
      h("button", { "data-act": "entitiesBack", disabled: !state.entityPages.length }, "Back"),
      h("button", { "data-act": "entitiesOn", disabled: !state.entities?.next }, "More")) : null);
}

function table(items, state) {
  return h("table", { class: "wide entities" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Entity"), h("th", { scope: "col" }, "State"), h("th", { scope: "col" }, "Changed"))),
    items.map((item) => {
      const key = `entity ${item.id}`;
      const isOpen = state.open.has(key);
      return h("tbody", { "data-key": item.id, class: isOpen ? "open" : false },
        h("tr", {},
          h("th", { scope: "row", "data-label": "Entity" },
            h("button", { class: "row", "data-act": "toggle", "data-arg": key, "aria-expanded": String(isOpen) }, item.id)),
          h("td", { "data-label": "State" }, h("code", {}, oneLine(item.state))),
          h("td", { "data-label": "Changed" }, ago(item.updated, state.now))),
        isOpen ? h("tr", { class: "detail" }, h("td", { colspan: 3 }, h("pre", { tabindex: "0" }, pretty(item.state)))) : null);
    }));
}
