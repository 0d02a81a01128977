// The reference backend's faults on purpose: each is named in the browser by its cause, or by
// nothing where it only looks like one. Three workers on a file or on SQLite without a fault are
// in stores.test.mjs, where nothing is named.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { assertNamed, assertNothingNamed, listen } from "./causes.mjs";
import { AT_ONCE, OVER_WITHIN_MS, useBrowser } from "./harness.mjs";
import { meeting } from "./workers.mjs";

/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };
const RARELY = { ...UNHURRIED, health: { everyMs: 5_000, timeoutMs: 10_000 } };
/** G2 of the design. Each of several workers must refuse twice, and the kernel deals them out. */
const OVER_MS = { alone: OVER_WITHIN_MS.justStarted, among: 60_000 };
/** A start of a few seconds, and a busy machine. */
const BACK_WITHIN_MS = 20_000;
/** Shorter than the health path of `--fault slow-health:2`. */
const HURRIED = { health: { timeoutMs: 1_000 }, verify: { timeoutMs: 10_000 } };

// They mostly wait.
describe("a backend with a fault on purpose", { concurrency: 2 * AT_ONCE }, () => {
  const arrive = useBrowser();

  it("that is unshared-tokens has workers that disagree, which ends nothing", async (t) => {
    const visitor = await arrive(t, { backend: ["--workers", "2", "--fault", "unshared-tokens"] });
    await assertWorkersDisagree(visitor);

    await visitor.platform.control("restart");
    await assertOver(visitor, OVER_MS.among);
  });

  it("that is file-read-once has workers that disagree, until it restarts", async (t) => {
    const store = `file:${path.join(await folderFor(t), "auth_tokens.json")}`;
    const backend = ["--workers", "3", "--fault", "file-read-once"];
    const visitor = await arrive(t, { store, backend });
    await assertWorkersDisagree(visitor);

    const boot = await visitor.verified();
    await visitor.platform.control("restart");
    await visitor.verified({ after: boot });
    await visitor.assertNeverSignedOut();
    await visitor.platform.control("revoke");
    await visitor.platform.control("restart");
    await visitor.until("suspect", () => window.keeper.snapshot.session === "suspect");
  });

  for (const [sentence, fault, isLost] of [
    ["with another key at each start has a key that changed", ["--fault", "random-key"], true],
    ["without this fault keeps its key, and everybody signed in", [], false],
  ]) {
    it(`${sentence}`, async (t) => {
      const key = path.join(await folderFor(t), "keys.json");
      const backend = ["--jwt", "eddsa", "--key-file", key, ...fault];
      const visitor = await arrive(t, { backend });
      const lines = listen(visitor);
      const { token, boot } = await visitor.signIn(UNHURRIED);
      assert.equal(token.split(".").length, 3, "it is no JWT");
      await visitor.platform.control("restart");
      if (isLost) {
        await assertOver(visitor, OVER_MS.alone);
        await assertNamed(visitor, lines, {
          cause: "signing-key-changed",
          says: () => "The server signs with another key since it started",
          evidence: {},
        });
        const codes = (await visitor.history()).map(({ code }) => code);
        assert.equal(codes[codes.indexOf("signed-out") - 1], "diagnosis");
        return;
      }
      await visitor.verified({ after: boot });
      await visitor.assertNeverSignedOut();
      await visitor.platform.control("revoke");
      await assertOver(visitor, OVER_MS.alone);
      await assertNothingNamed(visitor, lines);
    });
  }

  it("that reloads again and again is in a loop, which ends nothing", async (t) => {
    const visitor = await arrive(t, { backend: ["--fault", "reload-loop:2"] });
    const lines = listen(visitor);
    const since = Date.now();
    const { boot } = await visitor.signIn(UNHURRIED);
    const next = await visitor.verified({ after: boot, within: BACK_WITHIN_MS });
    await assertNothingNamed(visitor, lines);
    await visitor.verified({ after: next, within: BACK_WITHIN_MS });
    await assertNamed(visitor, lines, {
      cause: "restart-loop",
      says: ({ ms }) => `The server started 3 times in ${ms / 1_000} s`,
      evidence: { count: 3, ms: [1, Date.now() + BACK_WITHIN_MS - since] },
      within: BACK_WITHIN_MS,
    });
    assert.equal((await visitor.platform.state()).starts, 1, "the platform started it");
    await visitor.assertNeverSignedOut();
  });

  it("that is slow about its health is named so, is waited for, and did not sleep", async (t) => {
    const visitor = await arrive(t, { backend: ["--fault", "slow-health:2"] });
    const lines = listen(visitor);
    await visitor.serverIsReady();
    await visitor.signIn(HURRIED);
    await assertNamed(visitor, lines, {
      cause: "slow-health",
      says: ({ ms }) => `The health path took ${ms / 1_000} s: it must wait for nothing`,
      evidence: { count: [3, 3], ms: [2_000, 8_000] },
    });
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });
});

/** A good token is refused, that is named, and nobody is signed out. */
async function assertWorkersDisagree(visitor) {
  const lines = listen(visitor);
  await visitor.serverIsReady();
  await beRefusedAndRefuted(visitor);
  await assertNamed(visitor, lines, {
    cause: "workers-disagree",
    says: () => "A good token was rejected: do all workers share their tokens?",
    evidence: { count: [1, 3] },
  });
  await visitor.assertNeverSignedOut();
}

/**
 * Is signed in by one worker and checked by another, and then by the first again: with luck that
 * takes a minute. Which worker is met is led by holding the others; what it answers is its own.
 */
async function beRefusedAndRefuted(visitor) {
  const { platform } = visitor;
  await visitor.keep(RARELY);
  await visitor.serverIs("awake");
  const [{ instance: pinged }] = await visitor.history("answered");
  const issuer = pinged === "1" ? "2" : "1";
  const isIssuer = (instance) => instance === issuer;
  // The check goes by the connection of the ping, and waits there. A sign-in of the page would, too.
  await meeting(platform, isIssuer, async () => {
    const answer = await signInElsewhere(platform);
    await visitor.page.evaluate((answer) => window.keeper.signIn(answer), answer);
  });
  await visitor.until("suspect", () => window.keeper.snapshot.session === "suspect");
  await meeting(platform, isIssuer, () => visitor.verified({ within: 20_000 }));

  const [refused] = await visitor.history("rejected");
  assert.equal(refused.instance, pinged);
  assert.equal((await visitor.history("refuted")).length, 1);
}

/** Signs in by a connection that is not the browser's. Gives the server's answer. */
async function signInElsewhere({ demo }) {
  const response = await fetch(`${demo}/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: "demo", password: "demo" }),
  });
  assert.equal(response.status, 200);
  return response.json();
}

async function assertOver(visitor, within) {
  const end = await visitor.signedOut(within + BACK_WITHIN_MS);
  assert.equal(end.reason, "rejected");
  assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  const took = end.at - end.suspectAt;
  const story = took > within ? await visitor.story() : "";
  assert.ok(took <= within, `over ${took} ms after the suspicion, not ${within}\n${story}`);
}

async function folderFor(t) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-fault-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
