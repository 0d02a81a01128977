// A real Redis or PostgreSQL for one test, on a port and in a folder of its own.
//
// Rule: nothing outlives the test, not even one whose process is killed; the binary sees to that.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const built = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug");

/** Why a test with this store is to be skipped, or false; as node's option `skip`. */
export function leftOut(store) {
  const missing = (process.env.SERVICES_MISSING ?? "").split(",");
  return missing.includes(store) && `${store} is not installed`;
}

/**
 * Starts a `redis` or `postgres` and waits until it answers at `url`.
 * `stop` ends it in order and `kill` by SIGKILL, `start` brings it back with its data, `pause`
 * makes it hang until `resume`; `end` removes it.
 */
export async function startService(store) {
  const child = spawn(required(path.join(built, "session-keeper-services")), [store], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const end = async () => {
    child.stdin.end();
    await ended;
  };
  // One that has ended says so by the missing answer.
  child.stdin.on("error", () => {});
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaints += text));
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (what) => {
    const { value, done } = await lines.next();
    if (!done) return value;
    await ended;
    throw new Error(`${store} did not ${what}: ${complaints.trim()}`);
  };
  try {
    const [, url] = /^url: (\S+)$/.exec(await answer("start")) ?? [];
    if (!url) throw new Error(`${store} did not say where it is`);
    return { url, end, ...ordersTo(store, child.stdin, answer) };
  } catch (error) {
    await end();
    throw error;
  }
}

/** One after another, because the answers come in the order of the questions. */
function ordersTo(store, stdin, answer) {
  let last = Promise.resolve();
  const give = async (order) => {
    stdin.write(`${order}\n`);
    const said = await answer(order);
    if (said !== "done") throw new Error(`${store} did not ${order}: ${said}`);
  };
  const order = (name) => () => {
    const given = last.then(() => give(name));
    last = given.catch(() => {});
    return given;
  };
  const names = ["stop", "kill", "start", "pause", "resume"];
  return Object.fromEntries(names.map((name) => [name, order(name)]));
}

function required(file) {
  if (existsSync(file)) return file;
  const name = path.relative(root, file);
  throw new Error(`${name} is missing: run \`cargo build -p session-keeper-services\``);
}
