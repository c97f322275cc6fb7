// Questions before something is done that cannot be undone, or that needs a text.

import { h } from "./dom.js";

// Gives the values of the fields by their names, or null when the answer is no.
export function ask({ title, text, fields = [], action, isDangerous = false }) {
  const inputs = fields.map(({ name, label, value = "", isLong = false, isSecret = false }) => {
    const id = `field-${name}`;
    const input = isLong
      ? h("textarea", { id, rows: 5, spellcheck: "false" })
      : h("input", { id, type: isSecret ? "password" : "text", autocomplete: "off", spellcheck: "false" });
    input.value = value;
    return { name, input, row: h("div", { class: "field" }, h("label", { for: id }, label), input) };
  });
  const yes = h("button", { type: "button", class: isDangerous ? "danger strong" : "strong" }, action);
  const no = h("button", { type: "button" }, "Cancel");
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("h2", { id: "dialog-title" }, title),
    text ? h("p", {}, text) : null,
    inputs.map(({ row }) => row),
    h("div", { class: "buttons" }, no, yes));
  document.body.append(dialog);
  return new Promise((resolve) => {
    const answer = (value) => {
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    const values = () => Object.fromEntries(inputs.map(({ name, input }) => [name, input.value]));
    yes.addEventListener("click", () => answer(values()));
    no.addEventListener("click", () => answer(null));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      answer(null);
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.tagName === "INPUT") answer(values());
    });
    dialog.showModal();
    (inputs[0]?.input ?? (isDangerous ? no : yes)).focus();
  });
}
