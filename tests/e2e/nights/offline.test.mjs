// The browser has no network, and then it has one again.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, useBrowser } from "../harness.mjs";
import { assertRefusedAfter, BACK_WITHIN_MS } from "./night.mjs";

describe("a browser without a network", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("keeps its session, and its requests wait until there is one again", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    await goOffline(visitor);
    await visitor.platform.forgetRequests();
    await visitor.page.evaluate(() => {
      window.waiting = { answeredAt: undefined };
      window.keeper.fetch("/api/tags").then(
        ({ status }) => Object.assign(window.waiting, { status, answeredAt: Date.now() }),
        (error) => Object.assign(window.waiting, { error: String(error) }),
      );
    });
    await visitor.platform.control("restart");
    await failedAgain(visitor);
    await visitor.assertNeverSignedOut();
    assert.deepEqual(await visitor.page.evaluate(() => window.waiting), {});
    assert.deepEqual(await visitor.platform.requests(), [], "the network was there");

    const onlineAt = await goOnline(visitor);
    await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    const { lastVerifiedAt } = await visitor.snapshot();
    assert.ok(lastVerifiedAt - onlineAt <= BACK_WITHIN_MS, "verified too late");
    const answered = () => window.waiting.answeredAt && window.waiting;
    const { status, answeredAt } = await visitor.until("the request is answered", answered);
    assert.equal(status, 200);
    assert.ok(answeredAt >= onlineAt);
    await visitor.assertNeverSignedOut();
  });

  it("is signed out by what it hears afterwards, when the token was revoked", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await goOffline(visitor);
    await visitor.platform.control("revoke");
    await failedAgain(visitor);
    await visitor.assertNeverSignedOut();

    const onlineAt = await goOnline(visitor);
    const end = await visitor.signedOut();
    assertRefusedAfter(end, onlineAt);
    assert.ok(end.suspectAt - onlineAt <= BACK_WITHIN_MS, "asked too late");
    assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
  });

  it("restores the session of a new page, and verifies it when there is one", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.reload();
    await visitor.page.setOfflineMode(true);
    const { session, signedIn } = await visitor.keep();
    assert.deepEqual([session, signedIn], ["unverified", true]);
    await visitor.serverIs("offline");
    const resolved = await visitor.page.evaluate(() => window.keeper.verify());
    assert.equal(resolved.session, "unverified");

    await goOnline(visitor);
    await visitor.verified({ within: BACK_WITHIN_MS });
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });
});

async function goOffline(visitor) {
  await visitor.page.setOfflineMode(true);
  await visitor.serverIs("offline");
  assert.equal(await visitor.page.evaluate(() => navigator.onLine), false);
}

/** Gives the moment by the page's clock. */
async function goOnline(visitor) {
  await visitor.page.setOfflineMode(false);
  const isOnline = () => window.keeper.history().findLast(({ event }) => event === "online");
  return (await visitor.until("the browser says online", isOnline)).at;
}

/** Waits until the keeper has asked in vain twice more. */
async function failedAgain(visitor) {
  const failures = async () => (await visitor.history("unanswered")).length;
  const before = await failures();
  const fact = (enough) =>
    window.keeper.history().filter(({ code }) => code === "unanswered").length >= enough;
  await visitor.until("asked in vain", fact, { args: [before + 2], within: 15_000 });
}
