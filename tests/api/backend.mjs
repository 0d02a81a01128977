// The reference backend as a process, on a folder that goes with it.
//
// Rule: what it wrote is looked through at its end: no panic, no password, no token.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
export const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
export const program = path.join(target, "debug/session-keeper-backend");

export const PASSWORD = "correct horse battery staple";
/** `quitter` is the one whose sessions are ended; the others are there to be found or not. */
export const USERS = [
  "ada",
  "quitter",
  "bob@example.com",
  "Zoë",
  "名前",
  "a b",
  "O'Neil",
  "x".repeat(100),
];

/** Gives `work` a server, and fails where its log shows what it must not. */
export async function withServer(options, work) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-api-"));
  try {
    for (const name of USERS) await addUser(folder, name);
    const server = await start(folder, options);
    try {
      await work(server);
    } catch (error) {
      const last = server.log.split("\n").slice(-20).join("\n");
      error.message += `\nthe server's last lines:\n${last}`;
      throw error;
    } finally {
      await server.end();
    }
    await look(server);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function addUser(folder, name) {
  const args = ["user", "add", name, "--password-stdin"];
  const child = spawn(program, args, { cwd: folder, stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(PASSWORD);
  const code = await ending(child);
  if (code !== 0) throw new Error(`user add ${name} failed`);
}

async function start(folder, options) {
  const args = ["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:data/tokens.sqlite"];
  args.push("--log-level", "debug", ...options);
  const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const ended = ending(child);
  const stop = () => child.kill("SIGKILL");
  process.once("exit", stop);
  const secrets = path.join(folder, "secrets");
  await writeFile(secrets, `${PASSWORD}\n`);
  const server = { folder, secrets, log: "" };
  child.stderr.setEncoding("utf8").on("data", (text) => (server.log += text));
  server.end = async () => {
    process.off("exit", stop);
    child.kill("SIGTERM");
    await ended;
  };
  const lines = readline.createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise((resolve) => lines.once("line", resolve)),
    ended.then((code) => `it ended with ${code}`),
  ]);
  server.origin = first.match(/^listening on (http:\S+)$/)?.[1];
  if (!server.origin) throw new Error(`the backend does not listen: ${first}\n${server.log}`);
  return server;
}

async function look({ log, secrets }) {
  const lines = log.split("\n");
  const panic = lines.find((line) => /panicked|internal:/.test(line));
  if (panic) throw new Error(`the server's log has a panic: ${panic}`);
  if (!/ \/auth\/login 200 /.test(log)) throw new Error("the server's log has no sign-in at all");
  for (const secret of (await readFile(secrets, "utf8")).split("\n").filter(Boolean)) {
    if (log.includes(secret)) throw new Error("the server's log has a password or a token");
  }
}

function ending(child) {
  return new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
}
