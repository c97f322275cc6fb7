// Times, durations, numbers and JSON, as they are shown.

import { h } from "./dom.js";

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  if (milliseconds < 1) return "< 1 ms";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10 && milliseconds % 1000) return `${seconds.toFixed(1)} s`;
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [size, unit] of STEPS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count || parts.length) parts.push(count ? `${count} ${unit}` : "");
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(" ");
}

export function moment(value) {
  if (value === null || value === undefined || value === "") return NaN;
  return typeof value === "number" ? value * 1000 : Date.parse(value);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function clock(value) {
  const at = moment(value);
  if (Number.isNaN(at)) return "";
  const time = CLOCK.format(at);
  return new Date(at).toDateString() === new Date().toDateString() ? time : `${DAY.format(at)} ${time}`;
}

export function exactly(value) {
  const at = moment(value);
  return Number.isNaN(at) ? "" : `${clock(value)}.${String(at % 1000 | 0).padStart(3, "0")}`;
}

export function ago(value, now) {
  const at = moment(value);
  if (Number.isNaN(at)) return h("span", { class: "faint" }, "–");
  const text = now - at < 2000 ? "just now" : `${duration(Math.floor((now - at) / 1000) * 1000)} ago`;
  return h("time", { datetime: new Date(at).toISOString(), title: new Date(at).toISOString() }, text);
}

export function until(value, now) {
  const at = moment(value);
  if (Number.isNaN(at)) return h("span", { class: "faint" }, "never");
  const text = at <= now ? "now" : `in ${duration(Math.ceil((at - now) / 1000) * 1000)}`;
  return h("time", { datetime: new Date(at).toISOString(), title: new Date(at).toISOString() }, text);
}

export function count(number) {
  return number === null || number === undefined ? "–" : number.toLocaleString("en").replaceAll(",", "\u202f");
}

// A stored text: JSON is laid out, also where it is JSON in a string of JSON, as the client sends inputs.
export function pretty(text) {
  if (text === null || text === undefined) return "";
  let value = parsed(text);
  if (typeof value === "string") {
    const inner = parsed(value);
    if (inner !== undefined && typeof inner === "object") value = inner;
  }
  if (value === undefined) return text;
  return JSON.stringify(value, null, 2);
}

export function oneLine(text, most = 120) {
  const value = parsed(text ?? "");
  const line = value === undefined ? String(text ?? "") : JSON.stringify(value);
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
