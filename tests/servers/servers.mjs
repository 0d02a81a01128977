// One server that others wrote, with its workers: started, stopped, restarted, and ended for good.
//
// Rule: a port and a data folder of its own for each server; nothing of it outlives `end`, not
// even where a worker hangs. Knows no browser and no keeper.

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { dist, testPages } from "../e2e/platform.mjs";
import { install, nodeModules, python } from "./install.mjs";

const apps = fileURLToPath(new URL("./apps/", import.meta.url));
/** Four workers that import a framework on a busy machine. */
const STARTS_WITHIN_MS = 90_000;
const STOPS_WITHIN_MS = 10_000;
const POLL_MS = 100;
/** A test freezes workers for some seconds again and again: nobody must replace them. */
const TAKEN_FOR_DEAD_S = 300;

/** How each kind is run. `keepAliveS`: for how long a connection without requests is kept. */
const kinds = {
  "gunicorn sync": (given) => [python, gunicorn("flask_app:app", given)],
  "gunicorn gthread": (given) => [python, threaded("flask_app:app", given)],
  "Django SimpleJWT": (given) => [python, threaded("django_app:application", given)],
  "Flask-JWT-Extended": (given) => [python, threaded("flask_jwt_app:app", given)],
  "OAuth 2.0": () => [process.execPath, [path.join(apps, "oauth_app.cjs")]],
  uvicorn: ({ port, workers, keepAliveS, watched }) => [
    python,
    [
      ...["-m", "uvicorn", "fastapi_app:app", "--app-dir", apps, "--port", `${port}`],
      ...["--timeout-keep-alive", `${keepAliveS}`, "--timeout-graceful-shutdown", "1"],
      ...["--log-level", "warning", "--timeout-worker-healthcheck", `${TAKEN_FOR_DEAD_S}`],
      ...(watched ? ["--reload", "--reload-dir", watched] : ["--workers", `${workers}`]),
    ],
  ],
  "node cluster": () => [process.execPath, [path.join(apps, "express_app.cjs")]],
};

function threaded(app, given) {
  const threads = ["--worker-class", "gthread", "--threads", "4"];
  return [...gunicorn(app, given), ...threads, "--keep-alive", `${given.keepAliveS}`];
}

function gunicorn(app, { port, workers }) {
  return [
    ...["-m", "gunicorn", app, "--pythonpath", apps, "--bind", `127.0.0.1:${port}`],
    ...["--workers", `${workers}`, "--graceful-timeout", "1", "--log-level", "warning"],
    ...["--timeout", `${TAKEN_FOR_DEAD_S}`],
  ];
}

/**
 * What the kinds keep connections for when nobody says otherwise (measured). Node adds a second to
 * what it is told.
 */
const usually = { "gunicorn sync": 0, uvicorn: 5, "node cluster": 6 };
const GUNICORN_S = 2;
const NODE_ADDS_S = 1;
const running = new Set();
process.once("exit", () => running.forEach((group) => signal(group, "SIGKILL")));

/**
 * Starts a server and waits until all its workers take requests.
 * `tokens`: memory, file-once, shared, signed (one key, kept over restarts) or signed-random.
 * `says`: what `/api/health` tells besides its status: "boot", "uptime" or "boot,uptime".
 * `accessSeconds`: for how long a token is good, where it can be refreshed.
 * `reload`: uvicorn watches a folder, and `change` changes a file in it.
 */
export async function startServer(options) {
  await install();
  const data = await mkdtemp(path.join(tmpdir(), "session-keeper-servers-"));
  const server = new Server({ port: await freePort(), data, ...options });
  try {
    await mkdir(server.watched);
    await server.change();
    await server.start();
    return server;
  } catch (error) {
    await server.end();
    throw error;
  }
}

class Server {
  #options;
  #child;
  #complaints = "";

  constructor({ kind, workers = 1, says = "", reload = false, accessSeconds = 6, ...given }) {
    const { tokens, port, data, keepAliveS } = given;
    this.#options = { kind, workers, tokens, port, says, reload, accessSeconds };
    this.#options.keepAliveS = keepAliveS ?? usually[kind] ?? GUNICORN_S;
    this.data = data;
    this.watched = path.join(data, "watched");
    this.origin = `http://127.0.0.1:${port}`;
    this.kind = kind;
  }

