// The servers that are measured: the reference backend, and Flask under gunicorn.
//
// Rule: each has the same one core and a folder of its own, and is gone when the run ends. Each
// signs the same user in by the same request.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { python, target } from "./install.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
/** The core of whichever server is measured; everything else runs on the others. */
export const CORE = "0";
const USER = "ada.lovelace@mail.tld";
const PASSWORD = "correct horse battery staple";
export const TOKENS = 16;
const STARTS_WITHIN_MS = 30_000;

const running = new Set();
process.once("exit", () => running.forEach(kill));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** How gunicorn is run. Its documentation has 2 to 4 threads a core, and 2 × cores + 1 workers. */
export const gunicornKinds = {
  sync: ["--worker-class", "sync"],
  "gthread, 4 threads": ["--worker-class", "gthread", "--threads", "4"],
  "gthread, 3 workers of 4 threads": [
    ...["--worker-class", "gthread", "--threads", "4", "--workers", "3"],
  ],
};

/** Where cargo puts what is built for speed. */
export function built(name) {
  const file = path.join(target, "release", name);
  if (existsSync(file)) return file;
  throw new Error(`${path.relative(process.cwd(), file)} is missing: use npm run bench:backend`);
}

/** Starts the reference backend. Its log goes to a file, as people have it. */
export async function startOurs(store, args = []) {
  const program = built("session-keeper-backend");
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-bench-"));
  const add = execFile(
    program,
    ["user", "add", USER, "--password-stdin", "--users", "users.json"],
    {
      cwd: folder,
    },
  );
  add.stdin.end(PASSWORD);
  const [code] = await once(add, "exit");
  if (code !== 0) throw new Error("the user could not be added");
  const files = ["--users", "users.json", "--tags", "tags.json", "--key-file", "keys"];
  const serve = ["serve", "--listen", "127.0.0.1:0", "--store", storeIn(store, folder), ...files];
  const log = await open(path.join(folder, "backend.log"), "a");
  const child = spawn("taskset", ["-c", CORE, program, ...serve, ...args], {
    ...{ cwd: folder, stdio: ["ignore", "pipe", log.fd] },
  });
  await log.close();
  running.add(child.pid);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(() => {
      throw new Error(`the backend ended at once: see ${folder}/backend.log`);
    }),
  ]);
  return finish({ origin: line.split(" ").at(-1), pid: child.pid, child, folder });
}

/** Starts Flask under gunicorn. */
export async function startFlask(store, kind) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-bench-"));
  const env = {
    PATH: process.env.PATH,
    PYTHONDONTWRITEBYTECODE: "1",
    STORE: storeIn(store, folder),
    BENCH_USER: USER,
    BENCH_PASSWORD: PASSWORD,
  };
  await promisify(execFile)(python, [path.join(here, "flask_app.py")], { env });
  const port = await freePort();
  const args = ["-m", "gunicorn", "flask_app:app", "--pythonpath", here, "--log-level", "warning"];
  args.push("--bind", `127.0.0.1:${port}`, "--workers", "1", "--keep-alive", "75");
  args.push("--worker-tmp-dir", existsSync("/dev/shm") ? "/dev/shm" : folder);
  args.push(...gunicornKinds[kind]);
  const child = spawn("taskset", ["-c", CORE, python, ...args], {
    ...{ cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] },
  });
  running.add(child.pid);
  const server = { origin: `http://127.0.0.1:${port}`, pid: child.pid, child, folder };
  await answering(server);
  return finish(server);
}

/** One that answers, with tokens. */
async function finish({ origin, pid, child, folder }) {
  const server = { origin, pid, tokens: [] };
  server.end = async () => {
    const ended = once(child, "exit");
    kill(pid);
    await ended;
    running.delete(pid);
    await rm(folder, { recursive: true, force: true });
  };
  while (server.tokens.length < TOKENS) server.tokens.push(await signIn(origin));
  return server;
}

async function signIn(origin) {
  const response = await fetch(`${origin}/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Connection: "close" },
    body: JSON.stringify({ username: USER, password: PASSWORD }),
  });
  if (!response.ok) throw new Error(`a sign-in was answered by ${response.status}`);
  return (await response.json()).access_token;
}

async function answering({ origin, child }) {
  const deadline = performance.now() + STARTS_WITHIN_MS;
  for (;;) {
    const answer = await fetch(`${origin}/api/health`).catch(() => undefined);
    if (answer?.ok) return;
    if (child.exitCode !== null) throw new Error("gunicorn ended at once: its words stand above");
    if (performance.now() > deadline) throw new Error("gunicorn did not answer in time");
    await delay(50);
  }
}

function storeIn(store, folder) {
  return store === "sqlite" ? `sqlite:${path.join(folder, "sessions.db")}` : store;
}

/** gunicorn ends its workers by itself. */
function kill(pid) {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
