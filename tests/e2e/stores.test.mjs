// Sessions in each store of the reference backend: restarts, killed workers and a store that goes
// away end none of them, and a revocation ends them all.
//
// Each store is shared by two servers: one of a single process and one of three workers. So one
// revocation is the opposite of everything that was outlived before it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { assertNamed, assertNothingNamed, listen } from "./causes.mjs";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";
import { leftOut, startService } from "./services.mjs";
import { killWorker } from "./workers.mjs";

/** A start, and the pause that a refused request is asked for: 5 s. */
const BACK_WITHIN_MS = 20_000;
/** A hanging store is waited for 2 s, which must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };
/** The worker that took the place of a killed one may be the next that answers. */
const ENOUGH_KILLS = 5;
/** G2 of the design. Each of several workers must refuse twice, and the kernel deals them out. */
const OVER_MS = { alone: OVER_WITHIN_MS.justStarted, among: 60_000 };

/** By name: opens it. Gives its address and how it goes away and comes back. */
const stores = {
  file: (t) => inFolder(t, "file", "auth_tokens.json"),
  sqlite: (t) => inFolder(t, "sqlite", "auth_tokens.sqlite"),
  redis: (t) => atService(t, "redis", ["stop", "start"]),
  postgres: (t) => atService(t, "postgres", ["pause", "resume"]),
};

// They mostly wait.
describe("sessions", { concurrency: 2 * AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const [name, open] of Object.entries(stores)) {
    it(`in ${name} end by a revocation alone`, { skip: leftOut(name) }, async (t) => {
      const store = await open(t);
      const at = (more) => arrive(t, { store: store.url, wakeMs: 500, ...more });
      const alone = await at();
      const among = await at({ backend: ["--workers", "3"] });
      const visitors = [alone, among];
      const lines = visitors.map(listen);

      await Promise.all([outliveTheServer(alone), outliveAWorker(among)]);
      await outliveTheStore(store, visitors);
      for (const [index, visitor] of visitors.entries()) {
        await visitor.assertNeverSignedOut();
        await assertNothingNamed(visitor, lines[index]);
      }

      const boot = await alone.verified();
      await alone.platform.control("revoke");
      const { evidence } = await assertOver(alone, OVER_MS.alone);
      assert.ok(evidence.refusals.every((refusal) => refusal.boot === boot));
      await assertOver(among, OVER_MS.among);
      for (const [index, visitor] of visitors.entries()) {
        await assertNothingNamed(visitor, lines[index]);
      }
    });
  }

  it("in memory end with the process, and the cause is named before it", async (t) => {
    const visitor = await arrive(t, { store: "memory" });
    const lines = listen(visitor);
    const { boot } = await visitor.signIn(UNHURRIED);
    await provenAnew(visitor);
    await visitor.assertNeverSignedOut();
    await assertNothingNamed(visitor, lines);

    const { sinceMs } = await visitor.platform.control("restart");
    const end = await assertOver(visitor, OVER_MS.alone);
    const took = end.at - sinceMs;
    assert.ok(took <= OVER_MS.alone, `signed out only ${took} ms after the restart`);
    for (const refusal of end.evidence.refusals) {
      assert.deepEqual([refusal.status, refusal.grade], [401, "strong"]);
      assert.notEqual(refusal.boot, boot);
      assert.ok(refusal.instance);
    }
    const [event] = await visitor.events("signout");
    assert.deepEqual([event.fromOtherTab, event.evidence], [false, end.evidence]);

    await assertNamed(visitor, lines, {
      cause: "tokens-lost",
      says: () => "The server lost its tokens in a restart",
      evidence: {},
    });
    const codes = (await visitor.history()).map(({ code }) => code);
    assert.equal(codes[codes.indexOf("signed-out") - 1], "diagnosis");
    const types = (await visitor.events()).map(({ type }) => type);
    assert.ok(types.indexOf("diagnosis") < types.indexOf("signout"));
  });
});

/** The only process is restarted, and killed, and the session is proven each time. */
async function outliveTheServer(visitor) {
  let { boot } = await visitor.signIn(UNHURRIED);
  for (const end of ["restart", "kill"]) {
    await visitor.platform.control(end);
    boot = await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
  }
  assert.equal((await visitor.platform.state()).starts, 3);
  assert.equal((await visitor.history("rebooted")).length, 2);
}

/** Whichever worker answers is killed, until another one has proven the session. */
async function outliveAWorker(visitor) {
  const { boot } = await visitor.signIn(UNHURRIED);
  const accepted = new Set([await acceptedBy(visitor)]);
  for (let kills = 0; accepted.size < 2; kills += 1) {
    assert.ok(kills < ENOUGH_KILLS, `only ${[...accepted]} answered`);
    await killWorker(visitor.platform, await acceptedBy(visitor));
    await provenAnew(visitor);
    accepted.add(await acceptedBy(visitor));
  }
  assert.equal(await visitor.verified(), boot, "it was another start");
}

/** The store goes away while the session is checked, and comes back. */
async function outliveTheStore(store, visitors) {
  await Promise.all(visitors.map((visitor) => visitor.platform.forgetRequests()));
  await store.leave();
  await Promise.all(visitors.map(meetUnavailable));
  await store.comeBack();
  await Promise.all(visitors.map(provenAnew));
  for (const visitor of visitors) {
    assert.deepEqual(await visitor.platform.requests({ status: 401 }), []);
    assert.deepEqual(await visitor.history("suspect"), [], await visitor.story());
  }
}

/** A check meets 503, the server proves itself all the same, and nothing becomes of it. */
async function meetUnavailable(visitor) {
  const { platform } = visitor;
  const [met] = await until(
    "a check met 503",
    async () => {
      const all = await platform.requests({ path: "/auth/me", status: 503 });
      return all.length > 0 && all;
    },
    { tell: () => visitor.story() },
  );
  await until("health is fine meanwhile", async () => {
    const fine = await platform.requests({ path: "/api/health", status: 200 });
    return fine.some(({ at }) => at > met.at);
  });
  await visitor.serverIs("awake");
  assert.equal((await visitor.snapshot()).signedIn, true);
}

/** The session is proven by an answer that comes from now on. */
async function provenAnew(visitor) {
  const since = await visitor.page.evaluate(() => Date.now());
  const fact = (since) => window.keeper.snapshot.lastVerifiedAt > since;
  await visitor.until("verified again", fact, { args: [since], within: BACK_WITHIN_MS });
}

/** The worker that accepted the token last. */
async function acceptedBy(visitor) {
  return (await visitor.history("verified")).at(-1).instance;
}

async function assertOver(visitor, within) {
  const end = await visitor.signedOut(within + BACK_WITHIN_MS);
  assert.equal(end.reason, "rejected");
  assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  const took = end.at - end.suspectAt;
  const story = took > within ? await visitor.story() : "";
  assert.ok(took <= within, `over ${took} ms after the suspicion, not ${within}\n${story}`);
  return end;
}

async function inFolder(t, kind, file) {
  const base = await mkdtemp(path.join(tmpdir(), "session-keeper-store-"));
  t.after(() => rm(base, { recursive: true, force: true }));
  const [there, away] = [path.join(base, "there"), path.join(base, "away")];
  await mkdir(there, { mode: 0o700 });
  return {
    url: `${kind}:${path.join(there, file)}`,
    leave: () => rename(there, away),
    comeBack: () => rename(away, there),
  };
}

async function atService(t, name, [leave, comeBack]) {
  const service = await startService(name);
  t.after(() => service.end());
  return { url: service.url, leave: service[leave], comeBack: service[comeBack] };
}
