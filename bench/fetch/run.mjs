// What `keeper.fetch` adds to `fetch`: both in turn in one page of a real Chromium, to a server on
// the loopback that answers at once. Prints medians and judges nothing.
//
// `own` is the time that passes in `keeper.fetch` outside of `fetch`, before it and after it. On a
// busy machine it is the figure to read: the others differ by what the network takes.
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
  console.log("median µs   fetch  same options  keeper.fetch   added     own");
  for (const [name, { init, options }] of Object.entries(CASES)) {
    const page = await browser.newPage();
    await page.goto(address);
    const figures = await page.evaluate(measure, init, options, Number(values.rounds));
    await page.close();
    const [plain, same, kept, own] = figures;
    const columns = [
      [plain, 16],
      [same, 13],
      [kept, 13],
      [kept - plain, 7],
      [own, 7],
    ];
    const row = columns.map(([figure, width]) => figure.toFixed(0).padStart(width));
    console.log(`${row.join(" ")}   ${name}`);
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
  const times = [...kinds, "own"].map(() => []);
  const native = globalThis.fetch;
  let inner;
  const timed = (...given) => {
    inner = [performance.now()];
    return native(...given).then((response) => {
      inner[1] = performance.now();
      return response;
    });
  };
  for (let round = -200; round < rounds; round++) {
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = (round + 200 + turn) % kinds.length;
      // Every other round, so that the watch costs the other figures nothing.
      const isTimed = kind === 2 && round % 2 === 0;
      if (isTimed) globalThis.fetch = timed;
      const began = performance.now();
      const response = await kinds[kind]();
      const took = performance.now() - began;
      globalThis.fetch = native;
      await response.text();
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      if (round < 0) continue;
      if (isTimed) times[3].push((took - (inner[1] - inner[0])) * 1000);
      else times[kind].push(took * 1000);
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
