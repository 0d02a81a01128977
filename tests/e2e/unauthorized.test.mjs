// A 401 of the app's own requests: what the app gets, when, and that its session is as the app sees
// it then.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, useBrowser } from "./harness.mjs";

const SELDOM = { health: { timeoutMs: 10_000 }, verify: { everyMs: 300_000 } };
const REFUSED = {
  status: 401,
  headers: { "content-type": "application/json" },
  body: '{"error":"invalid_token"}',
};
/** Beyond what the keeper waits, on a busy machine. */
const LEEWAY_MS = 3_000;
/** The limit of checks for requests of the app (G2). */
const CHECK_EVERY_MS = 10_000;

const POST = { method: "POST", body: '{"name":"one"}' };

describe("a 401 of a request of the app", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("that a verification refutes is asked once more where that is harmless", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    await calm(visitor);
    for (const [init, status, asked, checks] of [
      [{}, 200, 2, 1],
      [POST, 401, 1, 1],
      // The check before it is recent.
      [{ ...POST, retry: true }, 201, 2, 0],
    ]) {
      await platform.fault("/api/tags", REFUSED, 1);
      await platform.forgetRequests();
      const outcome = await visitor.page.evaluate(askFor, "/api/tags", init);
      assert.equal(outcome.status, status, JSON.stringify(outcome));
      assert.ok(outcome.ms < CHECK_EVERY_MS + LEEWAY_MS, `${outcome.ms} ms`);
      assert.equal((await platform.requests({ path: "/api/tags" })).length, asked);
      assert.equal((await platform.requests({ path: "/auth/me" })).length, checks);
    }
    assert.deepEqual(await tags(visitor), ["one"]);
    await visitor.assertNeverSignedOut();
    await assertRevocationIsMet(visitor);
  });

  it("is not seen where a path says 401 and 200 by turns and verify says 200", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    const statuses = [];
    for (let turn = 0; turn < 8; turn++) {
      if (turn % 2 === 0) await platform.fault("/api/tags", REFUSED, 1);
      const outcome = await visitor.page.evaluate(askFor, "/api/tags", {});
      statuses.push(outcome.status);
      assert.ok(outcome.ms < LEEWAY_MS, `${outcome.ms} ms`);
    }
    assert.deepEqual(statuses, Array(8).fill(200));
    await visitor.assertNeverSignedOut();
  });

  it("is handed out after the sign-out where the session is over", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { page, platform } = visitor;
    await visitor.signIn(SELDOM);
    await calm(visitor);
    await platform.control("revoke");
    const outcomes = await page.evaluate((post) => {
      const given = () => ({ signedIn: window.keeper.snapshot.signedIn });
      const requests = [window.outcome("/api/tags"), window.outcome("/api/tags", post)];
      return Promise.all(requests.map((it) => it.then((outcome) => ({ ...outcome, ...given() }))));
    }, POST);
    for (const { status, signedIn, ms } of outcomes) {
      assert.deepEqual([status, signedIn], [401, false]);
      assert.ok(ms < OVER_WITHIN_MS.justStarted + LEEWAY_MS, `${ms} ms`);
    }
    const [end] = await visitor.events("signout");
    assert.equal(end.reason, "rejected");
    const given = await page.evaluate(() => window.given);
    assert.ok(
      given.every((at) => at >= end.at),
      "handed out before the sign-out",
    );
  });

  it("of a path that refuses alone is handed out, and soon", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    await calm(visitor);
    await platform.fault("/api/admin", REFUSED);
    await platform.forgetRequests();
    for (let turn = 0; turn < 10; turn++) {
      const outcome = await visitor.page.evaluate(askFor, "/api/admin", {});
      assert.equal(outcome.status, 401);
      assert.ok(outcome.ms < LEEWAY_MS, `the ${turn + 1}. took ${outcome.ms} ms`);
    }
    const checks = await platform.requests({ path: "/auth/me" });
    assert.ok(checks.length <= 2, `${checks.length} checks`);
    await visitor.assertNeverSignedOut();
    await assertRevocationIsMet(visitor);
  });

  it("is handed out when waitMs is over, and the session kept", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn({ ...SELDOM, fetch: { waitMs: 1_500 } });
    await calm(visitor);
    await platform.fault("/auth/me", { status: 503 });
    await platform.fault("/api/tags", REFUSED);
    const outcome = await visitor.page.evaluate(askFor, "/api/tags", {});
    assert.equal(outcome.status, 401);
    assert.ok(outcome.ms >= 1_500 && outcome.ms < 1_500 + LEEWAY_MS, `${outcome.ms} ms`);
    await visitor.assertNeverSignedOut();
  });

  it("ends with the signal of the app while it is held", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    await calm(visitor);
    await platform.fault("/auth/me", { status: 503 });
    await platform.fault("/api/tags", REFUSED);
    const outcome = await visitor.page.evaluate(() => {
      return window.outcome("/api/tags", { signal: AbortSignal.timeout(300) });
    });
    assert.match(outcome.name, /^(Timeout|Abort)Error$/);
    assert.ok(outcome.ms < 300 + LEEWAY_MS, `${outcome.ms} ms`);
  });

  it("is handed out at once where the app wants each of them", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn({ ...SELDOM, fetch: { on401: "pass" } });
    await platform.fault("/api/tags", REFUSED, 1);
    const outcome = await visitor.page.evaluate(askFor, "/api/tags", {});
    assert.equal(outcome.status, 401);
    await visitor.assertNeverSignedOut();
  });

  it("for an older token is sent again with the newer one, whatever its method", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { page, platform } = visitor;
    await visitor.signIn(SELDOM);
    await platform.fault("/api/tags", { ...REFUSED, headersAfterMs: 1_000 }, 1);
    await platform.forgetRequests();
    const outcome = await page.evaluate(async (post) => {
      const answer = window.outcome("/api/tags", post);
      await window.signIn();
      return answer;
    }, POST);
    assert.equal(outcome.status, 201);
    assert.equal((await platform.requests({ path: "/api/tags" })).length, 2);
    assert.deepEqual(await tags(visitor), ["one"]);
    await visitor.assertNeverSignedOut();
  });
});

