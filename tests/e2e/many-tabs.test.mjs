// One session in several tabs: one of them asks the server, and all know what it knows.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

const PING_MS = 500;
const VERIFY_MS = 2_000;
const OPTIONS = { health: { everyMs: PING_MS }, verify: { everyMs: VERIFY_MS } };
/** So rare that no verification of a tab can be what told it. */
const RARELY = { health: { everyMs: 600_000 }, verify: { everyMs: 600_000 } };
/** Intervals are spread by a tenth. */
const SPREAD = 0.9;
/** A lease of 15 s that nobody renews, and a busy machine. */
const TAKEN_OVER_WITHIN_MS = 30_000;

describe("several tabs", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("cost the server what one of them costs, and show the same user", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn(OPTIONS);
    const others = await openTabs(visitor, 4, OPTIONS);
    for (const tab of others) {
      await until("the user is known", () =>
        tab.evaluate(() => window.keeper.snapshot.user?.username === "demo"),
      );
    }
    await visitor.platform.forgetRequests();
    const start = performance.now();
    const pings = async () => count(await visitor.platform.requests(), "/api/health");
    await until("the leader pings", async () => (await pings()) >= 20, { within: 60_000 });
    const requests = await visitor.platform.requests();
    const took = performance.now() - start;

    const most = (everyMs) => Math.ceil(took / (everyMs * SPREAD)) + 1;
    assert.ok(count(requests, "/api/health") <= most(PING_MS), "pings of more than one tab");
    assert.ok(count(requests, "/auth/me") <= most(VERIFY_MS), "verifications of more than one");
    assert.equal(await leaders([visitor.page, ...others]), 1);
    await visitor.assertNeverSignedOut();

    // The opposite: what the leader is told ends the session in every tab.
    await visitor.platform.control("revoke");
    const all = [visitor.page, ...others];
    const followers = [];
    for (const tab of all) {
      if (!(await tab.evaluate(() => window.keeper.debug().leader))) followers.push(tab);
    }
    for (const tab of all) await signedOut(tab);
    for (const tab of followers) {
      const { signOut } = await signedOut(tab);
      assert.deepEqual([signOut.reason, signOut.fromOtherTab], ["rejected", true]);
      assert.ok(signOut.evidence.refusals.length >= 2, "no evidence");
    }
  });

  it("let the leader answer verify(), and know of its suspicion", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn(RARELY);
    const others = await openTabs(visitor, 2, RARELY);
    const all = [visitor.page, ...others];
    const follower = await find(all, (tab) => tab.evaluate(() => !window.keeper.debug().leader));
    const before = await follower.evaluate(() => window.keeper.snapshot.lastVerifiedAt);
    const [after, own] = await follower.evaluate(async () => {
      performance.clearResourceTimings();
      const { lastVerifiedAt } = await window.keeper.verify();
      const sent = performance.getEntriesByType("resource").map(({ name }) => name);
      return [lastVerifiedAt, sent.filter((url) => url.endsWith("/auth/me")).length];
    });
    assert.ok(after > before, "the answer is not newer");
    assert.equal(own, 0, "the follower asked the server itself");

    await visitor.serverIsReady();
    await visitor.platform.control("revoke");
    await follower.evaluate(() => window.keeper.verify());
    for (const tab of all) await is(tab, "suspect");
    for (const tab of all) await signedOut(tab);
  });

  it("go on when the leader is closed, and when it crashes", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn(OPTIONS);
    let [second, third] = await openTabs(visitor, 2, OPTIONS);
    await third.close();
    await leads([visitor.page, second]);
    [third] = await openTabs(visitor, 1, OPTIONS);
    const tabs = [visitor.page, second];
    await third.bringToFront();
    await leads([third]);
    // Its renderer is killed: it says nothing and gives nothing up.
    const session = await third.createCDPSession();
    session.send("Page.crash").catch(() => {});
    await leads(tabs, TAKEN_OVER_WITHIN_MS);
    await visitor.platform.forgetRequests();
    const pings = async () => count(await visitor.platform.requests(), "/api/health") > 1;
    await until("somebody pings", pings, { within: TAKEN_OVER_WITHIN_MS });
    await visitor.assertNeverSignedOut();
  });

  it("refresh once for all, on a server that takes a reused token for a stolen one", async (t) => {
    const visitor = await arrive(t, { backend: ["--refresh", "--access-seconds", "3"] });
    await strictly(visitor.page);
    await visitor.page.evaluate(() => window.signIn());
    await visitor.verified();
    const others = [];
    for (let index = 0; index < 4; index += 1) {
      const tab = await openTab(visitor);
      await strictly(tab);
      others.push(tab);
    }
    const all = [visitor.page, ...others];
    const newer = (tab) =>
      tab.evaluate(() => window.events.filter(({ type }) => type === "refresh").length);
    for (const round of [1, 2, 3, 4, 5, 6]) {
      // Whoever is looked at leads, so that the tabs take turns; all of them want a newer token.
      const front = all[round % all.length];
      await front.bringToFront();
      const before = await newer(visitor.page);
      await newerTokens(all);
      await until("a newer token is here", async () => (await newer(visitor.page)) > before, {
        within: 20_000,
        tell: () => tales(all),
      });
    }
    const tokens = await Promise.all(
      all.map((tab) => tab.evaluate(() => window.keeper.authHeaders("/auth/me").Authorization)),
    );
    assert.equal(new Set(tokens).size, 1, "the tabs hold different tokens");
    for (const tab of all) {
      const events = await tab.evaluate(() => window.events.map(({ type }) => type));
      assert.ok(!events.includes("signout"), "a tab was signed out");
      assert.equal(events.filter((type) => type === "signin").length <= 1, true);
    }
    await visitor.platform.control("revoke");
    for (const tab of all) await signedOut(tab);
  });
});

