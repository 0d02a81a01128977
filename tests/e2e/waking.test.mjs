// The server sleeps and wakes up, with every answer that a platform gives meanwhile: nobody is
// signed out, and a session that was revoked meanwhile ends when the server is back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

/** A request on loopback, on a busy machine. */
const ROUND_TRIP_MS = 750;
/** Of the design: between tries while the server wakes up there are at most 6 s. */
const NOTICED_MS = 8_000;
/** A wake-up of 3 s, at most 6 s until it is noticed, and a busy machine. */
const BACK_WITHIN_MS = 20_000;

/**
 * What requests meet meanwhile. `met` is the status that a check of the session must have got
 * (null: none at all); `by` names its preflight, where that is all that comes. `weighs` what could
 * be a refusal, if the server itself were awake.
 */
const meanwhile = {
  "requests that are held until it is up": { mode: "hold" },
  "connections that are refused": { mode: "refuse", met: null },
  // The kernel refuses, so that nobody can count them.
  "connections that are refused, of another origin": { mode: "refuse", cross: true, by: null },
  "502 with a page": { mode: "bad-gateway", met: 502 },
  "502 without CORS, of another origin": {
    mode: "bad-gateway",
    cross: true,
    met: 502,
    by: { method: "OPTIONS" },
  },
  "503 with Retry-After": { mode: "unavailable", met: 503 },
  "a splash page with 200": { mode: "splash", met: 200 },
  "a page with 401": { mode: "unauthorized-page", met: 401, weighs: true },
};

describe("while the server wakes up", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("a server that is stopped is waited for, however it refuses, and found again", async (t) => {
    const visitor = await arrive(t);
    await visitor.platform.control("configure", { whileWaking: "bad-gateway" });
    const { boot } = await visitor.signIn();
    await visitor.platform.control("stop");
    await visitor.serverIs("waking");
    await until("three probes were turned away", async () => {
      const turnedAway = await visitor.platform.requests({ path: "/api/health", status: 502 });
      return turnedAway.length >= 3;
    });

    await visitor.platform.control("wake");
    await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    await visitor.assertNeverSignedOut();
  });

  for (const [sentence, row] of Object.entries(meanwhile)) {
    it(`${sentence} sign nobody out, but a revocation meanwhile does`, async (t) => {
      const visitor = await arrive(t);
      const { platform } = visitor;
      await platform.control("configure", { whileWaking: row.mode, retryAfterSeconds: 1 });
      const { boot } = await visitor.signIn({ baseUrl: row.cross ? platform.api : undefined });

      const { from, to } = await fallAsleep(visitor);
      const next = await visitor.verified({ after: boot, within: BACK_WITHIN_MS });

      await assertCheckMet(visitor, from, row);
      const late = await lateness(visitor);
      const most = row.mode === "hold" ? ROUND_TRIP_MS : NOTICED_MS;
      assert.ok(late <= most, `awake ${late} ms after the server listened`);
      if (row.mode === "hold") await assertHeldPingsAreNotRepeated(visitor, to);
      await visitor.assertNeverSignedOut();
      const voided = await visitor.history("rejection-ignored");
      // The page's refusals belong to no server that was there: it was not, or is another one now.
      const reasons = new Set(["server-not-awake", "restarted"]);
      const others = voided.filter(({ why }) => !reasons.has(why));
      assert.deepEqual(others, []);
      assert.equal(voided.length > 0, !!row.weighs);

      await fallAsleep(visitor);
      await assertRevokedMeanwhile(visitor, next);
    });
  }

  it("a page that is opened meanwhile keeps its session and checks it then", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    await visitor.platform.control("configure", { whileWaking: "splash" });
    const openMeanwhile = async () => {
      await visitor.platform.control("sleep");
      await visitor.reload();
      const { session, signedIn } = await visitor.keep();
      assert.deepEqual([session, signedIn], ["unverified", true]);
      await visitor.serverIs("waking");
    };

    await openMeanwhile();
    const next = await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    await visitor.assertNeverSignedOut();

    await openMeanwhile();
    await assertRevokedMeanwhile(visitor, next);
  });
});

/** A held request is waited for: another one would only wait beside it. */
async function assertHeldPingsAreNotRepeated(visitor, asleep) {
  const { sinceMs } = await visitor.platform.state();
  const pings = await visitor.platform.requests({ path: "/api/health" });
  // None where it came at the very moment.
  const held = pings.filter(({ at }) => at >= asleep && at < sinceMs);
  assert.ok(held.length <= 1, "a held ping was sent again");
}

/**
 * The server sleeps, is asked, and the keeper says so while it wakes up. It fell asleep in between
 * the moments that this gives.
 */
async function fallAsleep(visitor) {
  // A path that has not been well since it failed fails alone while checks are accepted.
  await visitor.until("the last ping was answered by the server", () => {
    return window.keeper.history().findLast(({ probe }) => probe === "health")?.boot;
  });
  await visitor.platform.forgetRequests();
  const from = Date.now();
  await visitor.platform.control("sleep");
  const to = Date.now();
  await visitor.page.evaluate(() => void window.keeper.verify());
  await visitor.serverIs("waking");
  assert.equal((await visitor.snapshot()).signedIn, true);
  return { from, to };
}

/** Revokes the session before the server is back: signed out then, and by its own word alone. */
async function assertRevokedMeanwhile(visitor, boot) {
  await visitor.platform.control("revoke");
  assert.equal((await visitor.platform.state()).state, "waking", "it was back too early");
  assert.equal((await visitor.snapshot()).signedIn, true);
  await assertEnds(visitor, boot);
}

/** `boot` is the one before: what refuses is the server that came back. */
async function assertEnds(visitor, boot) {
  const { reason, at, suspectAt, evidence } = await visitor.signedOut(40_000);
  assert.equal(reason, "rejected");
  assert.ok(evidence.refusals.length >= 2, "no evidence");
  for (const refusal of evidence.refusals) {
    assert.deepEqual([refusal.status, refusal.grade], [401, "strong"]);
    assert.notEqual(refusal.boot, boot, "refused by another server");
  }
  // A boot id of a refusal counts from the moment at which health or an accepted answer bears it.
  const named = evidence.refusals.filter((refusal) => refusal.boot);
  if (named.length < 2) assert.fail(`refused by nobody\n${await visitor.story()}`);
  assert.ok(at - suspectAt <= OVER_WITHIN_MS.justStarted, await visitor.story());
}

/** How long after the process listened the keeper called the server awake. */
async function lateness(visitor) {
  const { sinceMs, state } = await visitor.platform.state();
  assert.equal(state, "running");
  const awake = await visitor.until(
    "an event tells that the server is awake again",
    (since) =>
      window.events.find(
        ({ type, state, at }) => type === "server" && state === "awake" && at >= since,
      ),
    { args: [sinceMs] },
  );
  return awake.since - sinceMs;
}

/** A check of the session, or its preflight, really met what the platform answers meanwhile. */
async function assertCheckMet(visitor, asleep, { met, by = { credential: true } }) {
  if (!by) return;
  const { sinceMs } = await visitor.platform.state();
  const checks = await visitor.platform.requests({ path: "/auth/me", ...by });
  const before = checks.filter(({ at }) => at >= asleep && at < sinceMs);
  assert.notEqual(before.length, 0, "no check of the session came while it woke up");
  if (met === undefined) return;
  const found = before.filter(({ status }) => status === met);
  assert.notEqual(found.length, 0, `no check met ${met}: ${JSON.stringify(before)}`);
}
