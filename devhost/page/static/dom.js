// Elements from data. Texts become text nodes, so nothing that a function was given is read as markup.

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Changes what is shown into what is wanted and leaves alone what is the same: focus, selection, scrolling
// and what is being typed survive. Children with a data-key are recognised by it.
export function morph(shown, wanted) {
  syncAttributes(shown, wanted);
  syncChildren(shown, wanted);
}

function sameKind(one, other) {
  return one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
}

function syncNode(shown, wanted) {
  if (shown.nodeType === Node.TEXT_NODE) {
    if (shown.data !== wanted.data) shown.data = wanted.data;
  } else {
    morph(shown, wanted);
  }
}

function syncAttributes(shown, wanted) {
  for (const { name } of [...shown.attributes]) {
    if (name !== "style" && !wanted.hasAttribute(name)) shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== "style" && shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  // The policy of the page allows styles from scripts, but no style attributes.
  if (shown.style.cssText !== wanted.style.cssText) shown.style.cssText = wanted.style.cssText;
}

function syncChildren(shown, wanted) {
  const keyed = new Map();
  for (const child of shown.children) {
    if (child.dataset.key !== undefined) keyed.set(child.dataset.key, child);
  }
  let place = shown.firstChild;
  for (const child of [...wanted.childNodes]) {
    const key = child.dataset?.key;
    const match = key === undefined ? place : keyed.get(key);
    if (match && sameKind(match, child)) {
      if (match === place) place = place.nextSibling;
      else shown.insertBefore(match, place);
      syncNode(match, child);
    } else {
      shown.insertBefore(child, place);
    }
  }
  while (place) {
    const following = place.nextSibling;
    place.remove();
    place = following;
  }
}
