// A visitor of a server that others wrote: one page in a browser profile of its own.
//
// Rule: tests wait for facts with a deadline. What the server answered is read from the network,
// not from the keeper that is being tested.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import puppeteer from "puppeteer-core";
import { until } from "../e2e/harness.mjs";
import { startServer } from "./servers.mjs";

/** G2 of the design: from a suspicion to the end of the session, where the token is refused. */
export const OVER_WITHIN_MS = {
  /** Nothing known of the backend, or refusals that could be anybody's. */
  unknown: 60_000,
  /** The backend was caught disagreeing with itself. */
  disagreeing: 120_000,
};
/** What a refusal proves: JSON is the app's own, a bare challenge or text may be anybody's. */
export const GRADE = {
  "gunicorn sync": "strong",
  "gunicorn gthread": "strong",
  uvicorn: "weak",
  "node cluster": "weak",
};
/** How long a fact without a deadline of its own may take: four workers start meanwhile. */
const USUALLY_MS = 60_000;
/**
 * Verifications that are further apart than connections are kept, so that each is dispatched again.
 * A late answer on a busy machine must not count as a wake-up.
 */
export const KEEP_ALIVE_S = 1;
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  "--disable-gpu",
];
const OPTIONS = {
  health: { everyMs: 10_000, timeoutMs: 10_000 },
  verify: { everyMs: 1_500, timeoutMs: 10_000, retries: 3, retryDelayMs: 250 },
};

/** A browser with a profile of its own. */
export async function launch(more = []) {
  const profile = await mkdtemp(path.join(tmpdir(), "session-keeper-chromium-"));
  await withoutPreconnect(profile);
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROME || "/usr/bin/chromium",
    headless: true,
    protocolTimeout: 60_000,
    args: [...ARGUMENTS, ...more],
    userDataDir: profile,
  });
  const close = async () => {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { browser, close };
}

/**
 * A connection that is opened for later, on which nothing comes, blocks a sync worker of gunicorn
 * until it is killed. Behind the proxy that gunicorn asks for it never sees one.
 */
async function withoutPreconnect(profile) {
  const NEVER = 2;
  const preferences = { net: { network_prediction_options: NEVER } };
  await mkdir(path.join(profile, "Default"));
  await writeFile(path.join(profile, "Default/Preferences"), JSON.stringify(preferences));
}

/** One browser for the tests of a `describe`. Returns what brings a visitor to a fresh server. */
export function useBrowser() {
  let launched;
  before(async () => {
    launched = await launch();
  });
  after(() => launched?.close());
  return (test, options) => arrive(test, launched.browser, options);
}

/**
 * Opens a page on a server of its own; both end with the test, which fails if the page threw.
 * `prepare` runs in the page before its scripts; a `server` that is given stays.
 */
async function arrive(test, browser, { prepare, server: given, ...options }) {
  const server = given ?? (await startServer({ keepAliveS: KEEP_ALIVE_S, ...options }));
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const visitor = new Visitor(page, server);
  test.after(async () => {
    await context.close();
    if (!given) await server.end();
    assert.deepEqual(visitor.pageErrors, [], "the page threw");
  });
  if (prepare) await page.evaluateOnNewDocument(prepare);
  await page.goto(`${server.origin}/keeper.html`);
  await visitor.until("the page's script ran", () => window.ready);
  return visitor;
}

class Visitor {
  /** The worker that issued the token. */
  home;
  /** Each answer of the verify path, oldest first. */
  answers = [];
  consoleLines = [];
  pageErrors = [];

