// The examples, as they stand in `examples/`: built with the packed package, and used in Chromium
// against the FastAPI server of the first one.

import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

import { install, python } from "../servers/install.mjs";
import { attempt, openWorkshop } from "./workshop.mjs";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const server = path.join(examples, "react-fastapi/server");
const UP_WITHIN_MS = 30_000;
/** So short that a page refreshes while a test looks on: half of it ahead of the expiry. */
const SHORT_SECONDS = 6;

let browser;
let workshop;
let profile;

before(async () => {
  await install(() => {});
  workshop = await openWorkshop("examples");
  profile = await mkdtemp(path.join(tmpdir(), "session-keeper-examples-"));
  browser = await puppeteer.launch({
    executablePath: process.env.CHROME || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run"],
    userDataDir: path.join(profile, "browser"),
  });
});

after(async () => {
  await browser?.close();
  if (profile) await rm(profile, { recursive: true, force: true });
});

/** Builds an example where it needs that; returns the folder of its page. */
async function buildExample(name) {
  const folder = path.join(workshop, "apps", name);
  await cp(path.join(examples, name), folder, { recursive: true });
  if (name === "plain") {
    const dist = path.join(workshop, "node_modules/session-keeper/dist/index.js");
    await cp(dist, path.join(folder, "session-keeper/index.js"));
    return folder;
  }
  const vite = path.join(workshop, "node_modules/vite/bin/vite.js");
  await attempt(process.execPath, [vite, "build", "--logLevel", "warn"], folder);
  return path.join(folder, "dist");
}

/** The API with an example's page, in a process of its own. */
async function startServer(t, page, seconds) {
  const port = await freePort();
  const database = path.join(await mkdtemp(path.join(profile, "api-")), "example.db");
  const args = ["-m", "uvicorn", "main:app", "--port", String(port), "--log-level", "warning"];
  const child = spawn(python, ["-B", ...args], {
    cwd: server,
    env: { ...process.env, PAGE: page, DATABASE: database, ACCESS_SECONDS: String(seconds) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (told += text));
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const origin = `http://127.0.0.1:${port}`;
  const until = performance.now() + UP_WITHIN_MS;
  while (performance.now() < until && child.exitCode === null) {
    const health = await fetch(`${origin}/api/health`).catch(() => undefined);
    if (health?.ok) return origin;
    await delay(100);
  }
  throw new Error(`the example's server does not start:\n${told}`);
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A visitor of an example, with as many tabs as wanted. */
async function arrive(t, name, { seconds = 900 } = {}) {
  const origin = await startServer(t, await buildExample(name), seconds);
  const context = await browser.createBrowserContext();
  t.after(() => context.close());
  const errors = [];
  const refreshes = [];
  const open = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("response", (response) => {
      if (response.url().endsWith("/auth/refresh")) refreshes.push(response.status());
    });
    await page.goto(origin);
    return page;
  };
  return { open, errors, refreshes };
}

const shows = (page, text) =>
  page.waitForFunction((text) => document.body.innerText.includes(text), { timeout: 20_000 }, text);

async function signIn(page) {
  await page.waitForSelector("form:not([hidden]) [name=username]");
  await page.type("[name=username]", "ada");
  await page.type("[name=password]", "lovelace");
  await page.click("form button");
  await shows(page, "Hello ada");
  await shows(page, "ada's second item");
}

const press = (page, text) =>
  page.evaluate((text) => {
    const buttons = [...document.querySelectorAll("button")];
    buttons.find((button) => button.textContent.trim() === text).click();
  }, text);

describe("the examples", () => {
  for (const name of ["react-fastapi", "vue", "axios", "plain"]) {
    it(`${name}: signs in, survives a reload, and signs out`, async (t) => {
      const { open, errors } = await arrive(t, name);
      const page = await open();
      await signIn(page);
      await page.reload();
      await shows(page, "ada's second item");
      await press(page, "Sign out");
      await page.waitForSelector("form:not([hidden]) [name=username]", { visible: true });
      assert.deepEqual(errors, []);
    });
  }

  it("react-fastapi: tokens are refreshed before they run out", async (t) => {
    const seconds = SHORT_SECONDS;
    const { open, errors, refreshes } = await arrive(t, "react-fastapi", { seconds });
    const page = await open();
    await signIn(page);
    const until = performance.now() + 30_000;
    while (refreshes.length < 2 && performance.now() < until) await delay(100);
    assert.ok(refreshes.length >= 2, "no token was refreshed");
    await page.reload();
    await shows(page, "ada's second item");
    assert.deepEqual([...new Set(refreshes), ...errors], [200]);
  });

  it("react-fastapi: two tabs are one session", async (t) => {
    const { open, errors } = await arrive(t, "react-fastapi");
    const first = await open();
    await signIn(first);
    const second = await open();
    await shows(second, "ada's second item");
    await press(second, "Sign out");
    for (const page of [first, second]) {
      await page.waitForSelector("form [name=username]", { timeout: 20_000 });
    }
    assert.deepEqual(errors, []);
  });

  it("each says how it is installed, and nothing more is committed", async () => {
    const names = await readdir(examples);
    assert.deepEqual(names.sort(), ["README.md", "axios", "plain", "react-fastapi", "vue"]);
    const text = await readFile(path.join(examples, "README.md"), "utf8");
    for (const name of names.filter((it) => it !== "README.md")) {
      assert.ok(text.includes(`](${name})`), `the README does not name ${name}`);
    }
  });
});
