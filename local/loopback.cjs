// Loaded into every Node tool of the local stack: it listens on 127.0.0.1 only, and it calls nobody but this machine.
// The Playground has no option for either. Refused calls are noted in the file that LOOPBACK_LOG names.
"use strict";
const fs = require("fs");
const net = require("net");

const LOOPBACK = "127.0.0.1";
const THIS_MACHINE = new Set(["localhost", LOOPBACK, "::1"]);

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  const [first] = args;
  if (typeof first === "function") {
    args.unshift({ port: 0, host: LOOPBACK }); // without a port Node takes any, on every address
  } else if (first === undefined || first === null) {
    args[0] = { port: 0, host: LOOPBACK };
  } else if (typeof first === "object") {
    if ("port" in first) args[0] = { ...first, host: LOOPBACK }; // else a path, or a socket that is there already
  } else if (Number.isInteger(Number(first))) {
    if (typeof args[1] === "string") args[1] = LOOPBACK;
    else args.splice(1, 0, LOOPBACK);
  }
  return listen.apply(this, args);
};

// Node normalises the arguments of net.connect into [options, callback] before it calls Socket.connect with them.
function target(args) {
  const given = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (given !== null && typeof given === "object") {
    return given.path ? null : { host: given.host || "localhost", port: given.port };
  }
  if (Number.isInteger(Number(given))) {
    return { host: typeof args[1] === "string" ? args[1] : "localhost", port: given };
  }
  return null; // a Unix socket's path
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const to = target(args);
  if (to === null || THIS_MACHINE.has(to.host)) return connect.apply(this, args);
  if (process.env.LOOPBACK_LOG) {
    fs.appendFileSync(process.env.LOOPBACK_LOG, `${new Date().toISOString()} refused ${to.host}:${to.port}\n`);
  }
  const refusal = Object.assign(new Error(`refused by loopback.cjs: ${to.host}`), { code: "ECONNREFUSED" });
  process.nextTick(() => this.destroy(refusal));
  return this;
};
