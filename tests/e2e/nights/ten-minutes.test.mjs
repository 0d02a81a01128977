// Ten minutes at the intervals that an app gets when it asks for none, on a virtual clock. The
// network and the server are real: the clock stands still while a request is under way.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "../harness.mjs";
import { virtualTime } from "./clocks.mjs";

const PING_MS = 30_000;
const VERIFY_MS = 300_000;
/** Of the design: pings and verifications are spread by a tenth. */
const SPREAD = 0.1;
const MOST = 1 + SPREAD;
const LEAST = 1 - SPREAD;
/** After the periodic verification, and early enough that the next one is not due in the run. */
const RESTART_AT_MS = VERIFY_MS * MOST + 5_000;
const RUN_MS = 600_000;
/** A step of the test: no more than a call to the page may take. */
const STEP_MS = 10_000;

describe("ten minutes at the default intervals", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("take 20 pings, a check each 5 min and one for a restart, and no session", async (t) => {
    const visitor = await arrive(t, { prepare: virtualTime });
    const { platform } = visitor;
    const first = await signInByDefault(visitor);
    await pass(visitor, RESTART_AT_MS);
    await platform.control("restart");
    await pass(visitor, RUN_MS - RESTART_AT_MS);

    const pings = await platform.requests({ method: "GET", path: "/api/health" });
    assert.ok(Math.abs(pings.length - 20) <= 2, `${pings.length} pings`);
    for (const gap of gaps(await answered(visitor, "health"))) {
      assert.ok(gap >= PING_MS * LEAST && gap <= PING_MS * MOST, `${gap} ms between pings`);
    }
    await assertVerifications(visitor, first);
    assert.equal((await platform.state()).starts, 2);
    await visitor.assertNeverSignedOut();

    await platform.control("revoke");
    const end = await passUntilSignedOut(visitor, VERIFY_MS * MOST);
    const took = end.at - end.suspectAt;
    assert.ok(took <= OVER_WITHIN_MS.known, `over ${took} ms after the suspicion`);
  });

  it("end the session of a server that lost its tokens at the restart", async (t) => {
    const visitor = await arrive(t, { prepare: virtualTime });
    const { platform } = visitor;
    await signInByDefault(visitor);
    await pass(visitor, RESTART_AT_MS);
    await platform.control("restart-losing-tokens");

    const end = await passUntilSignedOut(visitor, PING_MS * MOST);
    const took = end.at - end.suspectAt;
    assert.ok(took <= OVER_WITHIN_MS.justStarted, `over ${took} ms after the suspicion`);
    await pass(visitor, RUN_MS - (await passed(visitor)));
    // Pings go on whether or not anyone is signed in.
    const pings = await platform.requests({ method: "GET", path: "/api/health" });
    assert.ok(Math.abs(pings.length - 20) <= 2, `${pings.length} pings`);
  });
});

/** Keeps a session with no interval named, from virtual zero. Gives the boot id. */
async function signInByDefault(visitor) {
  await visitor.page.evaluate(() => {
    const health = { everyMs: undefined, timeoutMs: undefined, wakeTimeoutMs: undefined };
    const verify = { everyMs: undefined, timeoutMs: undefined, retryDelayMs: undefined };
    window.keepSession({ health, verify });
    return window.keeper.start();
  });
  const [{ ms }] = await visitor.history("keep-alive");
  assert.equal(ms, PING_MS);
  await visitor.page.evaluate(() => window.signIn());
  const boot = await visitor.verified();
  assert.equal(await passed(visitor), 0);
  return boot;
}

/** At the sign-in, five minutes after it, and when the restart is noticed: no more and no less. */
async function assertVerifications(visitor, first) {
  const verified = await visitor.history("verified");
  const asked = await visitor.platform.requests({ path: "/auth/me" });
  const tell = JSON.stringify(verified);
  assert.deepEqual(
    asked.map(({ status }) => status),
    [200, 200, 200],
    tell,
  );
  assert.equal(verified.length, 3, tell);
  const [start, periodic, restarted] = verified;
  const pause = periodic.at - start.at;
  assert.ok(pause >= VERIFY_MS * LEAST && pause <= VERIFY_MS * MOST, `after ${pause} ms`);
  assert.deepEqual([start.boot, periodic.boot], [first, first]);
  assert.notEqual(restarted.boot, first);
  const noticed = restarted.at - start.at - RESTART_AT_MS;
  assert.ok(noticed >= 0 && noticed <= PING_MS * MOST, `${noticed} ms after the restart`);
  assert.equal((await visitor.history("periodic")).length, 1, tell);
}

/** The virtual moments of the answers of one kind of request. */
async function answered(visitor, probe) {
  const answers = await visitor.history("answered");
  return answers.filter((answer) => answer.probe === probe).map(({ at }) => at);
}

function gaps(moments) {
  return moments.slice(1).map((at, index) => at - moments[index]);
}

async function passed(visitor) {
  return visitor.page.evaluate(() => window.time.passed());
}

/** Lets virtual time pass. */
async function pass(visitor, ms) {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await visitor.page.evaluate((ms) => window.time.pass(ms), Math.min(left, STEP_MS));
  }
}

/** Lets virtual time pass until the session is over. */
async function passUntilSignedOut(visitor, most) {
  const end = (await passed(visitor)) + most + OVER_WITHIN_MS.justStarted;
  await until(
    "signed out",
    async () => {
      if ((await visitor.snapshot()).session === "signed-out") return true;
      assert.ok((await passed(visitor)) < end, `not signed out\n${await visitor.story()}`);
      await pass(visitor, 1_000);
      return false;
    },
    { within: 60_000 },
  );
  const signOut = await visitor.signedOut();
  assert.equal(signOut.reason, "rejected");
  assert.ok(signOut.evidence.refusals.length >= 2, "no evidence");
  return signOut;
}