  constructor(page, server) {
    this.page = page;
    this.server = server;
    page.on("pageerror", (error) => this.pageErrors.push(String(error)));
    page.on("console", (message) => this.consoleLines.push(message.text()));
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      const worker = response.headers()["x-worker"];
      if (pathname === "/auth/login") this.home = worker;
      if (pathname !== "/auth/me") return;
      this.answers.push({ at: Date.now(), status: response.status(), worker });
    });
  }

  /** Makes and starts the keeper, and signs in. */
  async signIn(options = {}) {
    this.token = await this.page.evaluate(
      async (given) => {
        window.keepSession(given);
        window.diagnoses = [];
        window.keeper.addEventListener("diagnosis", ({ cause, evidence, docs }) => {
          window.diagnoses.push({ cause, evidence, docs });
        });
        await window.keeper.start();
        return window.signIn();
      },
      { ...OPTIONS, ...options },
    );
  }

  async until(what, fact, { within = USUALLY_MS, args = [] } = {}) {
    const tell = () => this.story();
    return until(what, () => this.page.evaluate(fact, ...args), { within, tell });
  }

  /**
   * Waits for a verification that was accepted after `since`, and that the keeper took; where
   * `notBy` names a worker, by another one. Gives the answer.
   */
  async verified(since, { notBy } = {}) {
    const isIt = ({ at, status, worker }) => status === 200 && at > since && worker !== notBy;
    const fact = async () => {
      const accepted = this.answers.findLast(isIt);
      const { session, lastVerifiedAt } = await this.snapshot();
      return session === "signed-in" && lastVerifiedAt > since && accepted;
    };
    return until("verified", fact, { within: USUALLY_MS, tell: () => this.story() });
  }

  async snapshot() {
    return this.page.evaluate(() => window.keeper.snapshot);
  }

  /** All that ever happened, of one code: the history keeps only the latest entries. */
  async entries(code) {
    const all = await this.page.evaluate(() => window.events);
    const entries = all.filter(({ type }) => type === "log").map(({ entry }) => entry);
    return code ? entries.filter((entry) => entry.code === code) : entries;
  }

  async events(type) {
    const all = await this.page.evaluate(() => window.events);
    return all.filter((event) => event.type === type);
  }

  /** How many refusals were refuted so far. */
  async refuted() {
    const entries = await this.entries("refuted");
    return entries.reduce((sum, { refusals }) => sum + refusals, 0);
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

  /** Waits until the cause was named. Gives its evidence. */
  async named(cause) {
    const fact = (cause) => window.diagnoses.find((diagnosis) => diagnosis.cause === cause);
    const { evidence, docs } = await this.until(`${cause} is named`, fact, { args: [cause] });
    assert.match(docs, new RegExp(`causes/${cause}`));
    const logged = (await this.entries("diagnosis")).filter((entry) => entry.cause === cause);
    assert.equal(logged.length, 1);
    assert.equal(logged[0].level, "warn");
    return evidence;
  }

  async causes() {
    return this.page.evaluate(() => window.diagnoses.map(({ cause }) => cause));
  }

  /** The opposite of every "still signed in": the token is revoked, and that is found out. */
  async assertRevocationIsMet(within) {
    const revokedAt = await this.server.revoke(this.token);
    const end = await this.assertSignedOut(within);
    assert.ok(end.at >= revokedAt, "signed out before the token was revoked");
    return end;
  }

  /** Waits for the one sign-out, because of refusals, `within` after the suspicion. */
  async assertSignedOut(within) {
    const over = () => window.keeper.snapshot.session === "signed-out";
    await this.until("signed out", over, { within: within + USUALLY_MS });
    const { signOut: end } = await this.snapshot();
    assert.deepEqual([end.reason, end.fromOtherTab], ["rejected", false]);
    assert.equal((await this.events("signout")).length, 1);

    const { rule, chance, refusals } = end.evidence;
    assert.ok(refusals.length >= 2, "no evidence");
    for (const { status, grade } of refusals) {
      assert.deepEqual([status, grade], [401, GRADE[this.server.kind]]);
    }
    assert.ok(rule === "chance" || rule === "limit", `the rule was ${rule}`);
    assert.ok(chance >= 0 && chance <= 1, `the chance was ${chance}`);
    if (rule === "chance") assert.ok(chance < 0.001, `ended at a chance of ${chance}`);

    const took = end.at - (await this.entries("suspect")).at(-1).at;
    const story = took > within ? await this.story() : "";
    assert.ok(took <= within, `over ${took} ms after the suspicion, not ${within}\n${story}`);
    return end;
  }

  /** For the message of a failed test. */
  async story() {
    try {
      const entries = (await this.entries()).slice(-30).map((entry) => JSON.stringify(entry));
      const answers = this.answers.slice(-30).map(({ status, worker }) => `${status} ${worker}`);
      const state = JSON.stringify(await this.snapshot());
      return [state, ...entries, answers.join(", "), this.server.log.slice(-1_000)].join("\n");
    } catch (error) {
      return `the keeper told nothing: ${error}`;
    }
  }
}
