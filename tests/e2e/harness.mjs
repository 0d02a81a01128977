// A visitor: one page in a browser profile of its own, on a platform of its own.
//
// Rule: a test waits for facts with a deadline, never for time to pass. What took long is read
// from the moments that keeper and platform wrote down, not from when a test noticed.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import puppeteer from "puppeteer-core";
import { startFront } from "./front.mjs";
import { startPlatform } from "./platform.mjs";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  "--disable-gpu",
];

/**
 * Visitors of one file at once, and two files run at once. They mostly wait, but more would make
 * two cores busy enough for the time limits to measure the machine.
 */
export const AT_ONCE = 3;
/** G2 of the design: from a suspicion to the end of the session, where the token is refused. */
export const OVER_WITHIN_MS = {
  /** A backend that is known to be consistent, and up for a while. */
  known: 8_000,
  /** The same, just started: a store or a key may not be ready. */
  justStarted: 20_000,
};
/** A backend that is up this long counts as ready. */
const READY_AFTER_MS = 10_000;
/** How long a fact without a deadline of its own may take, on a busy machine. */
const USUALLY_MS = 10_000;
const POLL_MS = 50;

/** One browser for the tests of a `describe`. Returns what opens a visitor in it. */
export function useBrowser(launch = {}) {
  let browser;
  let profile;
  before(async () => {
    profile = await mkdtemp(path.join(tmpdir(), "session-keeper-chromium-"));
    browser = await puppeteer.launch({
      executablePath: process.env.CHROME || "/usr/bin/chromium",
      headless: true,
      protocolTimeout: 30_000,
      args: ARGUMENTS,
      userDataDir: profile,
      ...launch,
    });
  });
  after(async () => {
    await browser?.close();
    if (profile) await rm(profile, { recursive: true, force: true });
  });
  return (test, options) => arrive(test, browser, options);
}

/**
 * Opens a page on a fresh platform; both end with the test, which fails where the page threw.
 * `options`: of the platform, `page` (its path), `prepare`, run in the page before its scripts,
 * `mistake`, the text of the only errors that are expected, and `headers` of every answer.
 */
async function arrive(test, browser, given = {}) {
  const { page: at = "/keeper.html", prepare, mistake, headers, ...options } = given;
  const platform = await startPlatform(options);
  const front = headers && (await startFront(platform.demo, headers));
  if (front) platform.demo = front.origin;
  const context = await browser.createBrowserContext();
  const pageErrors = [];
  test.after(async () => {
    await context.close();
    await front?.end();
    await platform.end();
    assert.deepEqual(pageErrors, [], "the page threw");
  });
  const page = await context.newPage();
  const visitor = new Visitor(page, platform);
  page.on("pageerror", (error) => {
    if (mistake && String(error).includes(mistake)) visitor.mistakes += 1;
    else pageErrors.push(String(error));
  });
  if (prepare) await page.evaluateOnNewDocument(prepare);
  await visitor.visit(at);
  assert.equal(await page.evaluate(() => document.visibilityState), "visible");
  return visitor;
}

/** Waits for `fact` to give something true, and gives it. */
export async function until(what, fact, { within = USUALLY_MS, tell = () => "" } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await fact();
    if (found) return found;
    if (performance.now() > deadline) {
      throw new Error(`not within ${within} ms: ${what}\n${await tell()}`);
    }
    await delay(POLL_MS);
  }
}

class Visitor {
  consoleLines = [];
  mistakes = 0;

  constructor(page, platform) {
    this.page = page;
    this.platform = platform;
    page.on("console", (message) => this.consoleLines.push(message.text()));
  }

  async visit(at) {
    await this.page.goto(this.platform.demo + at);
    if (at.endsWith(".html")) await this.until("the page's script ran", () => window.ready);
  }

  async reload() {
    await this.visit(new URL(this.page.url()).pathname);
  }

