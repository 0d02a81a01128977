// Prints how long a page waits for the wasm at its first keeper, in Chromium: unpacking, compiling
// and instantiating, each time in a page that has seen none of it before.
//
// usage: cargo xtask build && node xtask/measure-boot.mjs
// It measures the build that lies in js/generated, by the way of the package (base64 and LZMA) and
// by hex, with and without `Uint8Array.fromHex`. Nobody holds these numbers to a budget: they
// depend on the machine.

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import puppeteer from "puppeteer-core";

const PAGES = 20;
const SLOWDOWNS = [1, 6];
const ROOT = join(import.meta.dirname, "..");
const CHROMES = [process.env.CHROME, "/usr/bin/chromium", "/usr/bin/google-chrome"];

const chrome = CHROMES.find((path) => path && existsSync(path));
if (!chrome) fail("Chromium was not found: set CHROME to its program");
const generated = join(ROOT, "js/generated/bytes.js");
if (!existsSync(generated)) fail("nothing is built: run cargo xtask build first");

const ways = await writeWays();
const server = createServer((request, response) => {
  const { searchParams: query, pathname } = new URL(request.url, "http://127.0.0.1");
  const source = ways[query.get("way")];
  response.setHeader("Content-Type", "text/html");
  // A text that the engine has seen is compiled already, so each page has one of its own.
  response.end(pathname === "/page" ? page(source, query.get("serial")) : "");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await puppeteer.launch({ executablePath: chrome, args: ["--no-sandbox"] });
try {
  console.log(`${await browser.version()}, medians of ${PAGES} pages, milliseconds\n`);
  console.log("| CPU | way | unpack | compile | instantiate | all |\n|---|---|---|---|---|---|");
  for (const slowdown of SLOWDOWNS) {
    for (const row of await measure(slowdown)) console.log(row);
  }
} finally {
  await browser.close();
  server.close();
}

/** The ways to the bytes, each as the text of a script that defines `decode()`. */
async function writeWays() {
  const { packed, size } = await import(pathToFileURL(generated));
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "js/src/unpack.ts")],
    bundle: true,
    minify: true,
    format: "iife",
    globalName: "lzma",
    target: "es2022",
    write: false,
  });
  const unpacker = outputFiles[0].text;
  const bytes = new Function(`${unpacker}; return lzma.unpack(...arguments)`)(packed, size);
  const hex = Buffer.from(bytes).toString("hex");
  return {
    "base64 and LZMA": `${unpacker}
      const packed = "${packed}";
      const decode = () => lzma.unpack(packed, ${size});`,
    "hex, fromHex": `const hex = "${hex}";
      const decode = () => Uint8Array.fromHex(hex);`,
    "hex, by hand": `const hex = "${hex}";
      const decode = () => {
        const bytes = new Uint8Array(hex.length / 2);
        for (let i = 0; i < bytes.length; i++)
          bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
        return bytes;
      };`,
  };
}

function page(source, serial) {
  return `<!doctype html><title>boot</title><script>
    // ${serial}
    ${source}
    const KINDS = {
      function: () => () => {},
      memory: () => new WebAssembly.Memory({ initial: 1 }),
      table: () => new WebAssembly.Table({ initial: 1, element: "anyfunc" }),
      global: () => new WebAssembly.Global({ value: "i32" }, 0),
    };
    const marks = [performance.now()];
    const bytes = decode();
    marks.push(performance.now());
    const module = new WebAssembly.Module(bytes);
    marks.push(performance.now());
    const imports = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
      (imports[from] ??= {})[name] = KINDS[kind]();
    new WebAssembly.Instance(module, imports);
    marks.push(performance.now());
    window.marks = marks;
  </script>`;
}

/** A row for each way. The ways take turns, so that a busy moment of the machine meets all. */
async function measure(slowdown) {
  const names = Object.keys(ways);
  const times = new Map(names.map((name) => [name, []]));
  for (let serial = 0; serial < PAGES; serial++) {
    for (const name of names) {
      times.get(name).push(await boot(name, `${slowdown}-${serial}`, slowdown));
    }
  }
  return names.map((name) => {
    const cells = [0, 1, 2, 3].map((column) =>
      median(times.get(name).map((row) => row[column])).toFixed(1),
    );
    return `| ×${slowdown} | ${name} | ${cells.join(" | ")} |`;
  });
}

/** In a context of its own, which Chromium gives a process of its own. */
async function boot(way, serial, slowdown) {
  const context = await browser.createBrowserContext();
  try {
    const tab = await context.newPage();
    await tab.emulateCPUThrottling(slowdown);
    const query = new URLSearchParams({ way, serial });
    await tab.goto(`http://127.0.0.1:${server.address().port}/page?${query}`);
    const [start, decoded, compiled, end] = await tab.evaluate(() => window.marks);
    return [decoded - start, compiled - decoded, end - compiled, end - start];
  } finally {
    await context.close();
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
