// What `keeper.fetch` adds to `fetch`: both in turn in one page of a real Chromium, to a server on
// the loopback that answers at once. Prints medians and judges nothing.
//
//   node bench/fetch/run.mjs [--rounds N]     (`npm run bench:fetch` builds the package first)

import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import puppeteer from "puppeteer-core";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const { values } = parseArgs({ options: { rounds: { type: "string", default: "3000" } } });

/** What the page measures, by name: the init of a request, and of the keeper for it. */
const CASES = {
  "GET, bearer": { init: {}, options: {} },
  "GET, bearer, headers of the app": { init: { headers: { "X-App": "1" } }, options: {} },
  "POST of JSON, bearer": {
    init: { method: "POST", body: '{"name":"one"}', headers: { "Content-Type": "text/plain" } },
    options: {},
  },
  "GET, cookie": { init: {}, options: { auth: "cookie" } },
};

const server = http.createServer(answer);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}`;
const browser = await puppeteer.launch({
  executablePath: process.env.CHROME || "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-gpu"],
});
try {
  console.log("median µs      fetch   same options   keeper.fetch    added");
  for (const [name, { init, options }] of Object.entries(CASES)) {
    const page = await browser.newPage();
    await page.goto(address);
    const figures = await page.evaluate(measure, init, options, Number(values.rounds));
    await page.close();
    const [plain, same, kept] = figures.map((figure) => figure.toFixed(0).padStart(8));
    const added = (figures[2] - figures[0]).toFixed(0).padStart(8);
    console.log(
      `${plain.padStart(20)} ${same.padStart(14)} ${kept.padStart(14)} ${added}   ${name}`,
    );
  }
} finally {
  await browser.close();
  server.close();
}

/**
 * In the page. Three kinds in turn, each a request until its head is here: `fetch` with the
 * credential; `fetch` with what keeps the credential from another origin as well; `keeper.fetch`.
 */
async function measure(init, options, rounds) {
  const { createKeeper } = await import("/dist/index.js");
  const never = 2 ** 31 - 1;
  const keeper = createKeeper({
    log: "silent",
    persist: "memory",
    health: { everyMs: never, timeoutMs: 10_000 },
    verify: { everyMs: never },
    ...options,
  });
  await (options.auth ? keeper.signIn({ user: {} }) : keeper.signIn("token"));
  await keeper.verify();
  const isBearer = !options.auth;
  const headers = { ...init.headers, ...(isBearer && { Authorization: "Bearer token" }) };
  const plain = { ...init, headers, ...(!isBearer && { credentials: "include" }) };
  const isOwnPost = init.method === "POST";
  const within = isOwnPost ? { mode: "same-origin" } : { redirect: "manual" };
  const url = `${location.origin}/api/nodes`;
  const kinds = [
    () => fetch(url, plain),
    () => fetch(url, { ...plain, ...(isBearer && within) }),
    () => keeper.fetch("/api/nodes", init),
  ];
  const times = kinds.map(() => []);
  for (let round = -200; round < rounds; round++) {
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = (round + 200 + turn) % kinds.length;
      const began = performance.now();
      const response = await kinds[kind]();
      const took = performance.now() - began;
      await response.text();
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      if (round >= 0) times[kind].push(took * 1000);
    }
  }
  keeper.stop();
  return times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
}

async function answer(request, response) {
  // Without isolation the clock of a page has steps of 100 µs.
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  response.setHeader("Cache-Control", "no-store");
  const { pathname } = new URL(request.url, "http://localhost");
  request.resume();
  if (pathname.startsWith("/dist/")) {
    response.setHeader("Content-Type", "text/javascript");
    return response.end(await readFile(path.join(dist, path.basename(pathname))));
  }
  if (pathname === "/") {
    response.setHeader("Content-Type", "text/html");
    return response.end("<!doctype html><title>bench</title>");
  }
  response.setHeader("Content-Type", "application/json");
  return response.end('{"status":"ok"}');
}
