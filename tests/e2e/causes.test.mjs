// The causes that the reference backend can have behind its platform: each is named when it is
// there, once in every place, and what only looks like it is not. Those that a store or a fault
// on purpose makes are in stores.test.mjs and faults.test.mjs.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertNamed, assertNothingNamed, listen } from "./causes.mjs";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

/** A wake-up of 3 s, at most 6 s until it is noticed, and a busy machine. */
const BACK_WITHIN_MS = 20_000;
/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };
const html = { "content-type": "text/html" };
const portal = { status: 200, headers: html, body: "<html><title>Sign in to the network</title>" };

describe("of causes", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();
  const asleep = (ms) => `The server was asleep and took ${ms / 1_000} s to wake up`;
  const platforms = {
    "holds requests until it is up": ["hold", {}],
    "answers 503 until it is up": ["unavailable", {}],
    "holds checks until it is up, and there are no pings": ["hold", { health: false }],
  };

  for (const [sentence, [whileWaking, options]] of Object.entries(platforms)) {
    it(`a server that sleeps is named where a platform ${sentence}`, async (t) => {
      const visitor = await arrive(t);
      const lines = listen(visitor);
      await visitor.platform.control("configure", { whileWaking, retryAfterSeconds: 1 });
      const { boot } = await visitor.signIn(options);
      await visitor.platform.control("sleep");
      await visitor.reload();
      await visitor.keep(options);
      const next = await visitor.verified({ after: boot, within: BACK_WITHIN_MS });

      await assertNamed(visitor, lines, {
        cause: "server-sleeps",
        says: ({ ms }) => asleep(ms),
        evidence: { count: 1, ms: [1_000, BACK_WITHIN_MS] },
      });
      await visitor.assertNeverSignedOut();
      const end = await visitor.assertRevocationIsMet({ within: 60_000 });
      assert.ok(end.evidence.refusals.every((refusal) => refusal.boot === next));
      assert.equal((await visitor.history("diagnosis")).length, 1, "the revocation was explained");
    });
  }

  it("a server that was up all the time and only slow did not sleep", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    const { boot } = await visitor.signIn();
    await visitor.serverIsReady();
    const { pid } = await visitor.platform.state();
    process.kill(pid, "SIGSTOP");
    try {
      await visitor.serverIs("waking");
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await visitor.serverIs("awake");
    await proven(visitor);

    assert.ok((await visitor.history("held")).length > 0, "nothing was slow");
    assert.equal(await visitor.verified(), boot, "it was another process");
    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
  });

  it("a server that is deployed while it is in use did not sleep", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.platform.control("configure", { whileWaking: "unavailable" });
    const { boot } = await visitor.signIn(UNHURRIED);
    await visitor.platform.control("stop");
    await pingsMet(visitor, 503);
    await visitor.platform.control("wake");
    await visitor.verified({ after: boot, within: BACK_WITHIN_MS });

    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
  });

  it("a server behind a captive portal did not sleep, and its paths are right", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.signIn(UNHURRIED);
    await visitor.serverIsReady();
    await visitor.reload();
    await visitor.platform.fault("*", portal);
    await visitor.keep(UNHURRIED);
    await visitor.serverIs("waking");
    await pingsMet(visitor, 200);
    await visitor.platform.control("clear");
    await visitor.verified({ within: BACK_WITHIN_MS });

    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
  });

  it("a server that starts three times is in a loop, and twice is a deploy", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    let { boot } = await visitor.signIn(UNHURRIED);
    const since = Date.now();
    for (const _ of ["a deploy", "another"]) {
      await visitor.platform.control("restart");
      boot = await visitor.verified({ after: boot });
    }
    await assertNothingNamed(visitor, lines);
    await visitor.platform.control("restart");
    await visitor.verified({ after: boot });

    await assertNamed(visitor, lines, {
      cause: "restart-loop",
      says: ({ ms }) => `The server started 3 times in ${ms / 1_000} s`,
      evidence: { count: 3, ms: [1, Date.now() - since] },
    });
    assert.equal((await visitor.history("rebooted")).length, 3);
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
    assert.equal((await visitor.history("diagnosis")).length, 1, "the revocation was explained");
  });

  for (const [sentence, off] of [
    ["two minutes fast", 120_000],
    ["two minutes slow", -120_000],
  ]) {
    it(`a clock that is ${sentence} is named, and ends nothing`, async (t) => {
      const visitor = await arrive(t, { prepare: shiftClock(off) });
      const lines = listen(visitor);
      await visitor.signIn(UNHURRIED);
      await assertNamed(visitor, lines, {
        cause: "clock-skew",
        says: ({ ms }) => `The clock of this device is ${ms / 1_000} s off`,
        evidence: { ms: [115_000, 125_000] },
      });
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  }

  it("a clock that is half a minute fast is no cause", async (t) => {
    const visitor = await arrive(t, { prepare: shiftClock(30_000) });
    const lines = listen(visitor);
    await visitor.signIn(UNHURRIED);
    await pingsMet(visitor, 200, 3);
    const off = (await visitor.page.evaluate(() => Date.now())) - Date.now();
    assert.ok(Math.abs(off - 30_000) < 5_000, `the clock is ${off} ms off`);
    await assertNothingNamed(visitor, lines);
  });

  it("a verify path that is missing is named, and nothing is proven or over", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    const verify = { ...UNHURRIED.verify, path: "/auth/nowhere" };
    await visitor.keep({ ...UNHURRIED, verify });
    await visitor.page.evaluate(() => window.signIn());

    await assertNamed(visitor, lines, {
      cause: "wrong-path",
      says: () => `${visitor.platform.demo}/auth/nowhere answers 404: set verify.path`,
      evidence: { status: 404, probe: "verify", candidate: "/auth/me" },
    });
    await visitor.platform.control("revoke");
    await visitor.platform.forgetRequests();
    await until("two more checks", async () => {
      return (await visitor.platform.requests({ path: "/auth/nowhere", status: 404 })).length >= 2;
    });
    const { session, signedIn, server } = await visitor.snapshot();
    assert.deepEqual([session, signedIn, server], ["unverified", true, "awake"]);
    assert.equal((await visitor.history("diagnosis")).length, 1);
  });

  it("a verify path that was right is not named when it is missing", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.signIn(UNHURRIED);
    await visitor.platform.fault("/auth/me", { status: 404, body: "{}" });
    await visitor.until("missing for two checks", () => {
      return window.keeper.history().filter(({ code }) => code === "wrong-path").length >= 2;
    });
    await visitor.platform.control("clear");
    await proven(visitor);

    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });

  for (const [sentence, afterMs] of [
    ["at once", 0],
    ["while the login form was open", 2_000],
  ]) {
    it(`a health path that is missing is named, for who signs in ${sentence}`, async (t) => {
      const visitor = await arrive(t);
      const lines = listen(visitor);
      const options = { ...UNHURRIED, health: { ...UNHURRIED.health, path: "/api/nowhere" } };
      const at = `${visitor.platform.demo}/api/nowhere`;
      await visitor.keep(options);
      // An API's own 404 is of a server that is awake.
      await visitor.serverIs("awake");
      const waiting = (ms) => Date.now() - window.keeper.history()[0].at >= ms;
      await visitor.until("the form was open so long", waiting, { args: [afterMs] });
      await visitor.signIn(options);

      await visitor.until("named", () => {
        return window.events.some(({ cause }) => cause === "wrong-path");
      });
      await assertNamed(visitor, lines, {
        cause: "wrong-path",
        says: () => `${at} answers 404: set health.path or health: false`,
        evidence: { status: 404, probe: "health" },
      });
      const states = (await visitor.events("server")).map(({ state }) => state);
      assert.deepEqual(states, ["awake"], "a wrong path is no wake-up");
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet({ within: 60_000 });
    });
  }
});

/** The session is proven by an answer that comes from now on. */
async function proven(visitor) {
  const since = await visitor.page.evaluate(() => Date.now());
  const fact = (since) => window.keeper.snapshot.lastVerifiedAt > since;
  await visitor.until("verified again", fact, { args: [since] });
}

/** The keeper's last pings were answered by this status. */
async function pingsMet(visitor, status, times = 2) {
  const met = (status, times) => {
    const all = window.keeper.history().filter((entry) => entry.probe === "health");
    const last = all.slice(-times);
    return all.length >= times && last.every((entry) => entry.status === status);
  };
  await visitor.until(`pings met ${status}`, met, {
    args: [status, times],
    within: BACK_WITHIN_MS,
  });
}

/** Before the page's scripts: a clock that is off. */
function shiftClock(off) {
  return `{ const now = Date.now; Date.now = () => now() + ${off}; }`;
}
