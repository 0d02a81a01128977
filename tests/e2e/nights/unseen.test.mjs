// Pages that nobody sees: one that was left and is kept in the back/forward cache, and one that
// the browser opens before anybody asked for it, by its speculation rules. Neither may send
// anything, and what it knew may be old when it is shown.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import puppeteer from "puppeteer-core";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "../harness.mjs";
import { testPages } from "../platform.mjs";
import {
  arrivesAt,
  assertNobodyListens,
  assertRefusedAfter,
  BACK_WITHIN_MS,
  lastSeen,
  lived,
  NIGHT_PAGE,
  ticksGoOn,
  refusalUnderWay,
} from "./night.mjs";

/** Where the night's page may be kept: the platform marks its own pages `no-store`. */
const KEPT_PAGE = "/api/night.html";
const PRERENDERED_PAGE = "/night-prerendered.html";
/** Two seconds of the page's timers, several times the interval of pings and checks. */
const PRERENDERED_WITHIN_MS = 15_000;

describe("a page that nobody sees", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  describe("in the back/forward cache", { concurrency: AT_ONCE - 1 }, () => {
    it("sends nothing, and keeps its session when the server restarted meanwhile", async (t) => {
      const visitor = await arriveToLeave(arrive, t);
      const { boot } = await visitor.signIn();
      await leave(visitor);
      await visitor.platform.forgetRequests();
      await visitor.platform.control("restart");
      await ticksGoOn(visitor.page);
      assert.deepEqual(await visitor.platform.requests(), [], "a page in the cache sent something");

      const backAt = await comeBack(visitor);
      await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
      const verified = (await visitor.history("verified")).findLast((entry) => entry.boot !== boot);
      assert.ok(verified.at >= backAt);
      await visitor.assertNeverSignedOut();
    });

    it("is signed out by what it hears after it, when the token was revoked", async (t) => {
      const visitor = await arriveToLeave(arrive, t);
      await visitor.signIn();
      await leave(visitor);
      await visitor.platform.control("revoke");
      await ticksGoOn(visitor.page);

      const backAt = await comeBack(visitor);
      await visitor.assertNeverSignedOut();
      const end = await visitor.signedOut();
      assertRefusedAfter(end, backAt);
      assert.ok(end.suspectAt - backAt <= BACK_WITHIN_MS, "asked too late");
      assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
    });

    it("takes no refusal that was on its way when it was left", async (t) => {
      const visitor = await arriveToLeave(arrive, t);
      await visitor.signIn({ verify: { timeoutMs: 10_000 } });
      await refusalUnderWay(visitor);
      await leave(visitor);
      await assertNobodyListens(visitor, visitor.page);

      const backAt = await comeBack(visitor);
      await visitor.until(
        "verified after it",
        (backAt) => window.keeper.snapshot.lastVerifiedAt >= backAt,
        { args: [backAt], within: BACK_WITHIN_MS },
      );
      assert.deepEqual(await visitor.history("rejected"), []);
      await visitor.assertNeverSignedOut();
    });

    it("follows a sign-out on another page of its origin", async (t) => {
      const visitor = await arriveToLeave(arrive, t);
      await visitor.signIn();
      await leave(visitor);
      await visitor.keep();
      await visitor.page.evaluate(() => window.keeper.signOut());

      await comeBack(visitor);
      const end = await visitor.signedOut(BACK_WITHIN_MS);
      assert.equal(end.reason, "user");
      assert.equal(end.fromOtherTab, true);
      assert.deepEqual(await visitor.history("rejected"), []);
      const [told] = await visitor.events("signout");
      assert.equal(told.fromOtherTab, true);
    });

    it("follows a new sign-in on another page of its origin", async (t) => {
      const visitor = await arriveToLeave(arrive, t);
      await visitor.signIn();
      const before = await tokenId(visitor);
      await leave(visitor);
      await visitor.platform.control("revoke");
      await visitor.keep();
      await visitor.page.evaluate(() => window.signIn());
      const elsewhere = await tokenId(visitor);
      assert.notEqual(elsewhere, before);
      // Both pages are of one session from then on, and only one of them can run.
      const backAt = await comeBack(visitor);

      await visitor.until(
        "verified with the other token",
        (id, backAt) => {
          const { lastVerifiedAt } = window.keeper.snapshot;
          return window.keeper.debug().token_info.token_id === id && lastVerifiedAt >= backAt;
        },
        { args: [elsewhere, backAt], within: BACK_WITHIN_MS },
      );
      assert.deepEqual(await visitor.history("rejected"), [], "asked with the token of before");
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  });

  describe("while it is prerendered", { concurrency: 1 }, () => {
    it("sends nothing until it is shown, and verifies then", async (t) => {
      const visitor = await arrive(t);
      const { boot } = await visitor.signIn();
      await prerender(visitor);
      await visitor.platform.control("restart");
      const shownAt = await activate(visitor, t);

      const second = await visitor.verified({ within: BACK_WITHIN_MS });
      assert.notEqual(second, boot);
      const { lastVerifiedAt } = await visitor.snapshot();
      assert.ok(lastVerifiedAt >= shownAt, "adopted what another page had verified");
      await visitor.assertNeverSignedOut();
    });

    it("is signed out by what it hears then, when the token was revoked", async (t) => {
      const visitor = await arrive(t);
      await visitor.signIn();
      await prerender(visitor);
      await visitor.platform.control("revoke");
      const shownAt = await activate(visitor, t);
      assert.equal((await visitor.snapshot()).signedIn, true);

      const end = await visitor.signedOut();
      assertRefusedAfter(end, shownAt);
      assert.ok(end.suspectAt - shownAt <= BACK_WITHIN_MS, "asked too late");
      assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
    });
  });
});

/** Chromium keeps no page that is `no-store` and whose requests are answered so. */
async function arriveToLeave(arrive, test) {
  const visitor = await arrive(test, { page: NIGHT_PAGE });
  const body = await readFile(path.join(testPages, NIGHT_PAGE), "utf8");
  const headers = { "Content-Type": "text/html" };
  await visitor.platform.fault(KEPT_PAGE, { status: 200, headers, body });
  await visitor.visit(KEPT_PAGE);
  return visitor;
}

/** Leaves the visitor's page for another one of its origin, in the same tab. */
async function leave(visitor) {
  const { page, platform } = visitor;
  const locks = await page.evaluate(async () => {
    window.marker = "the same page";
    const { held, pending } = await navigator.locks.query();
    return held.length + pending.length;
  });
  assert.equal(locks, 0, "a lock would keep the page out of the cache");
  const listensTo = await lived(page, "listensTo");
  assert.ok(listensTo.includes("pagehide"), "the keeper's listeners were not seen");
  assert.ok(!listensTo.includes("unload"), "such a listener keeps a page out of the cache");
  await page.goto(`${platform.demo}${NIGHT_PAGE}?elsewhere`);
  await visitor.until("the other page's script ran", () => window.ready && !window.marker);
}

/** Comes back to the page that was left. Gives the moment. */
async function comeBack(visitor) {
  const { page } = visitor;
  await page.evaluate(() => void setTimeout(() => history.back()));
  const isShown = () => !location.search && window.lived?.events.at(-1)?.type === "pageshow";
  await arrivesAt(visitor, "the page that was left", isShown);
  const [isSame, reasons] = await page.evaluate(() => {
    const [{ notRestoredReasons }] = performance.getEntriesByType("navigation");
    return [window.marker === "the same page", notRestoredReasons?.toJSON() ?? null];
  });
  assert.ok(isSame, `another page came: ${JSON.stringify(reasons)}`);
  assert.equal(reasons, null);
  const back = await lastSeen(page, "pageshow");
  assert.equal(back.persisted, true, "the page did not come out of the cache");
  const [froze, resumed] = [await lastSeen(page, "freeze"), await lastSeen(page, "resume")];
  assert.equal(resumed.ticks, froze.ticks, "the page's timers went on");
  return back.at;
}

async function tokenId(visitor) {
  return visitor.page.evaluate(() => window.keeper.debug().token_info.token_id);
}

/** Lets the browser prerender the next page, and sees that its keeper is silent. */
async function prerender(visitor) {
  const { page, platform } = visitor;
  // Its own keeper must not be taken for the other page's.
  await page.evaluate(() => window.keeper.stop());
  await platform.forgetRequests();
  await page.evaluate((url) => {
    const rules = document.createElement("script");
    rules.type = "speculationrules";
    rules.textContent = JSON.stringify({ prerender: [{ urls: [url], eagerness: "immediate" }] });
    document.head.append(rules);
  }, PRERENDERED_PAGE);
  const word = await visitor.until(
    "the prerendered page leaves word",
    () => JSON.parse(localStorage.getItem("night-prerendered")),
    { within: PRERENDERED_WITHIN_MS },
  );
  assert.deepEqual(word, {
    prerendering: true,
    session: "unverified",
    signedIn: true,
    server: "unknown",
    status: 401,
  });
  // The one request shows that the page can send: it is the page's own.
  const sent = await platform.requests();
  assert.deepEqual(
    sent.map(({ path, status, credential }) => [path, status, credential]),
    [["/api/tags", 401, false]],
  );
}

/**
 * Goes to the page. Gives the moment at which it was shown.
 *
 * The page is looked at by a connection of its own from then on: the one that saw the page before
 * may go on to hold its frame, which is gone.
 */
async function activate(visitor, test) {
  const { page: before } = visitor;
  await before.evaluate((url) => void setTimeout(() => location.assign(url)), PRERENDERED_PAGE);
  const address = visitor.platform.demo + PRERENDERED_PAGE;
  const isShown = () => window.lived?.wasPrerendering && !document.prerendering;
  const shown = async () => {
    const browserWSEndpoint = before.browser().wsEndpoint();
    const connection = await puppeteer.connect({ browserWSEndpoint, protocolTimeout: 30_000 });
    const page = (await connection.pages()).find((page) => page.url() === address);
    if (await page?.evaluate(isShown).catch(() => false)) return { connection, page };
    await connection.disconnect();
  };
  const what = "the page that was prerendered is shown";
  const { connection, page } = await until(what, shown, { within: 20_000 });
  test.after(() => connection.disconnect());
  visitor.page = page;
  return (await lastSeen(page, "prerenderingchange")).at;
}
