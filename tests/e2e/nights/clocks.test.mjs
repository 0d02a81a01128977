// The machine sleeps, and clocks are wrong: neither signs anybody out, and the server still can.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, useBrowser } from "../harness.mjs";
import { movableClock } from "./clocks.mjs";
import {
  assertRefusedAfter,
  BACK_WITHIN_MS,
  refusalIsGiven,
  refusalUnderWay,
  startGate,
} from "./night.mjs";

const HOUR_MS = 3_600_000;
const NIGHT_MS = 8 * HOUR_MS;
/** The backend's tokens last seven days. */
const MONTH_MS = 30 * 24 * HOUR_MS;
/** What the clocks may differ by where the test says nothing. */
const ABOUT_MS = 60_000;

describe("clocks and a machine that sleeps", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("a machine asleep while the server restarts keeps its session", async (t) => {
    const visitor = await arrive(t, { prepare: movableClock });
    const { boot } = await visitor.signIn();
    const wokeAt = await sleepThrough(t, visitor, () => visitor.platform.control("restart"));

    await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    const [slept] = await visitor.history("slept");
    assert.ok(Math.abs(slept.ms - NIGHT_MS) < ABOUT_MS, `slept ${slept.ms} ms`);
    assert.ok(slept.at >= wokeAt);
    await visitor.assertNeverSignedOut();
  });

  it("a machine asleep while the token is revoked is signed out afterwards", async (t) => {
    const visitor = await arrive(t, { prepare: movableClock });
    await visitor.signIn();
    const wokeAt = await sleepThrough(t, visitor, () => visitor.platform.control("revoke"));

    const end = await visitor.signedOut();
    assert.equal((await visitor.history("slept")).length, 1);
    assertRefusedAfter(end, wokeAt);
    assert.ok(end.suspectAt - wokeAt <= BACK_WITHIN_MS, "asked too late");
    assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.justStarted, "not over in time");
  });

  it("a refusal that was on its way when the machine fell asleep counts for nothing", async (t) => {
    const visitor = await arrive(t, { prepare: movableClock });
    await visitor.signIn({ verify: { timeoutMs: 10_000 } });
    await refusalUnderWay(visitor);
    const wokeAt = await sleepThrough(t, visitor, () => refusalIsGiven(visitor));

    await visitor.until(
      "verified after the sleep",
      (wokeAt) => window.keeper.snapshot.lastVerifiedAt >= wokeAt,
      { args: [wokeAt], within: BACK_WITHIN_MS },
    );
    assert.deepEqual(await visitor.history("rejected"), []);
    await visitor.assertNeverSignedOut();

    // The opposite: the same refusal counts where nobody sleeps.
    await refusalUnderWay(visitor);
    const refused = () => window.keeper.history().some(({ code }) => code === "rejected");
    await visitor.until("the refusal is counted", refused);
  });

  it("a clock set hours forward and hours back signs nobody out, and checks go on", async (t) => {
    const visitor = await arrive(t, { prepare: movableClock });
    await visitor.signIn();
    const jumps = [
      // It looks as if the machine had slept.
      { by: 7 * HOUR_MS, off: 7 * HOUR_MS, sleeps: 1 },
      { by: -14 * HOUR_MS, off: -7 * HOUR_MS, sleeps: 1 },
    ];
    for (const { by, off, sleeps } of jumps) {
      await visitor.platform.forgetRequests();
      await visitor.page.evaluate((by) => window.clock.set(by), by);
      await verifiedBy(visitor, off);
      assert.equal((await visitor.history("slept")).length, sleeps);
      const checks = await visitor.platform.requests({ path: "/auth/me", status: 200 });
      assert.notEqual(checks.length, 0, "the server was not asked");
    }
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });

  it("a clock that is a month fast ends no token that the server still accepts", async (t) => {
    const visitor = await arrive(t, { prepare: movableClock });
    await visitor.signIn();
    await visitor.page.evaluate((by) => window.clock.set(by), MONTH_MS);
    await verifiedBy(visitor, MONTH_MS);
    await visitor.assertNeverSignedOut();

    await visitor.reload();
    const { session, expiresAt } = await visitor.keep();
    assert.equal(session, "unverified");
    const localNow = await visitor.page.evaluate(() => Date.now());
    assert.ok(expiresAt < localNow, "the token has not run out by the local clock");
    await verifiedBy(visitor, MONTH_MS);

    await visitor.assertNeverSignedOut();
    const end = await visitor.assertRevocationIsMet();
    assert.notEqual(end.evidence.rule, "expired");
  });

  // By its own clock the page is hours before the end, at it, or long past it.
  const clocks = { "hours slow": -7 * HOUR_MS, right: 0, "hours fast": 7 * HOUR_MS };
  for (const [name, off] of Object.entries(clocks)) {
    it(`a token that ran out is used until it is refused, the clock ${name}`, async (t) => {
      const visitor = await arrive(t, { prepare: movableClock });
      await visitor.page.evaluate((by) => window.clock.set(by), off);
      await visitor.keep();
      const ranOutAt = Date.now() + 2_000;
      await signInUntil(visitor, ranOutAt);

      await verifiedBy(visitor, off, ranOutAt + 1_000);
      await visitor.assertNeverSignedOut();
      await visitor.platform.control("revoke");
      const end = await visitor.signedOut();
      assert.equal(end.reason, "expired");
      assert.equal(end.evidence.rule, "expired");
      assert.ok(end.evidence.refusals.length >= 2, "one refusal was enough");
      const took = end.at - end.suspectAt;
      assert.ok(took <= OVER_WITHIN_MS.justStarted, `over ${took} ms after the suspicion`);
    });
  }
});

/** Sleeps for a night by the clock, until `meanwhile` is done. Gives the page's time of waking. */
async function sleepThrough(test, visitor, meanwhile) {
  const gate = await startGate(test);
  const sleeping = visitor.page.evaluate(
    (gate, ms) => {
      window.clock.sleep(gate, ms);
      return Date.now();
    },
    gate.address,
    NIGHT_MS,
  );
  await gate.holds();
  await meanwhile();
  gate.open();
  return sleeping;
}

/** Waits until a check that began at that moment or later was accepted; `off`: the page's clock. */
async function verifiedBy(visitor, off, moment = Date.now()) {
  // Set back, the clock read more before.
  const fact = (from, to) => {
    const { lastVerifiedAt } = window.keeper.snapshot;
    return lastVerifiedAt >= from && lastVerifiedAt < to;
  };
  const args = [moment + off, moment + off + ABOUT_MS];
  await visitor.until("verified by that clock", fact, { args, within: 3_000 + BACK_WITHIN_MS });
}

/** Signs in with a token of which the app says when it runs out, by the server's clock. */
async function signInUntil(visitor, expiresAt) {
  await visitor.page.evaluate(async (expiresAt) => {
    const response = await fetch("/auth/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username: "demo", password: "demo" }),
    });
    const { access_token: token } = await response.json();
    await window.keeper.signIn({ token, expiresAt });
  }, expiresAt);
  await visitor.verified();
}
