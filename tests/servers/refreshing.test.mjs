// Tokens of six seconds on servers that others wrote, refreshed by the recipes of docs/refresh.md:
// nobody is signed out because one ran out, and whoever the server signed out is.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../e2e/harness.mjs";
import { movableClock } from "../e2e/nights/clocks.mjs";
import { startGate } from "../e2e/nights/night.mjs";
import { optionsOf, recipe } from "./recipes.mjs";
import { startServer } from "./servers.mjs";
import { useBrowser } from "./visitor.mjs";

const LIFETIMES = 5;
/** Six seconds, a refresh and a request, on a busy machine. */
const REFRESHED_WITHIN_MS = 15_000;
/** From the first rejection of the refresh token to the end of the session (G2). */
const OVER_WITHIN_MS = 8_000;
/** The same where the server took so long to answer that it counts as just woken. */
const OVER_AFTER_WAKING_MS = 20_000;
const HOUR_MS = 3_600_000;
/** Nothing but the refresh meets what becomes of the tokens. */
const RARELY = { verify: { everyMs: 300_000, timeoutMs: 10_000, retries: 3, retryDelayMs: 250 } };

const json = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});
const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });

const SERVERS = [
  {
    kind: "Django SimpleJWT",
    heading: "Django REST framework: SimpleJWT",
    revoke: (refresh) => ["/api/token/blacklist/", json({ refresh })],
    rejects: 401,
  },
  {
    kind: "Flask-JWT-Extended",
    heading: "Flask-JWT-Extended",
    revoke: (token) => [
      "/refresh",
      { method: "DELETE", headers: { Authorization: `Bearer ${token}` } },
    ],
    rejects: 401,
  },
  {
    kind: "OAuth 2.0",
    heading: "OAuth 2.0",
    login: {
      path: "/oauth/token",
      fields: { grant_type: "password", client_id: "web", username: "demo", password: "demo" },
    },
    revoke: (token) => ["/oauth/revoke", form({ token })],
    rejects: 400,
  },
];

describe("tokens of six seconds", { concurrency: SERVERS.length }, () => {
  for (const about of SERVERS) {
    describe(about.kind, { concurrency: 4 }, () => {
      const arrive = useBrowser();
      const options = { kind: about.kind, tokens: "signed" };
      let server;
      before(async () => (server = await startServer(options)));
      after(() => server?.end());
      /** On one server for all, or on one of its own. */
      const visit = async (t, given = { server }) =>
        new RefreshedVisitor(await arrive(t, { ...options, ...given }), about);

      it(`${about.kind}: five lifetimes without a 401 that the app sees`, async (t) => {
        const visitor = await visit(t);
        await visitor.signIn();
        await visitor.useTheApi();
        await visitor.refreshed(LIFETIMES, LIFETIMES * REFRESHED_WITHIN_MS);
        await visitor.assertAppSawNo401({ atLeast: 40 });
      });

      it(`${about.kind}: a revoked refresh token is the end, with the reason`, async (t) => {
        const visitor = await visit(t);
        await visitor.signIn(RARELY);
        await visitor.refreshed(1, REFRESHED_WITHIN_MS);
        await visitor.revoke();
        await visitor.assertOver();
      });

      it(`${about.kind}: a server that is away while the token runs out`, async (t) => {
        const visitor = await visit(t, {});
        await visitor.signIn();
        await visitor.server.stop();
        const hasRunOut = () => !window.keeper.debug().token_info.is_valid;
        await visitor.until("the token has run out", hasRunOut, { within: REFRESHED_WITHIN_MS });
        const asked = visitor.ask();
        const startedAt = Date.now();
        await visitor.server.start();
        assert.equal(await asked, 200, "a request waits for the token that follows");
        await visitor.verifiedAfter(startedAt);
        await visitor.assertNeverSignedOut();
      });

      it(`${about.kind}: a clock two hours off, and a machine asleep for a day`, async (t) => {
        const visitor = await visit(t, { server, prepare: movableClock });
        await visitor.page.evaluate((by) => window.clock.set(by), -2 * HOUR_MS);
        await visitor.signIn();
        await visitor.useTheApi();
        await visitor.refreshed(2, 2 * REFRESHED_WITHIN_MS);
        await visitor.page.evaluate((by) => window.clock.set(by), 4 * HOUR_MS);
        await visitor.refreshed(2, 2 * REFRESHED_WITHIN_MS);

        await visitor.sleepForADay(t);
        await visitor.refreshed(1, REFRESHED_WITHIN_MS);
        await visitor.assertAppSawNo401({ atLeast: 10 });
        await visitor.revoke();
        await visitor.assertOver();
      });
    });
  }
});

/** A visitor whose keeper is made by a recipe. */
class RefreshedVisitor {
  #visitor;
  #about;

  constructor(visitor, about) {
    this.#visitor = visitor;
    this.#about = about;
    this.page = visitor.page;
    this.server = visitor.server;
  }

