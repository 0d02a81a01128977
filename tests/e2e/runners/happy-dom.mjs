// An app's test as Vitest runs it with happy-dom: its window's members are Node's globals. Prints
// what the app saw.

import { Window } from "happy-dom";
import { startApi, useApp } from "./api.mjs";

const api = await startApi();
const window = new Window({ url: "http://localhost:3000/" });
// Vitest takes what is not Node's own already, and these besides.
const REPLACED = ["fetch", "Request", "Response", "Headers", "AbortController", "AbortSignal"];
const EVENTS = ["Event", "EventTarget", "CustomEvent"];
for (const key of Reflect.ownKeys(window).concat(REPLACED, EVENTS)) {
  const isNew = !(key in globalThis) || [...REPLACED, ...EVENTS].includes(key);
  const value = isNew ? window[key] : undefined;
  if (value === undefined) continue;
  Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });
}
for (const key of ["addEventListener", "removeEventListener", "dispatchEvent"]) {
  globalThis[key] = window[key].bind(window);
}
globalThis.window = globalThis;
const { createKeeper } = await import("session-keeper");
const result = await useApp(createKeeper, api.origin);
console.log(JSON.stringify({ ...result, origin: typeof globalThis.origin, seen: api.seen }));
api.end();
await window.happyDOM.close();
process.exit();
