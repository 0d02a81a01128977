// Prints how long a page waits at its first `createKeeper()`, in Chromium: hex to bytes, compiling,
// instantiating and all the face does, each time in a page that has seen none of it before.
//
// usage: cargo xtask build && node xtask/measure-boot.mjs
// It measures the package in dist/, with `Uint8Array.fromHex` and without it (engines before
// 2025), and how much memory the wasm holds then. Nobody holds these numbers to a budget in CI:
// they depend on the machine.

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const PAGES = 20;
const SLOWDOWNS = [1, 6];
const ROOT = join(import.meta.dirname, "..");
const CHROMES = [process.env.CHROME, "/usr/bin/chromium", "/usr/bin/google-chrome"];
const WAYS = { fromHex: "", "by hand": "delete Uint8Array.fromHex;" };

const chrome = CHROMES.find((path) => path && existsSync(path));
if (!chrome) fail("Chromium was not found: set CHROME to its program");
const file = join(ROOT, "dist/index.js");
if (!existsSync(file)) fail("nothing is built: run cargo xtask build first");
const source = readFileSync(file, "utf8");

const server = createServer((request, response) => {
  const { searchParams: query, pathname } = new URL(request.url, "http://127.0.0.1");
  const serial = query.get("serial");
  if (pathname === "/page") {
    response.setHeader("Content-Type", "text/html");
    response.end(page(WAYS[query.get("way")], serial));
  } else if (pathname === "/package.js") {
    response.setHeader("Content-Type", "text/javascript");
    // A text that the engine has seen is compiled already, so each page has one of its own.
    response.end(`/* ${serial} */${source}`);
  } else {
    response.setHeader("Content-Type", "application/json");
    response.end("{}");
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await puppeteer.launch({ executablePath: chrome, args: ["--no-sandbox"] });
try {
  console.log(`${await browser.version()}, medians of ${PAGES} pages\n`);
  console.log("| CPU | way | first createKeeper(), ms | wasm memory, KiB |\n|---|---|---|---|");
  for (const slowdown of SLOWDOWNS) {
    for (const row of await measure(slowdown)) console.log(row);
  }
} finally {
  await browser.close();
  server.close();
}

function page(prepare, serial) {
  return `<!doctype html><title>boot</title><script type="module">
    ${prepare}
    const memories = [];
    const { Instance } = WebAssembly;
    WebAssembly.Instance = function (...given) {
      const instance = new Instance(...given);
      memories.push(instance.exports.memory);
      return instance;
    };
    WebAssembly.Instance.prototype = Instance.prototype;
    const { createKeeper } = await import("/package.js?serial=${serial}");
    const begin = performance.now();
    const keeper = createKeeper();
    const ms = performance.now() - begin;
    await keeper.start();
    window.measured = [ms, memories[0].buffer.byteLength / 1024];
  </script>`;
}

/** A row for each way. The ways take turns, so that a busy moment of the machine meets all. */
async function measure(slowdown) {
  const names = Object.keys(WAYS);
  const rows = new Map(names.map((name) => [name, []]));
  for (let serial = 0; serial < PAGES; serial++) {
    for (const name of names) rows.get(name).push(await boot(name, `${slowdown}-${serial}`));
  }
  return names.map((name) => {
    const [ms, kib] = [0, 1].map((column) => median(rows.get(name).map((row) => row[column])));
    return `| ×${slowdown} | ${name} | ${ms.toFixed(1)} | ${kib} |`;
  });

  /** In a context of its own, which Chromium gives a process of its own. */
  async function boot(way, serial) {
    const context = await browser.createBrowserContext();
    try {
      const tab = await context.newPage();
      await tab.emulateCPUThrottling(slowdown);
      const query = new URLSearchParams({ way, serial: `${way}-${serial}` });
      await tab.goto(`http://127.0.0.1:${server.address().port}/page?${query}`);
      await tab.waitForFunction("window.measured");
      return await tab.evaluate("window.measured");
    } finally {
      await context.close();
    }
  }
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
