// A session from its beginning to its end, on a server that is well.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

/** A request on loopback, on a busy machine. */
const ROUND_TRIP_MS = 750;

/**
 * A ping that is answered late on a busy machine must not count as a wake-up, after which a keeper
 * rightly waits longer.
 */
const UNHURRIED = { timeoutMs: 10_000 };

describe("a session", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("begins with a token and is verified at once", async (t) => {
    const visitor = await arrive(t);
    const before = await visitor.keep();
    assert.equal(before.session, "signed-out");
    assert.equal(before.signedIn, false);

    await visitor.signIn();

    const { session, server, user, expiresAt, lastVerifiedAt } = await visitor.snapshot();
    assert.deepEqual([session, server], ["signed-in", "awake"]);
    assert.equal(user.username, "demo");
    assert.ok(expiresAt > lastVerifiedAt);
    assert.equal((await visitor.events("signin")).length, 1);
  });

  it("that was revoked is suspect at the check that met it, and over within 8 s", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn({ health: UNHURRIED, verify: UNHURRIED });
    await visitor.serverIsReady();
    const end = await visitor.assertRevocationIsMet({ within: OVER_WITHIN_MS.known });

    const [refused] = await visitor.platform.requests({ path: "/auth/me", status: 401 });
    const late = end.suspectAt - refused.at;
    assert.ok(late <= ROUND_TRIP_MS, `suspect ${late} ms after the check that met it`);
    assert.equal(end.evidence.rule, "instances");
    assert.ok(end.evidence.refusals.every((refusal) => refusal.boot === boot));
  });

  it("outlives a single refusal, which is refuted", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.platform.fault("/auth/me", refusal, 1);

    // The next burst waits until the server, which has just started, is ready.
    const refuted = () => window.keeper.history().some(({ code }) => code === "refuted");
    await visitor.until("refuted", refuted, { within: 20_000 });

    const changes = await visitor.events("change");
    assert.ok(changes.some(({ session }) => session === "suspect"));
    await visitor.verified();
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet({ within: 120_000 });
  });

  it("ends no later when the first refusal is met by a request of the app", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn({ health: UNHURRIED, verify: { ...UNHURRIED, everyMs: 300_000 } });
    await visitor.serverIsReady();
    await visitor.platform.control("revoke");
    const status = await visitor.page.evaluate(async () => {
      return (await window.keeper.fetch("/api/tags")).status;
    });
    assert.equal(status, 401);
    const met = Date.now();
    const end = await visitor.signedOut();

    assert.equal(end.reason, "rejected");
    assert.ok(end.at - met <= OVER_WITHIN_MS.known);
  });

  it("is restored by a reload, and checked", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.reload();
    const first = await visitor.keep();
    assert.equal(first.signedIn, true);
    await visitor.verified();

    assert.equal((await visitor.snapshot()).user.username, "demo");
    assert.equal((await visitor.history("restored")).length, 1);
    const status = await visitor.page.evaluate(async () => {
      return (await window.keeper.fetch("/api/tags")).status;
    });
    assert.equal(status, 200);
  });

  it("that ended stays ended over a reload, with its reason and evidence", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const end = await visitor.assertRevocationIsMet();
    await visitor.reload();
    const { session, signOut } = await visitor.keep();

    assert.equal(session, "signed-out");
    assert.equal(signOut.reason, "rejected");
    assert.deepEqual(signOut.evidence, end.evidence);
    const leftover = await visitor.page.evaluate(() => JSON.stringify({ ...localStorage }));
    assert.ok(!leftover.includes('token\\":'), "the token outlived the session");
  });

  it("that the user ended stays ended over a reload, and the server forgot it", async (t) => {
    const visitor = await arrive(t);
    const options = { signOut: { path: "/auth/logout" } };
    const { token } = await visitor.signIn(options);
    const { session, signOut } = await visitor.page.evaluate(() => window.keeper.signOut());
    assert.deepEqual([session, signOut.reason], ["signed-out", "user"]);
    await forgotten(visitor, token);

    await visitor.reload();
    const restored = await visitor.keep(options);
    assert.deepEqual([restored.session, restored.signOut.reason], ["signed-out", "user"]);
  });

  it("can be ended offline, which the server hears of later", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn({ signOut: { path: "/auth/logout" } });
    await visitor.page.setOfflineMode(true);
    const { session, signOut } = await visitor.page.evaluate(() => window.keeper.signOut());
    assert.deepEqual([session, signOut.reason], ["signed-out", "user"]);
    assert.equal(await answerTo(visitor, token), 200);

    await visitor.page.setOfflineMode(false);
    await forgotten(visitor, token);
    assert.equal((await visitor.snapshot()).session, "signed-out");
  });

  it("goes on while the network is gone", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.page.setOfflineMode(true);
    await visitor.serverIs("offline");
    await visitor.page.setOfflineMode(false);
    const back = Date.now();
    await visitor.serverIs("awake", 15_000);
    await visitor.until(
      "verified after the network came back",
      (back) => window.keeper.snapshot.lastVerifiedAt > back,
      { args: [back] },
    );
    await visitor.assertNeverSignedOut();
  });

  it("adds one tag, and another", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const one = await visitor.page.evaluate(() => window.addTag("one"));
    const another = await visitor.page.evaluate(() => window.addTag("another"));

    assert.deepEqual(one, { status: 201, tags: ["one"] });
    assert.deepEqual(another, { status: 201, tags: ["one", "another"] });
  });
});

const refusal = {
  status: 401,
  headers: {
    "content-type": "application/json",
    "www-authenticate": 'Bearer error="invalid_token"',
  },
  body: JSON.stringify({ code: "invalid_token", message: "Invalid or expired token" }),
};

async function answerTo(visitor, token) {
  const headers = { Authorization: `Bearer ${token}` };
  return (await fetch(`${visitor.platform.demo}/auth/me`, { headers })).status;
}

async function forgotten(visitor, token) {
  const tell = () => visitor.story();
  const fact = async () => (await answerTo(visitor, token)) === 401;
  await until("the server forgot the token", fact, { within: 20_000, tell });
}
