// The packed package in the hands of its consumers: built by each, opened in Chromium, and used.
//
// `CONSUMERS=all` tries what `npm run test:consumers` does, and not only the few.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";

import { startApi, WORKS } from "../e2e/runners/api.mjs";
import { makeApp, serveFolder, weigh } from "./app.mjs";
import { few } from "./few.mjs";
import { attempt, openWorkshop } from "./workshop.mjs";

const run = promisify(execFile);
const kinds = [["few", few]];
let isThere = () => true;
if (process.env.CONSUMERS === "all") {
  const node22 = await import("./node22.mjs");
  kinds.push(["many", (await import("./many.mjs")).many], ["node22", node22.newest]);
  isThere = (kind, workshop) => kind !== "node22" || node22.isThere(workshop);
}

let browser;
let profile;
const table = [];
const plain = (value) => JSON.parse(JSON.stringify(value));

before(async () => {
  profile = await mkdtemp(path.join(tmpdir(), "session-keeper-consumers-"));
  browser = await puppeteer.launch({
    executablePath: process.env.CHROME || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run"],
    userDataDir: profile,
  });
});

after(async () => {
  await browser?.close();
  await rm(profile, { recursive: true, force: true });
  const lines = table.map(
    ({ name, raw, gzip, seconds }) =>
      `${name.padEnd(26)}${String(raw).padStart(9)}${String(gzip).padStart(9)}${seconds.padStart(9)}`,
  );
  const head = `${"built by".padEnd(26)}${"raw".padStart(9)}${"gzip".padStart(9)}${"seconds".padStart(9)}`;
  const text = ["", head, ...lines, ""].join("\n");
  console.log(text);
  if (process.env.CONSUMERS_TABLE) await writeFile(process.env.CONSUMERS_TABLE, text);
});

for (const [kind, consumers] of kinds) {
  describe(`consumers (${kind})`, () => {
    let workshop;
    before(async () => (workshop = await openWorkshop(kind)));

    for (const consumer of consumers) {
      const what = consumer.check ? "the package can be used" : "the page keeps a session";
      it(`${consumer.name}: ${what}`, async (t) => {
        if (!isThere(kind, workshop)) return t.skip("needs Node 22 for this machine");
        const began = performance.now();
        const folder = await makeApp(workshop, consumer.name, consumer.files);
        if (consumer.check) return consumer.check(tools(workshop, folder));
        const built = (await consumer.build?.(tools(workshop, folder))) ?? folder;
        await copyPackage(workshop, folder, consumer.package ?? []);
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        const site = consumer.serve
          ? await consumer.serve(tools(workshop, folder))
          : await serveFolder(built, consumer.headers);
        t.after(site.end);
        await visit(t, site.origin, consumer.shows);
        if (!consumer.serve) table.push({ name: consumer.name, seconds, ...(await weigh(built)) });
      });
    }
  });
}

describe("in Node", () => {
  it("the installed package is found by import and by require, and is inert", async () => {
    const workshop = await openWorkshop("few");
    const use = "const k = createKeeper(); k.start().then((s) => console.log(s.session))";
    const ways = {
      "a.mjs": `import { createKeeper } from "session-keeper"; ${use}`,
      "b.cjs": `const { createKeeper } = require("session-keeper"); ${use}`,
    };
    const folder = await makeApp(workshop, "node", ways);
    for (const file of Object.keys(ways)) {
      const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder });
      assert.deepEqual([stdout, stderr], ["restoring\n", ""]);
    }
  });
});

/** What a consumer builds with. `node` runs a program of an installed package. */
function tools(workshop, folder) {
  const program = (name) => path.join(workshop, "node_modules", name);
  const node = (name, args, env) =>
    attempt(process.execPath, [program(name), ...args], folder, env);
  const script = (file) => attempt(process.execPath, [file], folder);
  return { workshop, folder, program, node, script };
}

async function copyPackage(workshop, folder, files) {
  if (files.length) await mkdir(path.join(folder, "session-keeper"));
  for (const file of files) {
    const from = path.join(workshop, "node_modules/session-keeper/dist", file);
    await cp(from, path.join(folder, "session-keeper", file));
  }
}

/** Opens the app, and compares what it saw with what it has to see. */
async function visit(t, origin, shows = "") {
  const api = await startApi();
  t.after(api.end);
  const context = await browser.createBrowserContext();
  t.after(() => context.close());
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
  await page.goto(`${origin}/?api=${api.origin}`);
  const told = () => document.documentElement.dataset.seen;
  const seen = await page.waitForFunction(told, { timeout: 30_000 }).catch((error) => {
    throw new Error(`${error.message}: ${errors.join("; ")}`);
  });
  assert.deepEqual(plain(JSON.parse(await seen.jsonValue())), plain(WORKS));
  const isShown = (text) => document.body.innerText.includes(text);
  await page.waitForFunction(isShown, { timeout: 10_000 }, shows);
  assert.deepEqual(errors, []);
}