describe("a 503 of a path that fails alone", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const health of [SELDOM.health, false]) {
    it(`never waits long, with health ${health ? "on" : "off"}`, async (t) => {
      const visitor = await arrive(t, { prepare });
      const { platform } = visitor;
      await visitor.signIn({ ...SELDOM, health });
      await platform.fault("/api/broken", { status: 503 });
      await platform.forgetRequests();
      for (let turn = 0; turn < 8; turn++) {
        const outcome = await visitor.page.evaluate(askFor, "/api/broken", {});
        assert.equal(outcome.status, 503);
        assert.ok(outcome.ms < 2_500, `the ${turn + 1}. took ${outcome.ms} ms`);
      }
      const checks = await platform.requests({ path: "/auth/me" });
      assert.ok(checks.length <= 2, `${checks.length} checks in a storm`);
      await visitor.assertNeverSignedOut();
    });
  }
});

/** In the page, before its scripts: what becomes of a request of the app, and when. */
function prepare() {
  window.given = [];
  window.outcome = async (path, { ...init } = {}) => {
    if (init.body) init.headers = { "Content-Type": "application/json" };
    const began = performance.now();
    const ms = () => performance.now() - began;
    try {
      const { status } = await window.keeper.fetch(path, init);
      window.given.push(Date.now());
      return { status, ms: ms() };
    } catch ({ name, code, message }) {
      return { name, code, message, ms: ms() };
    }
  };
}

/** In the page. */
const askFor = (path, init) => window.outcome(path, init);

/** The opposite in the same setting: a request of the app meets the end of the session. */
async function assertRevocationIsMet(visitor) {
  await visitor.platform.control("revoke");
  const { status, ms } = await visitor.page.evaluate(askFor, "/api/tags", {});
  assert.equal(status, 401);
  assert.ok(ms < CHECK_EVERY_MS + OVER_WITHIN_MS.justStarted + LEEWAY_MS, `${ms} ms`);
  assert.equal((await visitor.snapshot()).signOut?.reason, "rejected");
}

/** Waits until no verification speaks for the token any more. */
const calm = (visitor) =>
  visitor.until(
    "the last verification is no longer recent",
    (ms) => Date.now() - window.keeper.snapshot.lastVerifiedAt > ms,
    { within: 2 * CHECK_EVERY_MS, args: [CHECK_EVERY_MS] },
  );

const tags = (visitor) =>
  visitor.page.evaluate(async () => (await (await window.keeper.fetch("/api/tags")).json()).tags);
