// A server of a consumer's own, on a port that was free.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const UP_WITHIN_MS = 60_000;

/** Starts a program of Node that serves pages, and waits until it does. */
export async function startProgram(file, argumentsOf, cwd, envOf, node = process.execPath) {
  const port = String(await freePort());
  const child = spawn(node, [file, ...argumentsOf(port)], {
    cwd,
    env: { ...process.env, ...envOf?.(port) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (told += text));
  const ended = new Promise((resolve) => child.once("close", resolve));
  const end = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  const origin = `http://localhost:${port}`;
  const until = performance.now() + UP_WITHIN_MS;
  while (performance.now() < until && child.exitCode === null) {
    const isUp = await fetch(origin).then(
      () => true,
      () => false,
    );
    if (isUp) return { origin, end };
    await delay(200);
  }
  await end();
  throw new Error(`${file} does not serve:\n${told.slice(-2_000)}`);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
