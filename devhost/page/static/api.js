// Calls of the host. The header tells it that this page asks; another site's page cannot set it.

const KEY = "devhost-master-key";

export class NeedsKey extends Error {}

export async function call(method, path, { body, query } = {}) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const headers = { "X-Devhost-Page": "1" };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["x-functions-key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(`/devhost/api/${path.map(encodeURIComponent).join("/")}${search}`, {
    method, headers, body, cache: "no-store",
  });
  const text = await response.text();
  if (response.status === 401) throw new NeedsKey("The master key is needed.");
  if (!response.ok) throw new Error(reason(response.status, text));
  return text && response.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : null;
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

function reason(status, text) {
  try {
    const found = JSON.parse(text);
    return found.detail ?? found.ExceptionMessage ?? found.Message ?? found.message ?? `Status ${status}`;
  } catch {
    if (status === 404) return "It is not there any more.";
    if (status === 410) return "It has ended already.";
    return text || `Status ${status}`;
  }
}
