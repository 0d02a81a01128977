// Servers that others wrote are restarted: with all that they knew, without their tokens, with
// another key, and again and again.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OVER_WITHIN_MS, useBrowser } from "./visitor.mjs";

/** They wait for minutes and do next to nothing meanwhile. */
const AT_ONCE = 6;
/** A restart loop is named at the third. */
const RELOADS = 4;
/** Health is asked between the verifications, so that every start is seen. */
const OFTEN = { health: { everyMs: 500, timeoutMs: 10_000 } };
/** Nothing is asked while the server restarts. */
const RARELY = {
  health: { everyMs: 60_000, timeoutMs: 10_000 },
  verify: { everyMs: 60_000, timeoutMs: 10_000 },
};
/** Starts that are less apart are workers of one start. */
const UP_FOR_MS = 8_000;

describe("a server that restarts", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const kind of ["uvicorn", "node cluster", "gunicorn sync", "gunicorn gthread"]) {
    it(`${kind}: tokens that four workers share outlive it`, async (t) => {
      const visitor = await arrive(t, { kind, workers: 4, tokens: "shared" });
      await visitor.signIn();
      await assertKeptOverRestart(visitor);
      assert.ok(visitor.answers.every(({ status }) => status === 200));
      await visitor.assertRevocationIsMet(OVER_WITHIN_MS.unknown);
      assert.deepEqual(await visitor.causes(), []);
    });
  }

  for (const kind of ["uvicorn", "node cluster"]) {
    it(`${kind}: tokens that were signed with one key outlive it`, async (t) => {
      const visitor = await arrive(t, { kind, workers: 2, tokens: "signed" });
      await visitor.signIn();
      await assertKeptOverRestart(visitor);
      await visitor.assertRevocationIsMet(OVER_WITHIN_MS.unknown);
    });
  }

  it("gunicorn gthread: another key at each start ends the session and is named", async (t) => {
    const kind = "gunicorn gthread";
    const visitor = await arrive(t, { kind, tokens: "signed-random", says: "boot,uptime" });
    await visitor.signIn(OFTEN);
    await assertLostByRestart(visitor);
    await visitor.named("signing-key-changed");
    assert.deepEqual(await visitor.causes(), ["signing-key-changed"]);
  });

  it("gunicorn gthread: tokens lost are named where the refusal comes first", async (t) => {
    const kind = "gunicorn gthread";
    const visitor = await arrive(t, { kind, tokens: "memory", says: "boot" });
    await visitor.signIn(RARELY);
    await assertLostByRestart(visitor, { noticed: false });
    await visitor.named("tokens-lost");
    assert.deepEqual(await visitor.causes(), ["tokens-lost"]);
  });

  it("uvicorn: an uptime that began again is enough to name tokens lost", async (t) => {
    const visitor = await arrive(t, { kind: "uvicorn", tokens: "memory", says: "uptime" });
    await visitor.signIn(OFTEN);
    await visitor.verified(visitor.server.startedAt + UP_FOR_MS);
    await assertLostByRestart(visitor);
    await visitor.named("tokens-lost");
  });

  it("uvicorn: a health path that tells nothing leaves the sign-out its reason", async (t) => {
    const visitor = await arrive(t, { kind: "uvicorn", tokens: "memory" });
    await visitor.signIn();
    await assertLostByRestart(visitor);
    assert.deepEqual(await visitor.causes(), []);
  });

  it("uvicorn --reload: file after file changes, and nobody is signed out", async (t) => {
    const options = { kind: "uvicorn", tokens: "shared", says: "boot,uptime", reload: true };
    const visitor = await arrive(t, options);
    await visitor.signIn(OFTEN);
    let { worker } = await visitor.verified(0);
    for (let reload = 0; reload < RELOADS; reload += 1) {
      const changedAt = Date.now();
      await visitor.server.change();
      worker = (await visitor.verified(changedAt, { notBy: worker })).worker;
    }
    const workers = new Set(visitor.answers.map((answer) => answer.worker));
    assert.equal(workers.size, 1 + RELOADS, "it did not restart at each change");
    assert.ok(visitor.answers.every(({ status }) => status === 200));

    await visitor.named("restart-loop");
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet(OVER_WITHIN_MS.unknown);
  });
});

/** The session goes on, and the server accepted the token after its restart. */
async function assertKeptOverRestart(visitor) {
  await visitor.verified(0);
  const before = await visitor.server.workers();
  await visitor.server.restart();
  const { worker } = await visitor.verified(Date.now());
  assert.ok(!before.includes(worker), "a worker of before the restart accepted the token");
  await visitor.assertNeverSignedOut();
}

/**
 * The session was good, and ends after the restart because the server refuses it. The keeper has
 * `noticed` that the server was gone, or the refusal is the first that it hears.
 */
async function assertLostByRestart(visitor, { noticed = true } = {}) {
  await visitor.verified(0);
  await visitor.assertNeverSignedOut();
  await visitor.server.stop();
  if (noticed) {
    await visitor.until("the server is gone", () => window.keeper.snapshot.server === "waking");
    await visitor.assertNeverSignedOut();
  }
  await visitor.server.start();
  if (!noticed) await visitor.page.evaluate(() => window.keeper.verify());
  const end = await visitor.assertSignedOut(OVER_WITHIN_MS.unknown);
  const { at } = visitor.answers.find(({ status }) => status === 401);
  assert.ok(end.at > at, "signed out before anything was refused");
}
