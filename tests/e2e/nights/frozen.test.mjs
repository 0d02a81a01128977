// A tab that the browser freezes: nothing runs in it, and what it knew is old when it goes on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "../harness.mjs";
import {
  assertNobodyListens,
  assertRefusedAfter,
  BACK_WITHIN_MS,
  hide,
  lastSeen,
  lived,
  NIGHT_PAGE,
  refusalUnderWay,
  show,
  ticksGoOn,
} from "./night.mjs";

/** A burst that is 10 s after the start of the server, and the way back from the freeze. */
const REFUTED_WITHIN_MS = 25_000;

describe("a frozen tab", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const { name, isGenuine } of [
    { name: "confirmed again when the token was revoked", isGenuine: true },
    { name: "dropped when the server accepts the token again", isGenuine: false },
  ]) {
    it(`in the middle of a suspicion: it is ${name}`, async (t) => {
      const visitor = await arrive(t, { page: NIGHT_PAGE });
      await visitor.signIn();
      const headers = { "Content-Type": "application/json" };
      await visitor.platform.fault("/auth/me", { status: 401, headers, body: "{}" });
      await visitor.until("suspect", () => window.keeper.snapshot.session === "suspect");
      const ice = await freeze(visitor);
      if (isGenuine) await visitor.platform.control("revoke");
      await visitor.platform.control("clear");
      await ticksGoOn(ice.front);

      const thawedAt = await ice.thaw();
      if (isGenuine) {
        const end = await visitor.signedOut();
        assert.equal(end.reason, "rejected");
        const heard = end.evidence.refusals.filter(({ at }) => at >= thawedAt);
        assert.notEqual(heard.length, 0, "nothing was asked after it");
      } else {
        const within = BACK_WITHIN_MS;
        const refuted = () => window.keeper.history().some(({ code }) => code === "refuted");
        // The next burst waits for a server that has just started.
        await visitor.until("refuted", refuted, { within: REFUTED_WITHIN_MS });
        await visitor.verified({ within });
        await visitor.assertNeverSignedOut();
      }
    });
  }

  it("sends nothing, and keeps its session when the server restarted meanwhile", async (t) => {
    const visitor = await arrive(t, { page: NIGHT_PAGE });
    const { boot } = await visitor.signIn();
    const ice = await freeze(visitor);
    await visitor.platform.forgetRequests();
    await visitor.platform.control("restart");
    await ticksGoOn(ice.front);
    assert.deepEqual(await visitor.platform.requests(), [], "a frozen tab sent something");

    const thawedAt = await ice.thaw();
    await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    const verified = (await visitor.history("verified")).findLast((entry) => entry.boot !== boot);
    assert.ok(verified.at >= thawedAt);
    await visitor.assertNeverSignedOut();
  });

  it("is signed out by what it hears after it, when the token was revoked", async (t) => {
    const visitor = await arrive(t, { page: NIGHT_PAGE });
    await visitor.signIn();
    const ice = await freeze(visitor);
    await visitor.platform.control("revoke");
    await ticksGoOn(ice.front);
    await visitor.assertNeverSignedOut();

    const thawedAt = await ice.thaw();
    const end = await visitor.signedOut();
    assertRefusedAfter(end, thawedAt);
    assert.ok(end.suspectAt - thawedAt <= BACK_WITHIN_MS, "asked too late");
    assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
  });

  it("takes no refusal that was on its way", async (t) => {
    const visitor = await arrive(t, { page: NIGHT_PAGE });
    await visitor.signIn({ verify: { timeoutMs: 10_000 } });
    await refusalUnderWay(visitor);
    const ice = await freeze(visitor);
    await assertNobodyListens(visitor, ice.front);

    const thawedAt = await ice.thaw();
    await visitor.until(
      "verified after it",
      (thawedAt) => window.keeper.snapshot.lastVerifiedAt >= thawedAt,
      { args: [thawedAt], within: BACK_WITHIN_MS },
    );
    assert.deepEqual(await visitor.history("rejected"), []);
    await visitor.assertNeverSignedOut();
  });
});

/**
 * Freezes the visitor's tab, as a browser does with one that is hidden. A focus that is emulated
 * would make it nothing without a word, so the event and the silence of its timers are checked.
 */
async function freeze(visitor) {
  const front = await hide(visitor);
  const session = await visitor.page.createCDPSession();
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  const { events, ticks } = await lived(visitor.page);
  assert.equal(events.at(-1).type, "freeze", "the tab was not frozen");
  const thaw = async () => {
    const stood = (await lived(visitor.page, "ticks")).length;
    assert.equal(stood, ticks.length, "the tab's timers went on");
    await session.send("Page.setWebLifecycleState", { state: "active" });
    await until("the tab goes on", async () => {
      const { type } = (await lived(visitor.page, "events")).at(-1);
      return type === "resume";
    });
    await show(visitor);
    return (await lastSeen(visitor.page, "resume")).at;
  };
  return { front, thaw };
}
