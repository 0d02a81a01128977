// A tab that nobody looks at: its timers are slow, and the keeper does what `whenHidden` says.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "../harness.mjs";
import { hide, lastSeen, lived, NIGHT_PAGE, show, ticksGoOn } from "./night.mjs";

/** What puppeteer switches off for steadier tests, and is tested here. */
const launch = {
  ignoreDefaultArgs: ["--disable-background-timer-throttling", "--disable-renderer-backgrounding"],
};
/** Chromium runs a hidden tab's timers once in a second. */
const HIDDEN_TICK_MS = 1_000;
/** Of a visible tab on a busy machine, and of a hidden one that is a little early. */
const VISIBLE_TICK_MOST_MS = 500;
const HIDDEN_TICK_LEAST_MS = 800;
/** A request and its answer in a tab that is visible, on a busy machine. */
const SOON_MS = 3_000;

describe("a hidden tab", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser(launch);

  const cases = {
    "is pinged from for a while": { whenHidden: "ping", hiddenForMs: 3_000 },
    "is not pinged from": { whenHidden: "pause" },
  };
  for (const [name, health] of Object.entries(cases)) {
    it(`${name}, and asks at once when somebody looks again`, async (t) => {
      const visitor = await arrive(t, { page: NIGHT_PAGE });
      const { platform } = visitor;
      const { boot } = await visitor.signIn({ health });
      await hideThrottled(visitor);
      if (health.hiddenForMs) await assertPinged(visitor, health.hiddenForMs);
      await assertSilent(visitor);
      await platform.control("restart");
      await assertSilent(visitor);
      await assertAsksSoon(visitor);
      await visitor.verified({ after: boot, within: SOON_MS });
      await visitor.assertNeverSignedOut();

      // The opposite, in the same setting.
      await hideThrottled(visitor);
      if (health.hiddenForMs) await assertPinged(visitor, health.hiddenForMs);
      await platform.control("revoke");
      await assertSilent(visitor);
      await visitor.assertNeverSignedOut();
      await assertAsksSoon(visitor);
      const end = await visitor.signedOut();
      assert.equal(end.reason, "rejected");
      assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
    });
  }

  it("is pinged from all the time, where the app wants it, and told of a revocation", async (t) => {
    const visitor = await arrive(t, { page: NIGHT_PAGE });
    const { platform } = visitor;
    const { boot } = await visitor.signIn({ health: { whenHidden: "always", hiddenForMs: 250 } });
    await hideThrottled(visitor);
    await platform.control("restart");
    await visitor.verified({ after: boot });
    const { at: hiddenAt } = await lastSeen(visitor.page, "visibilitychange");
    const pings = await platform.requests({ path: "/api/health", status: 200 });
    const late = pings.filter(({ at }) => at > hiddenAt + HIDDEN_TICK_MS);
    assert.notEqual(late.length, 0, "no ping after the while for which others go on");
    await visitor.assertNeverSignedOut();

    await visitor.assertRevocationIsMet();
    assert.equal(await visitor.page.evaluate(() => document.visibilityState), "hidden");
  });
});

/** Hides the tab, and sees that its timers were quick before and are slow now. */
async function hideThrottled(visitor) {
  const { page } = visitor;
  const some = async () => (await gaps(page)).length >= 5;
  await until("the visible tab's timer ticks", some);
  const visible = (await gaps(page)).slice(-5);
  await hide(visitor);
  const since = (await lastSeen(page, "visibilitychange")).ticks;
  const enough = async () => (await lived(page, "ticks")).length >= since + 5;
  await until("the hidden tab's timer ticks", enough);
  // The first ones were due before.
  const hidden = (await gaps(page)).slice(since + 2);
  const tell = JSON.stringify({ visible, hidden });
  assert.ok(Math.min(...visible) < VISIBLE_TICK_MOST_MS, `slow before: ${tell}`);
  assert.ok(Math.min(...hidden) > HIDDEN_TICK_LEAST_MS, `not throttled: ${tell}`);
}

/** How long each tick of the page's timer was after the one before. */
async function gaps(page) {
  const ticks = await lived(page, "ticks");
  return ticks.slice(1).map((at, index) => at - ticks[index]);
}

/** Pings go on in a tab that is hidden, and end when it was hidden for so long. */
async function assertPinged({ page, platform }, hiddenForMs) {
  const { at: hiddenAt } = await lastSeen(page, "visibilitychange");
  const end = hiddenAt + hiddenForMs;
  await until("that time is over", () => Date.now() > end + HIDDEN_TICK_MS);
  const pings = await platform.requests({ path: "/api/health" });
  const since = pings.filter(({ at }) => at > hiddenAt && at <= end);
  assert.ok(since.length >= 2, `${since.length} pings while hidden`);
}

/** The tab's timers run, and nothing is sent. */
async function assertSilent({ page, platform }) {
  await platform.forgetRequests();
  await ticksGoOn(page, 3);
  assert.deepEqual(await platform.requests(), [], "something was sent");
}

/** A ping and a check of the session come as soon as somebody looks. */
async function assertAsksSoon(visitor) {
  await show(visitor);
  const { at: visibleAt } = await lastSeen(visitor.page, "visibilitychange");
  for (const path of ["/api/health", "/auth/me"]) {
    const asked = async () => (await visitor.platform.requests({ path }))[0];
    const { at } = await until(`${path} is asked`, asked);
    assert.ok(at - visibleAt <= SOON_MS, `${path} asked ${at - visibleAt} ms after`);
  }
}