/** A keeper whose refresh says nothing of its attempt, as with servers that know of none. */
function strictly(tab) {
  return tab.evaluate(() => {
    const refresh = ({ refreshToken }) => {
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ refresh_token: refreshToken });
      return fetch("/auth/refresh", { method: "POST", headers, body });
    };
    window.keepSession({ refresh });
    return window.keeper.start();
  });
}

async function openTabs(visitor, count, options) {
  const tabs = [];
  for (let index = 0; index < count; index += 1) {
    const tab = await openTab(visitor);
    await tab.evaluate(async (options) => {
      window.keepSession(options);
      await window.keeper.start();
    }, options);
    await is(tab, "signed-in");
    tabs.push(tab);
  }
  return tabs;
}

async function openTab({ page, platform }) {
  const tab = await page.browserContext().newPage();
  await tab.goto(`${platform.demo}/keeper.html`);
  await until("its script ran", () => tab.evaluate(() => window.ready));
  return tab;
}

async function leaders(tabs) {
  const leads = await Promise.all(
    tabs.map((tab) => tab.evaluate(() => window.keeper.debug().leader)),
  );
  return leads.filter(Boolean).length;
}

function leads(tabs, within) {
  return until("one of them leads", async () => (await leaders(tabs)) === 1, { within });
}

async function find(tabs, fact) {
  for (const tab of tabs) if (await fact(tab)) return tab;
  throw new Error("none of the tabs is such a one");
}

const count = (requests, path) => requests.filter((request) => request.path === path).length;

function is(tab, session, within) {
  const fact = async () => (await tab.evaluate(() => window.keeper.snapshot.session)) === session;
  const look = () => ({
    history: window.keeper.history().slice(-40),
    debug: window.keeper.debug(),
  });
  const tell = async () => JSON.stringify(await tab.evaluate(look), null, 1);
  return until(session, fact, { within, tell });
}

async function signedOut(tab) {
  await is(tab, "signed-out", 30_000);
  return tab.evaluate(() => window.keeper.snapshot);
}

/** Asks every tab for a token that is good for longer than any is, and waits for all of them. */
async function newerTokens(tabs) {
  const ask = () => {
    window.newerToken = undefined;
    const keep = (token) => (window.newerToken = token);
    void window.keeper.getToken({ minValidMs: 60_000 }).then(keep);
  };
  for (const tab of tabs) await tab.evaluate(ask);
  for (const tab of tabs) {
    await until("a token", () => tab.evaluate(() => window.newerToken), {
      within: 40_000,
      tell: () => tales(tabs),
    });
  }
}

/** What each tab knows, for the message of a failed test. */
async function tales(tabs) {
  const tell = () => [
    JSON.stringify(window.keeper.debug()),
    ...window.keeper
      .history()
      .slice(-12)
      .map(({ at, code, message }) => [at, code, message].join(" ")),
  ];
  const told = await Promise.all(tabs.map((tab) => tab.evaluate(tell)));
  return told.map((lines) => lines.join("\n")).join("\n\n");
}