  /** Makes the keeper with short intervals and starts it. */
  async keep(options = {}) {
    return this.page.evaluate(async (given) => {
      window.keepSession(given);
      return window.keeper.start();
    }, options);
  }

  /** Signs in and waits for the first verification. Gives the token and the boot id it met. */
  async signIn(options = {}) {
    await this.keep(options);
    const token = await this.page.evaluate((base) => window.signIn(base), options.baseUrl);
    const boot = await this.verified();
    return { token, boot };
  }

  /** Waits for a fact in the page. */
  async until(what, fact, { within, args = [] } = {}) {
    const tell = () => this.story();
    return until(what, () => this.page.evaluate(fact, ...args), { within, tell });
  }

  /** Waits until a verification was accepted, under another boot id than `before`. Gives the id. */
  async verified({ after: before, within } = {}) {
    const fact = (before) => {
      const { boot } = window.keeper.history().findLast(({ code }) => code === "verified") ?? {};
      return window.keeper.snapshot.session === "signed-in" && boot !== before && boot;
    };
    const what = before ? "verified under a new boot id" : "verified";
    return this.until(what, fact, { within, args: [before] });
  }

  /** Waits until the backend is up long enough that nothing of its start can be to blame. */
  async serverIsReady() {
    const upFor = async () => Date.now() - (await this.platform.state()).sinceMs;
    const fact = async () => (await upFor()) > READY_AFTER_MS;
    await until("the server is up for a while", fact, { within: 2 * READY_AFTER_MS });
  }

  async serverIs(state, within) {
    const fact = (state) => window.keeper.snapshot.server === state;
    await this.until(`the server is ${state}`, fact, { within, args: [state] });
  }

  /** Waits until the session is over. Gives the sign-out with the moment of the suspicion. */
  async signedOut(within = 30_000) {
    const over = () => window.keeper.snapshot.session === "signed-out";
    await this.until("signed out", over, { within });
    const { signOut } = await this.snapshot();
    const suspicions = await this.history("suspect");
    return { ...signOut, suspectAt: suspicions.at(-1)?.at };
  }

  async snapshot() {
    return this.page.evaluate(() => window.keeper.snapshot);
  }

  /** What happened, of one code or all. */
  async history(code) {
    const all = await this.page.evaluate(() => window.keeper.history());
    return code ? all.filter((entry) => entry.code === code) : all;
  }

  /** The events so far, of one type or all. */
  async events(type) {
    const all = await this.page.evaluate(() => window.events);
    return type ? all.filter((event) => event.type === type) : all;
  }

  /** Fails if the session was anything but signed in at any change so far, or is not now. */
  async assertNeverSignedOut() {
    const changes = await this.events("change");
    const since = changes.findIndex(({ signedIn }) => signedIn);
    const lost = changes.slice(since).filter(({ signedIn }) => !signedIn);
    assert.notEqual(since, -1, "never signed in");
    assert.deepEqual(lost, [], `signed out meanwhile\n${await this.story()}`);
    assert.deepEqual(await this.events("signout"), []);
    assert.equal((await this.snapshot()).signedIn, true);
  }

  /** The opposite of every "still signed in": the token is revoked, and that is found out. */
  async assertRevocationIsMet({ within = OVER_WITHIN_MS.justStarted } = {}) {
    await this.platform.control("revoke");
    const end = await this.signedOut();
    assert.equal(end.reason, "rejected");
    assert.ok(end.evidence.refusals.length >= 2, "no evidence");
    const took = end.at - end.suspectAt;
    const story = took > within ? await this.story() : "";
    assert.ok(took <= within, `over ${took} ms after the suspicion, not ${within}\n${story}`);
    return end;
  }

  /** For the message of a failed test. */
  async story() {
    try {
      const entries = (await this.history()).slice(-70).map((entry) => JSON.stringify(entry));
      return [JSON.stringify(await this.snapshot()), ...entries].join("\n");
    } catch (error) {
      return `the keeper told nothing: ${error}`;
    }
  }
}
