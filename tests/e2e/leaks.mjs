// Looks for secrets in everything that a page tells, stores, sends or shows.
//
// Rule: a secret is looked for in all its usual spellings and in parts of eight characters, and
// each place is named, so that a find says where it came from. Nothing here knows where a secret
// belongs: the test says so.

import { Buffer } from "node:buffer";

/** So many characters of a random secret are nobody else's text. */
const PART = 8;

/** The texts by which a secret shows: its beginning and its end, in each spelling. */
export function tracesOf(secret) {
  const parts = [secret.slice(0, PART), secret.slice(-PART)];
  const traces = parts.flatMap((part) => {
    const hex = Buffer.from(part).toString("hex");
    const percent = hex.replace(/../g, "%$&");
    const codes = [...Buffer.from(part)].join(",");
    const spelt = [part, hex, hex.toUpperCase(), percent, percent.toUpperCase(), codes];
    const encoded = [0, 1, 2].flatMap((offset) => base64Within(part, offset));
    return [...spelt, encodeURIComponent(part), ...encoded];
  });
  return [...new Set(traces)];
}

/** What is left of the part in base64 wherever in a text it stands, in both alphabets. */
function base64Within(part, offset) {
  const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(part)]).toString("base64");
  const whole = Math.floor(((offset + part.length) * 8) / 6);
  const core = encoded.slice(Math.ceil((offset * 8) / 6), whole);
  return [core, core.replace(/\+/g, "-").replace(/\//g, "_")];
}

/** The places, of `{ place, text }`, in which a trace of a secret is found, with a piece of it. */
export function findLeaks(told, secrets) {
  const traces = secrets.flatMap(tracesOf);
  return told.flatMap(({ place, text }) => {
    const trace = traces.find((trace) => text.includes(trace));
    if (!trace) return [];
    const at = text.indexOf(trace);
    return [{ place, around: text.slice(Math.max(0, at - 60), at + trace.length + 20) }];
  });
}

/** Takes down what the page sends and prints from now on. */
export async function listen(visitor) {
  const { page } = visitor;
  const told = [];
  const pending = [];
  const note = (place, text) => told.push({ place, text: String(text) });
  page.on("console", (message) => {
    note(`console.${message.type()}`, message.text());
    for (const argument of message.args()) {
      note(`console.${message.type()}`, JSON.stringify(argument.remoteObject()));
      const reading = argument.evaluate((value) => window.spell(value)).catch(() => "");
      pending.push(reading.then((text) => note(`console.${message.type()}`, text)));
    }
  });
  page.on("pageerror", (error) => note("page error", `${error} ${error.stack}`));
  page.on("request", (request) => {
    const { authorization, referer = "", ...headers } = request.headers();
    const { origin, pathname } = new URL(request.url());
    note("URL", request.url());
    note("Referer", referer);
    note("header", JSON.stringify(headers));
    note("request body", request.postData() ?? "");
    if (authorization) note(`Authorization to ${origin}${pathname}`, authorization);
  });
  return {
    /** All that was told so far, with what the page holds and shows now. */
    gather: async () => {
      await Promise.all(pending);
      const now = await Promise.all(page.frames().map(lookAround));
      const heard = await Promise.all(page.frames().map((frame) => frame.evaluate(takeOverheard)));
      told.push(...heard.flat());
      const cookies = JSON.stringify(await page.browserContext().cookies());
      const requests = JSON.stringify(await visitor.platform.requests());
      const rest = [
        { place: "cookie", text: cookies },
        { place: "request log", text: requests },
      ];
      return [...told, ...now.flat(), ...rest];
    },
  };
}

/** What one frame stores, shows and was told; its origin goes before what it stores. */
async function lookAround(frame) {
  return frame.evaluate(async () => {
    const found = [];
    const note = (place, text) => found.push({ place, text: String(text) });
    for (const [name, storage] of Object.entries({ localStorage, sessionStorage })) {
      for (const [key, text] of Object.entries({ ...storage })) {
        note(`${origin} ${name} ${key}`, `${key} ${text}`);
      }
    }
    for (const { name } of await indexedDB.databases()) {
      const opening = indexedDB.open(name);
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const database = opening.result;
      for (const store of database.objectStoreNames) {
        const asking = database.transaction(store).objectStore(store).getAll();
        await new Promise((resolve) => (asking.onsuccess = resolve));
        note(`${origin} indexedDB ${name}`, window.spell(asking.result));
      }
      database.close();
    }
    for (const name of await caches.keys()) {
      const urls = (await (await caches.open(name)).keys()).map(({ url }) => url);
      note(`${origin} caches`, `${name} ${urls}`);
    }
    note("document", document.documentElement.outerHTML + document.title);
    note("address", `${location.href} ${document.referrer} ${window.name}`);
    note("history state", window.spell(history.state));
    note(
      "timeline",
      performance.getEntries().map(({ name }) => name),
    );
    return found;
  });
}

/** In a frame. */
function takeOverheard() {
  return window.overheard.splice(0);
}

/**
 * In each page and frame, before its scripts: `spell` writes out all of a value, `overhear` what
 * the keeper says, and every message is taken down in `overheard` where it is sent and where it
 * comes.
 */
export function eavesdrop() {
  window.overheard = [];
  window.overhear = (place, value) =>
    void window.overheard.push({ place, text: window.spell(value) });

  window.spell = (value, seen = new Set()) => {
    if (typeof value === "function") return `function ${value.name}`;
    if (typeof value !== "object" || value === null) return String(value);
    if (seen.has(value) || value instanceof Node || value === window) return "";
    seen.add(value);
    const parts = [];
    const add = (key, item) => parts.push(`${String(key)}: ${window.spell(item, seen)}`);
    if (value instanceof Map || value instanceof Set) {
      for (const [key, item] of value.entries()) add(window.spell(key, seen), item);
    }
    // Getters of classes such as `Event` stand on the prototype.
    for (let at = value; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
      for (const key of Reflect.ownKeys(at)) {
        try {
          add(key, value[key]);
        } catch (error) {
          add(key, String(error));
        }
      }
    }
    return `{${parts.join(", ")}}`;
  };

  const tap = (owner, name, place) => {
    const original = owner[name];
    owner[name] = function (...given) {
      window.overhear(place, given);
      return original.apply(this, given);
    };
  };
  tap(BroadcastChannel.prototype, "postMessage", "broadcast");
  tap(MessagePort.prototype, "postMessage", "port");
  tap(Worker.prototype, "postMessage", "worker");
  tap(window, "postMessage", "window message");
  tap(Navigator.prototype, "sendBeacon", "beacon");
  tap(History.prototype, "pushState", "history state");
  tap(History.prototype, "replaceState", "history state");
  addEventListener("message", ({ data }) => window.overhear("window message", data));
}
