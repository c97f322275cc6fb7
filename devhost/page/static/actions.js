// What is done when a button is pressed. Each gives the sentence that tells the person what was done.

import { call } from "./api.js";
import { ask } from "./dialog.js";

const DONE = { suspend: "is suspended.", resume: "goes on.", rewind: "is rewound.", restart: "was started again." };
const CONFIRMED = {
  terminate: { title: "Terminate this instance?", text: "It ends at once; activities that run are not stopped.", action: "Terminate" },
  purge: { title: "Purge this instance?", text: "Its history and its result are deleted.", action: "Purge" },
  rewind: { title: "Rewind this instance?", text: "What failed is run again.", action: "Rewind" },
  restart: { title: "Restart this instance?", text: "A new instance is started with the same input.", action: "Restart" },
};

export const actions = {
  toggle(state, key) {
    if (!state.open.delete(key)) state.open.add(key);
  },
  status(state, name) {
    Object.assign(state.filter, { status: name, pages: [] });
    state.list = null;
  },
  roots(state) {
    Object.assign(state.filter, { isRootsOnly: !state.filter.isRootsOnly, pages: [] });
  },
  older(state) {
    state.filter.pages.push(state.list.next);
  },
  newer(state) {
    state.filter.pages.pop();
  },
  entitiesOn(state) {
    state.entityPages.push(state.entities.next);
  },
  entitiesBack(state) {
    state.entityPages.pop();
  },
  async operation(state, name) {
    const id = state.instanceId;
    if (name === "raiseEvent") return raiseEvent(id);
    if (CONFIRMED[name]) {
      const isDangerous = name === "terminate" || name === "purge";
      const fields = name === "terminate" ? [{ name: "reason", label: "Reason" }] : [];
      const answer = await ask({ ...CONFIRMED[name], fields, isDangerous });
      if (!answer) return null;
      if (name === "terminate") {
        await call("POST", ["instances", id, "terminate"], { query: { reason: answer.reason || "from the page" } });
        return `${id} is terminated.`;
      }
      if (name === "purge") {
        await call("DELETE", ["instances", id]);
        location.hash = "#/instances";
        return `${id} is purged.`;
      }
    }
    await call("POST", ["instances", id, name], { query: { reason: "from the page" } });
    return `${id} ${DONE[name]}`;
  },
  async fire(state, name) {
    await call("POST", ["timers", name, "fire"], { body: JSON.stringify({ input: "" }) });
    return `${name} runs.`;
  },
  async resubmit(state, argument) {
    const [queue, message] = argument.split(" ");
    const { moved } = await call("POST", ["queues", queue, "poison", "resubmit"], { query: { message } });
    return moved ? `The message is on ${queue} again.` : "The message is not in the poison queue any more.";
  },
  async resubmitAll(state, queue) {
    const answer = await ask({ title: `Put all poison messages back on ${queue}?`, text: "Its function is called with each again.", action: "Resubmit all" });
    if (!answer) return null;
    const { moved } = await call("POST", ["queues", queue, "poison", "resubmit"]);
    return moved === 1 ? `1 message is on ${queue} again.` : `${moved} messages are on ${queue} again.`;
  },
};

async function raiseEvent(id) {
  const answer = await ask({
    title: "Raise an event", action: "Raise",
    fields: [{ name: "event", label: "Name" }, { name: "data", label: "Data (JSON)", value: "null", isLong: true }],
  });
  if (!answer) return null;
  if (!answer.event.trim()) throw new Error("An event needs a name.");
  try {
    JSON.parse(answer.data);
  } catch {
    throw new Error("The data is no JSON.");
  }
  await call("POST", ["instances", id, "raiseEvent", answer.event.trim()], { body: answer.data });
  return `${answer.event.trim()} was raised.`;
}
