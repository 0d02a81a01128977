// The server sleeps and wakes up, with every answer that a platform gives meanwhile: nobody is
// signed out, and a revoked session still ends.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

/** A request on loopback, on a busy machine. */
const ROUND_TRIP_MS = 750;
/** Of the design: between tries while the server wakes up there are at most 6 s. */
const NOTICED_MS = 8_000;

describe("while the server wakes up", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("a held ping tells within one round trip that the server is back", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    await visitor.platform.control("sleep");
    await visitor.platform.forgetRequests();
    await visitor.serverIs("waking");
    await visitor.verified({ after: boot });

    const late = await lateness(visitor);
    assert.ok(late <= ROUND_TRIP_MS, `awake ${late} ms after the server listened`);
    const { sinceMs } = await visitor.platform.state();
    const pings = await visitor.platform.requests({ path: "/api/health" });
    assert.equal(pings.filter(({ at }) => at < sinceMs).length, 1, "a held ping was sent again");
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });

  const meanwhile = [
    { mode: "refuse", origin: "same", met: null },
    { mode: "refuse", origin: "cross" },
    { mode: "bad-gateway", origin: "same", met: 502 },
    { mode: "bad-gateway", origin: "cross", met: 502, by: { method: "OPTIONS" } },
    { mode: "unavailable", origin: "same", met: 503 },
    { mode: "splash", origin: "same", met: 200 },
    { mode: "unauthorized-page", origin: "same", met: 401 },
  ];
  for (const { mode, origin, met, by = { credential: true } } of meanwhile) {
    it(`nobody is signed out by ${mode} (${origin} origin), but by a revocation`, async (t) => {
      const visitor = await arrive(t);
      const { platform } = visitor;
      await platform.control("configure", { whileWaking: mode, retryAfterSeconds: 1 });
      const baseUrl = origin === "cross" ? platform.api : undefined;
      const { boot } = await visitor.signIn({ baseUrl });

      await platform.control("sleep");
      await platform.forgetRequests();
      await visitor.page.evaluate(() => void window.keeper.verify());
      await visitor.serverIs("waking");
      await visitor.verified({ after: boot, within: 20_000 });

      if (met !== undefined) await assertCheckMet(visitor, { status: met, ...by });
      const late = await lateness(visitor);
      assert.ok(late <= NOTICED_MS, `awake ${late} ms after the server listened`);
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  }

  it("requests of the app wait it out, and those that may be repeated are", async (t) => {
    const visitor = await arrive(t);
    await visitor.platform.control("configure", { whileWaking: "refuse" });
    await visitor.signIn();
    await visitor.page.evaluate(() => window.addTag("before"));
    await visitor.platform.control("sleep");

    const answers = await visitor.page.evaluate(async () => {
      const read = window.keeper.fetch("/api/tags").then((response) => response.json());
      const added = window.addTag("after", { repeat: true });
      return Promise.all([read, added]);
    });

    assert.ok(answers[0].tags.includes("before"));
    assert.deepEqual(answers[1], { status: 201, tags: ["before", "after"] });
    assert.ok((await visitor.events("server")).some(({ state }) => state === "waking"));
    await visitor.assertNeverSignedOut();
  });

  it("a page that is opened meanwhile keeps its session and checks it then", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    await visitor.platform.control("configure", { whileWaking: "splash" });
    await visitor.platform.control("sleep");

    await visitor.reload();
    const first = await visitor.keep();

    assert.equal(first.session, "unverified");
    assert.equal(first.signedIn, true);
    await visitor.serverIs("waking");
    await visitor.verified({ after: boot, within: 20_000 });
    await visitor.assertNeverSignedOut();
  });

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
    await visitor.verified({ after: boot, within: 20_000 });
    await visitor.assertNeverSignedOut();
  });
});

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
async function assertCheckMet(visitor, wanted) {
  const { sinceMs } = await visitor.platform.state();
  const checks = await visitor.platform.requests({ path: "/auth/me", ...wanted });
  const meanwhile = checks.filter(({ at }) => at < sinceMs);
  assert.notEqual(meanwhile.length, 0, "no check of the session met it while it woke up");
}
