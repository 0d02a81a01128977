// What the tests of the causes share: the proof that a cause was named once in every place, or
// that nothing was, and a backend that can have the faults which the reference backend cannot.
//
// Rule: a fault is a real one, on a socket of its own; the keeper is told nothing of it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import http from "node:http";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PREFIX = "[session-keeper] ";

/** What the keeper says on the console, as `[level, text]`. To be called before it is made. */
export function listen({ page }) {
  const lines = [];
  page.on("console", (message) => {
    const text = message.text();
    if (text.startsWith(PREFIX)) lines.push([message.type(), text.slice(PREFIX.length)]);
  });
  return lines;
}

/**
 * Waits until `cause` is named: once as an event, once in the history and once on the console,
 * by the sentence that `says` makes of the evidence, with a page that exists and no other cause
 * beside it. `evidence`: its exact fields, each a value or `[least, most]`. Gives it.
 */
export async function assertNamed(visitor, lines, { cause, says, evidence, within }) {
  const isNamed = () => window.events.some(({ type }) => type === "diagnosis");
  await visitor.until(`${cause} is named`, isNamed, { within });
  const [event, ...others] = await visitor.events("diagnosis");
  assert.deepEqual(others, [], `more than one\n${await visitor.story()}`);
  assert.equal(event.cause, cause, await visitor.story());
  assert.deepEqual(Object.keys(event.evidence), Object.keys(evidence));
  for (const [field, wanted] of Object.entries(evidence)) {
    const is = event.evidence[field];
    const [least, most] = Array.isArray(wanted) ? wanted : [wanted, wanted];
    assert.ok(is === wanted || (is >= least && is <= most), `${field} is ${is}, not ${wanted}`);
  }
  const docs = `session-keeper/docs/causes/${cause}.md`;
  assert.equal(event.docs, docs);
  assert.ok(existsSync(root + docs.slice(docs.indexOf("/") + 1)), `${docs} is missing`);

  const text = `${says(event.evidence)} (${docs})`;
  const entries = await visitor.history("diagnosis");
  assert.equal(entries.length, 1);
  const [{ at: _, ...entry }] = entries;
  assert.deepEqual(entry, { code: "diagnosis", level: "warn", text, cause, ...event.evidence });
  assert.deepEqual(named(lines), [["warn", text]]);
  return event.evidence;
}

/** Nothing was named, anywhere. */
export async function assertNothingNamed(visitor, lines) {
  assert.deepEqual(await visitor.events("diagnosis"), [], await visitor.story());
  assert.deepEqual(await visitor.history("diagnosis"), []);
  assert.deepEqual(named(lines), []);
}

const named = (lines) => lines.filter(([, text]) => text.includes("docs/causes/"));

/**
 * Starts a backend of another origin, which ends with the test.
 * `tokens`: "shared" by all workers and kept over restarts, or known to one "worker".
 * `says`: which of "instance", "boot", "own" (a boot id of each worker), "uptime" its answers tell;
 * `named`: the name of every instance, where they share one.
 * `allows`: the paths that other origins may call, when not all. `page`: what else is asked for is
 * answered by a page, not by 404.
 */
export async function startBackend(test, options = {}) {
  const backend = new Backend(options);
  await backend.start();
  test.after(() => backend.stop());
  return backend;
}

/** The heads of requests that a page of another origin may not send unasked. */
const HEADS = "authorization, content-type, x-background";

class Backend {
  /** Requests, oldest first. */
  requests = [];
  #options;
  #kept = new Map();
  #revoked = new Set();
  #workers = [];
  #server;
  #port = 0;

  constructor(options) {
    this.#options = { workers: 1, tokens: "shared", says: [], ...options };
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start() {
    const { workers, tokens, named } = this.#options;
    const boot = randomBytes(8).toString("hex");
    const since = performance.now();
    this.#workers = Array.from({ length: workers }, (_, index) => {
      const names = tokens === "worker" ? new Map() : this.#kept;
      const instance = named ?? `${index + 1}`;
      return { instance, boot, own: `${boot}-${index}`, since, names };
    });
    this.#server = http.createServer((request, response) => this.#handle(request, response));
    await new Promise((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  upForMs() {
    return performance.now() - this.#workers[0].since;
  }

  /** Ends the session of a token: every worker refuses it from now on. */
  revoke(token) {
    this.#revoked.add(token);
  }

  #handle(request, response) {
    const { method } = request;
    const { pathname: path } = new URL(request.url, this.origin);
    // As by a proxy that takes turns, whatever else is asked meanwhile.
    const turn = this.requests.filter((seen) => seen.method === method && seen.path === path);
    const worker = this.#workers[turn.length % this.#workers.length];
    const { allows, page } = this.#options;
    const isAllowed = !allows || allows.includes(path);
    if (isAllowed) response.setHeader("Access-Control-Allow-Origin", "*");
    if (isAllowed && method === "OPTIONS") {
      response.setHeader("Access-Control-Allow-Headers", HEADS);
    }
    const answer = this.#answer(worker, `${method} ${path}`, request);
    const { status, ...body } = answer ?? { status: page ? 200 : 404 };
    this.requests.push({ method, path, status });
    response.statusCode = status;
    response.setHeader("Content-Type", answer || !page ? "application/json" : "text/html");
    response.end(answer || !page ? JSON.stringify(body) : page);
  }

  #answer(worker, route, request) {
    if (route.startsWith("OPTIONS")) return { status: 204 };
    if (route === "GET /api/health") return { status: 200, ...this.#told(worker) };
    if (route === "POST /auth/login") return { status: 200, access_token: this.#issue(worker) };
    if (route !== "GET /auth/me") return undefined;
    const username = this.#nameOf(worker, (request.headers.authorization ?? "").slice(7));
    const { uptime: _, ...told } = this.#told(worker);
    return username ? { status: 200, username, ...told } : { status: 401, ...told };
  }

  #told({ instance, boot, own, since }) {
    const uptime = (performance.now() - since) / 1000;
    const all = { instance, boot, own, uptime };
    const told = this.#options.says.map((name) => [name === "own" ? "boot" : name, all[name]]);
    return Object.fromEntries(told);
  }

  #issue({ names }) {
    const token = randomBytes(24).toString("base64url");
    names.set(token, "demo");
    return token;
  }

  #nameOf({ names }, token) {
    return this.#revoked.has(token) ? undefined : names.get(token);
  }
}