  async signIn(more = {}) {
    const { heading, login } = this.#about;
    await this.page.evaluate(
      async (readOptions, code, more, login) => {
        window.keepSession({ ...eval(readOptions)(code), ...more });
        await window.keeper.start();
        if (!login) return window.signIn();
        const body = new URLSearchParams(login.fields);
        const response = await fetch(login.path, { method: "POST", body });
        await window.keeper.signIn(await response.json());
      },
      ...[optionsOf, await recipe(heading), more, login],
    );
    await this.until("verified", () => window.keeper.snapshot.session === "signed-in");
  }

  until(what, fact, options) {
    return this.#visitor.until(what, fact, options);
  }

  /** An app that asks four times a second, and remembers what it got while somebody is signed in. */
  useTheApi() {
    return this.page.evaluate(() => {
      const statuses = (window.statuses = []);
      setInterval(async () => {
        const { signedIn } = window.keeper.snapshot;
        if (!signedIn) return;
        const { status } = await window.keeper.fetch("/auth/me");
        if (window.keeper.snapshot.signedIn) statuses.push(status);
      }, 250);
    });
  }

  ask() {
    return this.page.evaluate(async () => (await window.keeper.fetch("/auth/me")).status);
  }

  /** Waits for that many more tokens. */
  async refreshed(more, within) {
    const count = async () => (await this.#visitor.events("refresh")).length;
    const enough = (await count()) + more;
    const tell = () => this.#visitor.story();
    await until(`${more} refreshes`, async () => (await count()) >= enough, { within, tell });
  }

  async verifiedAfter(moment) {
    const fact = (moment) => window.keeper.snapshot.lastVerifiedAt >= moment;
    await this.until("verified again", fact, { args: [moment] });
  }

  assertNeverSignedOut() {
    return this.#visitor.assertNeverSignedOut();
  }

  async assertAppSawNo401({ atLeast }) {
    const statuses = await this.page.evaluate(() => window.statuses);
    assert.ok(statuses.length >= atLeast, `${statuses.length} requests`);
    const isGood = statuses.every((status) => status === 200);
    assert.ok(isGood, `${[...new Set(statuses)]}\n${isGood || (await this.#visitor.story())}`);
    assert.equal((await this.#visitor.events("signin")).length, 1);
    await this.assertNeverSignedOut();
  }

  /** The machine stands still until the token has really run out; by its clock that is a day. */
  async sleepForADay(test) {
    const gate = await startGate(test);
    const { token } = await this.#stored;
    const sleeping = this.page.evaluate(
      (gate, ms) => window.clock.sleep(gate, ms),
      ...[gate.address, 24 * HOUR_MS],
    );
    await gate.holds();
    const isRefused = async () => (await this.server.ask("/auth/me", { token })).status === 401;
    await until("the server refuses the token", isRefused, { within: REFRESHED_WITHIN_MS });
    gate.open();
    await sleeping;
    const isLong = ({ ms }) => ms >= 24 * HOUR_MS - 60_000;
    const noticed = async () => (await this.#visitor.entries("slept")).some(isLong);
    await until("the sleep is noticed", noticed, { tell: () => this.#visitor.story() });
  }

  /** The refresh token of now is good for nothing from here on. */
  async revoke() {
    const answers = [];
    const isDone = async () => {
      const { refresh_token: token } = await this.#stored;
      const [path, init] = this.#about.revoke(token);
      const response = await fetch(this.server.origin + path, init);
      answers.push(`${response.status} ${await response.text()}`);
      return response.status === 200;
    };
    // One that was used up a moment ago cannot be revoked: its successor is.
    const tell = async () => [...new Set(answers), await this.#visitor.story()].join("\n");
    await until("the refresh token is revoked", isDone, { within: REFRESHED_WITHIN_MS, tell });
  }

  /** Waits for the one sign-out, whose evidence is that the refresh was rejected twice. */
  async assertOver() {
    const over = () => window.keeper.snapshot.session === "signed-out";
    await this.until("signed out", over, { within: REFRESHED_WITHIN_MS + OVER_AFTER_WAKING_MS });
    const { signOut: end } = await this.#visitor.snapshot();
    assert.ok(["rejected", "expired"].includes(end.reason), end.reason);
    const { rule, refusals } = end.evidence;
    assert.equal(rule, "refresh-rejected");
    assert.ok(refusals.length >= 2, "no evidence");
    assert.deepEqual([...new Set(refusals.map(({ status }) => status))], [this.#about.rejects]);
    assert.equal((await this.#visitor.events("signout")).length, 1);
    const [first] = await this.#visitor.entries("refresh-rejected");
    const took = end.at - first.at;
    const states = await this.#visitor.events("server");
    const wasAway = states.some(({ state }) => state !== "awake");
    const within = wasAway ? OVER_AFTER_WAKING_MS : OVER_WITHIN_MS;
    const story = took > within ? await this.#visitor.story() : "";
    assert.ok(took <= within, `over ${took} ms after the first rejection\n${story}`);
  }

  /** The record: a test may look where an app does not. */
  get #stored() {
    return this.page.evaluate(() => {
      const records = Object.values({ ...localStorage }).map((record) => JSON.parse(record));
      return records.find(({ token }) => token);
    });
  }
}
