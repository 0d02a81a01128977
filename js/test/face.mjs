// The face in Node, as if that were a page: on the real core, or on one that the test plays, where
// a test needs what the real one never does. No browser and no network.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";

export const API = "https://api.example.com";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "session-keeper-face-"));
const LISTENS = { addEventListener: () => {}, removeEventListener: () => {} };
let bundles = 0;
/** Tests whose clock stands still. */
const clocks = new WeakSet();

/** A fresh copy of the face on the real core, as `cargo xtask build` made it. */
export const loadReal = () => load("index.ts", "real");

/** A fresh copy of `js/src/FILE`, whose generated imports are the stand-ins beside this file. */
export async function load(file = "index.ts", core = "stand-in") {
  const outfile = join(folder, `${bundles++}.mjs`);
  const plugin = {
    name: "stand-ins",
    setup: (builder) =>
      builder.onResolve({ filter: /generated\/(glue|bytes)\.js$/ }, () => ({
        path: join(here, "stand-in.mjs"),
      })),
  };
  await build({
    entryPoints: [join(here, "..", "src", file)],
    outfile,
    bundle: true,
    format: "esm",
    logLevel: "error",
    plugins: core === "real" ? [] : [plugin],
  });
  return import(pathToFileURL(outfile));
}

/** Makes Node look like a page of this origin until the test is over. */
export function openPage(t, { origin = "https://app.example.com", stored = {}, cookie = "" } = {}) {
  const store = new Map(Object.entries(stored));
  const localStorage = {
    getItem: (key) => store.get(key) ?? null,
    setItem: (key, value) => store.set(key, String(value)),
    removeItem: (key) => store.delete(key),
  };
  const page = {
    document: { baseURI: `${origin}/`, cookie, hidden: false, ...LISTENS },
    origin,
    localStorage,
    sessionStorage: localStorage,
    ...LISTENS,
    fakeCores: [],
    refuseWasm: undefined,
    [Symbol.for("session-keeper")]: undefined,
  };
  for (const key of Reflect.ownKeys(page)) replace(t, key, page[key]);
  return { store };
}

/** Answers the page's requests from a list, and keeps them. */
export function answerWith(t, ...answers) {
  const sent = [];
  const fetch = async (input, init = {}) => {
    const request = new Request(input, init);
    sent.push({ request, init });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return typeof answer === "number" ? new Response(null, { status: answer }) : answer;
  };
  replace(t, "fetch", fetch);
  return sent;
}

/**
 * An API that answers by path, and says so to `sent`. What is not there is 404; `/auth/me` knows
 * the token `good`, and `/api/health` is well.
 */
export function serve(t, answers = {}) {
  const api = {
    sent: [],
    good: "good",
    answers: {
      "/api/health": () => json(200, { status: "ok" }),
      "/auth/me": ({ token }) =>
        token === `Bearer ${api.good}` ? json(200, { name: "ada" }) : json(401, { detail: "no" }),
      ...answers,
    },
    at: (path) => api.sent.filter((it) => it.path === path),
  };
  replace(t, "fetch", async (input, init) => {
    const request = new Request(input, init);
    const { pathname: path } = new URL(request.url);
    const asked = { path, token: request.headers.get("authorization"), request };
    api.sent.push(asked);
    const answer = await (api.answers[path]?.(asked) ?? json(404, {}));
    // What a page may read of its address.
    return Object.defineProperty(answer, "url", { value: request.url });
  });
  return api;
}

export const json = (status, body, headers) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

/** Waits for a fact, for as long as nothing but turns is needed for it. */
export async function until(fact) {
  for (let i = 0; i < 1_000; i++) {
    if (fact()) return;
    await turn();
  }
  throw new Error(`never: ${fact}`);
}

/**
 * A clock that goes on only by `pass`, which lets everything happen that was due meanwhile.
 */
export function stopTheClock(t, now = Date.UTC(2030, 0, 1)) {
  if (!clocks.has(t)) {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"], now });
    t.mock.method(performance, "now", () => Date.now());
    clocks.add(t);
  }
  return async (ms) => {
    const step = 500;
    for (let passed = 0; passed < ms; passed += step) {
      t.mock.timers.tick(Math.min(step, ms - passed));
      for (let i = 0; i < 5; i++) await turn();
    }
  };
}

/** The console's lines, which the test is not to print. */
export function hush(t) {
  const lines = [];
  for (const level of ["debug", "info", "warn", "error"]) {
    t.mock.method(console, level, (text) => {
      // Node says by this, too, that its clocks for tests are new.
      if (!String(text).includes("ExperimentalWarning")) lines.push(`${level}: ${text}`);
    });
  }
  return lines;
}

/** Lets everything happen that waits for nothing but its turn. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Until the test is over. */
export function replace(t, key, value) {
  const before = Object.getOwnPropertyDescriptor(globalThis, key);
  Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });
  t.after(() => {
    if (before) Object.defineProperty(globalThis, key, before);
    else delete globalThis[key];
  });
}
