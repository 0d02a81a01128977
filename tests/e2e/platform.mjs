// The real front door with the real backend behind it, one of its own for each test.
//
// Rule: free ports, a data folder of its own, and nothing that outlives the test.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const built = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug");

/** The built package. */
export const dist = path.join(root, "dist");
/** The same as the demo serves it, which hands out traces. */
export const tracedPackage = path.join(built, "../xtask/demo/dist");
export const xtask = path.join(built, "xtask");
export const testPages = path.join(root, "tests/e2e/pages");
export const demoPages = path.join(root, "www");

/**
 * Starts a platform and waits until it is ready.
 * `package` is the folder of another package than the built one.
 * `store` and `backend` (more arguments of its `serve`) and `env` are for the backend.
 * `demo` and `api` are origins; `control` carries out one order and gives the state after it.
 */
export async function startPlatform(options = {}) {
  const { www = testPages, wakeMs = 3_000, store, backend: more = [], env = {} } = options;
  const { package: served = dist } = options;
  const binary = required(path.join(built, "session-keeper-platform"));
  const backend = required(path.join(built, "session-keeper-backend"));
  required(path.join(served, "index.js"));
  const data = await mkdtemp(path.join(tmpdir(), "session-keeper-e2e-"));
  const secret = randomBytes(32).toString("hex");
  const child = spawn(
    binary,
    [
      ...["--backend", backend, "--www", www, "--package", served, "--data", path.join(data, "d")],
      ...["--port", "0", "--api-port", "0", "--wake-ms", String(wakeMs), "--user", "demo:demo"],
      ...(store ? ["--store", store] : []),
      ...more.flatMap((argument) => ["--backend-arg", argument]),
    ],
    { env: { ...env, PLATFORM_SECRET: secret }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise((resolve) => child.once("close", resolve));
  const end = async () => {
    child.kill("SIGTERM");
    await ended;
    await rm(data, { recursive: true, force: true });
  };
  try {
    const { demo, api } = await addresses(child, ended);
    return { demo, api, end, ...controlOf(demo, secret) };
  } catch (error) {
    await end();
    throw error;
  }
}

function required(file) {
  if (existsSync(file)) return file;
  const name = path.relative(root, file);
  throw new Error(`${name} is missing: run \`npm run build\` and \`cargo build --workspace\``);
}

async function addresses(child, ended) {
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaints += text));
  const found = {};
  const ready = (async () => {
    for await (const line of readline.createInterface({ input: child.stdout })) {
      const [, name, value] = /^(demo|api|control): (\S+)/.exec(line) ?? [];
      if (name === "control") return found;
      if (name) found[name] = new URL(value).origin;
    }
    await ended;
    throw new Error(`the platform did not start: ${complaints}`);
  })();
  return ready;
}

function controlOf(demo, secret) {
  const ask = async (resource, init) => {
    const headers = { "X-Platform-Secret": secret };
    const response = await fetch(`${demo}/__platform/${resource}`, { ...init, headers });
    const answer = await response.json();
    if (!response.ok) throw new Error(`the platform refused: ${answer.error}`);
    return answer;
  };
  return {
    control: (action, fields = {}) =>
      ask("do", { method: "POST", body: JSON.stringify({ action, ...fields }) }),
    fault: (path, answer, times) =>
      ask("do", { method: "POST", body: JSON.stringify({ action: "fault", path, answer, times }) }),
    state: () => ask("state"),
    /** Requests to the backend, oldest first; those that match `wanted`. */
    requests: async (wanted = {}) => {
      const all = await ask("requests");
      const fits = (request) => Object.entries(wanted).every(([key, is]) => request[key] === is);
      return all.filter(fits);
    },
    forgetRequests: () => ask("requests", { method: "DELETE" }),
  };
}