  async start() {
    const { kind, reload, ...given } = this.#options;
    const up = path.join(this.data, "workers");
    await rm(up, { recursive: true, force: true });
    await mkdir(up);
    const [command, args] = kinds[kind]({ ...given, watched: reload && this.watched });
    // A group of its own, so that the workers end with it.
    const stdio = ["ignore", "pipe", "pipe"];
    const env = this.#environment();
    this.#child = spawn(command, args, { cwd: this.data, detached: true, env, stdio });
    running.add(this.#child.pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.#complaints += text));
    }
    await this.#until("all workers are up", STARTS_WITHIN_MS, async () => {
      if (this.#child.exitCode !== null) throw new Error(`it ended\n${this.#complaints}`);
      return (await readdir(up)).length >= given.workers && (await this.#answers());
    });
    this.startedAt = Date.now();
  }

  #environment() {
    const { port, workers, tokens, says, keepAliveS, accessSeconds } = this.#options;
    return {
      PATH: process.env.PATH,
      NODE_PATH: nodeModules,
      PYTHONDONTWRITEBYTECODE: "1",
      PORT: `${port}`,
      WORKERS: `${workers}`,
      // No time at all would mean for ever.
      KEEP_ALIVE_MS: `${Math.max(1, (keepAliveS - NODE_ADDS_S) * 1_000)}`,
      DATA: this.data,
      PAGES: testPages,
      PACKAGE: dist,
      TOKENS: tokens === "signed-random" ? "signed" : tokens,
      // The mistake of the mode without it: a key by chance where the environment gives none.
      ...(tokens === "signed" ? { SECRET_KEY: `kept-for-${port}-`.repeat(4) } : {}),
      HEALTH_SAYS: says,
      ACCESS_SECONDS: `${accessSeconds}`,
    };
  }

  async #answers() {
    const answer = await this.ask("/api/health").catch(() => undefined);
    return answer?.status === 200;
  }

  /** Ends the whole process group, and waits until nothing of it is left. */
  async stop() {
    const group = this.#child?.pid;
    if (!running.has(group)) return;
    signal(group, "SIGTERM");
    signal(group, "SIGCONT");
    const isGone = () => !signal(group, 0);
    await this.#until("the server ends", STOPS_WITHIN_MS, isGone).catch(async () => {
      signal(group, "SIGKILL");
      await this.#until("the server is killed", STOPS_WITHIN_MS, isGone);
    });
    running.delete(group);
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  async end() {
    await this.stop();
    await rm(this.data, { recursive: true, force: true });
  }

  /** The workers that take requests, by the name that they give in `X-Worker`. */
  async workers() {
    return readdir(path.join(this.data, "workers"));
  }

  /** Workers that cannot run for a while take no connections: the others get them. */
  async frozen(workers, work) {
    workers.forEach((pid) => process.kill(Number(pid), "SIGSTOP"));
    try {
      return await work();
    } finally {
      workers.forEach((pid) => process.kill(Number(pid), "SIGCONT"));
    }
  }

  /** Changes a file in the folder that `--reload` watches. */
  async change() {
    const file = path.join(this.watched, "changed.py");
    await writeFile(file, "");
    await utimes(file, new Date(), new Date());
  }

  /** A request on a connection of its own. */
  async ask(resource, { token, ...init } = {}) {
    const headers = { Connection: "close" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(this.origin + resource, { ...init, headers });
    const body = await response.text();
    return { status: response.status, worker: response.headers.get("X-Worker"), body };
  }

  /** Ends a session on the server: from now on every worker refuses the token. */
  async revoke(token) {
    const { status } = await this.ask("/auth/logout", { method: "POST", token });
    if (status !== 204) throw new Error(`revoking was answered by ${status}`);
    return Date.now();
  }

  /** What the server wrote. */
  get log() {
    return this.#complaints;
  }

  async #until(what, within, fact) {
    const deadline = performance.now() + within;
    while (!(await fact())) {
      if (performance.now() > deadline) {
        throw new Error(`${this.kind}: not within ${within} ms: ${what}\n${this.#complaints}`);
      }
      await delay(POLL_MS);
    }
  }
}

/** Signals a process group. Gives whether there was one. */
function signal(group, name) {
  try {
    process.kill(-group, name);
    return true;
  } catch (error) {
    if (error.code === "ESRCH") return false;
    throw error;
  }
}

/**
 * Below the ports that the system gives to connections by itself: a server that is restarted must
 * find its port free.
 */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = net.createServer();
    const isFree = await new Promise((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
