// The demo page, as a visitor uses it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";
import { demoPages, tracedPackage, xtask } from "./platform.mjs";

describe("the demo page", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();
  const open = (t, more) => arrive(t, { www: demoPages, page: "/", wakeMs: 6_000, ...more });

  it("keeps a visitor signed in while the server sleeps, and says so", async (t) => {
    const visitor = await open(t);
    await signIn(visitor);
    await add(visitor, "one");
    await add(visitor, "another");
    await newsFrom(visitor);
    await press(visitor, "sleep");

    await says(visitor, "#news", /^The server is waking up/);
    await says(visitor, "#server", /waking/);
    await says(visitor, "#session", /signed in|unverified/);
    // It wakes for 6 s, and is asked each 2 to 6 s meanwhile.
    await says(visitor, "#news", /^The server is back/, 30_000);
    await says(visitor, "#session", /signed in/);
    const news = await visitor.page.evaluate(() => window.news);
    assert.deepEqual(news, [
      "The server is waking up. You stay signed in.",
      "The server is back. You stay signed in.",
    ]);
    await add(visitor, "a third");
  });

  it("shows the reason and the evidence when the server really says no", async (t) => {
    const visitor = await open(t);
    await signIn(visitor);
    await press(visitor, "revoke");

    await says(visitor, "#session", /suspect/, 25_000);
    await says(visitor, "#session", /signed out/);
    await says(visitor, "#news", /^Signed out: the server rejected the session/);
    await says(visitor, "#why-sentence", /reason: rejected/);
    const rows = await visitor.page.$$eval("#refusals tr", (rows) => rows.length);
    assert.ok(rows >= 2, "no evidence is shown");
    await says(visitor, "#timeline li:not(.ping)", /Signed out/);
  });

  it("saves what can be replayed through the native core", async (t) => {
    const visitor = await open(t, { package: tracedPackage });
    const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-saved-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const cdp = await visitor.page.createCDPSession();
    const browserContextId = visitor.page.browserContext().id;
    const allowed = { behavior: "allow", downloadPath: folder, browserContextId };
    await cdp.send("Browser.setDownloadBehavior", allowed);
    await signIn(visitor);
    const token = await visitor.page.evaluate(() => {
      const stored = Object.values(localStorage).map((text) => JSON.parse(text).token);
      return stored.find((token) => token);
    });
    assert.ok(token.length > 20);
    await press(visitor, "revoke");
    await says(visitor, "#session", /signed out/, 40_000);
    await visitor.page.click("#export");
    const saved = async () => (await readdir(folder)).find((name) => name.endsWith(".json"));
    const file = path.join(folder, await until("the file is saved", saved));

    const text = await readFile(file, "utf8");
    assert.ok(!text.includes(token) && !text.includes('"demo"'), "a token, or the user");
    const { history } = JSON.parse(text);
    const { stdout } = await promisify(execFile)(xtask, ["replay", file]);
    const count = (what) => stdout.split(what).length - 1;
    const rejections = history.filter(({ code }) => code === "rejected").length;
    assert.ok(rejections >= 2);
    assert.equal(count("event: Rejected {"), rejections, "the core comes to the same");
    assert.match(stdout, /SignOut \{ reason: Rejected/);
  });

  it("takes the focus only where its place is gone", async (t) => {
    const visitor = await open(t);
    const focus = () => visitor.page.evaluate(() => document.activeElement.id);
    await signIn(visitor);
    assert.equal(await focus(), "you");
    await visitor.page.focus("#while-waking");
    await press(visitor, "restart-losing-tokens");
    await says(visitor, "#session", /signed out/, 40_000);
    assert.equal(await focus(), "while-waking");
  });

  it("saves what happened as JSON, without the token", async (t) => {
    const visitor = await open(t);
    await signIn(visitor);
    const [text, token] = await visitor.page.evaluate(async () => {
      const made = new Promise((resolve) => {
        const original = URL.createObjectURL;
        URL.createObjectURL = (file) => {
          resolve(file.text());
          return original.call(URL, file);
        };
      });
      document.querySelector("#export").click();
      const stored = Object.values({ ...localStorage }).map((text) => JSON.parse(text));
      return [await made, stored.find(({ token }) => token).token];
    });
    const { history, debug } = JSON.parse(text);
    assert.ok(history.some(({ code }) => code === "verified"));
    assert.equal(debug.status, "signed-in");
    assert.ok(!text.includes(token.slice(0, 8)));
  });

  it("fits a narrow window", async (t) => {
    const visitor = await open(t);
    await visitor.page.setViewport({ width: 320, height: 700 });
    await signIn(visitor);
    await add(visitor, "a-name-without-a-single-space-in-it-that-is-as-long-as-it-may-be");
    const [content, window] = await visitor.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(content <= window, `the page is ${content} px wide in a window of ${window}`);
  });

  it("names its import map's hash, without which nothing would run", async () => {
    const html = await readFile(path.join(demoPages, "index.html"), "utf8");
    const [, map] = /<script type="importmap">([^]*?)<\/script>/.exec(html);
    const hash = createHash("sha256").update(map).digest("base64");
    assert.ok(html.includes(`'sha256-${hash}'`), `the policy must name 'sha256-${hash}'`);
  });
});

async function signIn(visitor) {
  await says(visitor, "#session", /signed out/);
  await visitor.page.focus("#username");
  await visitor.page.keyboard.press("Enter");
  await says(visitor, "#session", /signed in/);
}

async function add(visitor, tag) {
  await visitor.page.type("#tag", tag);
  await visitor.page.keyboard.press("Enter");
  await says(visitor, "#tags", new RegExp(`${tag}$`));
  await says(visitor, "#tag-outcome", /^Added/);
}

async function press(visitor, action) {
  // Not by the mouse, which would move the focus too.
  await visitor.page.$eval(`[data-action="${action}"]`, (button) => button.click());
}

/** Collects what the status region says, as a screen reader would meet it. */
async function newsFrom(visitor) {
  await visitor.page.evaluate(() => {
    window.news = [];
    const region = document.querySelector("[role=status]");
    const observer = new MutationObserver(() => window.news.push(region.textContent));
    observer.observe(region, { childList: true, characterData: true, subtree: true });
  });
}

async function says(visitor, selector, pattern, within) {
  const fact = (selector, source) =>
    new RegExp(source).test(document.querySelector(selector)?.textContent.trim() ?? "");
  const args = [selector, pattern.source];
  await visitor.until(`${selector} says ${pattern}`, fact, { within, args });
}
