// The reference backend's faults on purpose: each is named in the browser by its cause, or by
// nothing where it only looks like one. Three workers on a file or on SQLite without a fault are
// in stores.test.mjs, where nothing is named.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { assertNamed, assertNothingNamed, listen } from "./causes.mjs";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };
const RARELY = { ...UNHURRIED, health: { everyMs: 5_000, timeoutMs: 10_000 } };
/** A burst of checks each 6 s, of three at most, until one meets the worker that knows. */
const NAMED_WITHIN_MS = 40_000;
/** A start of a few seconds, and a busy machine. */
const BACK_WITHIN_MS = 20_000;
/** Shorter than the health path of `--fault slow-health:2`. */
const HURRIED = { health: { timeoutMs: 1_000 }, verify: { timeoutMs: 10_000 } };

// They mostly wait.
describe("a backend with a fault on purpose", { concurrency: 2 * AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const [fault, store] of [
    ["unshared-tokens", () => undefined],
    ["file-read-once", (folder) => `file:${path.join(folder, "auth_tokens.json")}`],
  ]) {
    it(`that is ${fault} has workers that disagree, which ends nothing`, async (t) => {
      const visitor = await arrive(t, {
        store: store(await folderFor(t)),
        backend: ["--workers", "3", "--fault", fault],
      });
      const lines = listen(visitor);
      await visitor.serverIsReady();
      // A ping at the same moment would send the first check to another worker than the sign-in.
      await visitor.keep(RARELY);
      await visitor.serverIs("awake");
      await visitor.signIn(RARELY);
      await checkUntilNamed(visitor);
      await assertNamed(visitor, lines, {
        cause: "workers-disagree",
        says: () => "A good token was refused: do all workers share their tokens?",
        evidence: { count: [1, 20] },
      });
      await visitor.assertNeverSignedOut();

      // No worker hears of a revocation before it starts anew.
      if (fault === "file-read-once") await visitor.platform.control("revoke");
      await visitor.platform.control("restart");
      await assertOver(visitor);
    });
  }

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
        await assertOver(visitor);
        await assertNamed(visitor, lines, {
          cause: "signing-key-changed",
          says: () => "The server signs with another key since it started",
          evidence: {},
        });
        return;
      }
      await visitor.verified({ after: boot });
      await visitor.assertNeverSignedOut();
      await visitor.platform.control("revoke");
      await assertOver(visitor);
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

  it("that is only slow about its health is waited for, and did not sleep", async (t) => {
    const visitor = await arrive(t, { backend: ["--fault", "slow-health:2"] });
    const lines = listen(visitor);
    await visitor.serverIsReady();
    await visitor.keep(HURRIED);
    await visitor.serverIs("waking");
    await visitor.serverIs("awake");
    await visitor.signIn(HURRIED);
    await visitor.serverIs("waking");
    await visitor.serverIs("awake");

    assert.ok((await visitor.history("held")).length >= 2, "nothing was slow");
    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
    await assertNothingNamed(visitor, lines);
  });
});

/**
 * Checks while an app asks for several things, until a refusal was refuted: a connection leads to
 * one worker, and where all that are open are taken a check goes to any.
 */
async function checkUntilNamed(visitor) {
  const check = async () => {
    const asked = Array.from({ length: 5 }, () => window.keeper.fetch("/api/tags"));
    void window.keeper.verify();
    await Promise.all(asked);
  };
  const isNamed = async () => {
    await visitor.page.evaluate(check);
    return (await visitor.events("diagnosis")).length > 0;
  };
  const tell = () => visitor.story();
  await until("the workers disagreed", isNamed, { within: NAMED_WITHIN_MS, tell });
  assert.ok((await visitor.history("refuted")).length > 0);
}

async function assertOver(visitor) {
  const end = await visitor.signedOut();
  assert.equal(end.reason, "rejected");
  assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  const took = end.at - end.suspectAt;
  const story = took > OVER_WITHIN_MS.justStarted ? await visitor.story() : "";
  assert.ok(took <= OVER_WITHIN_MS.justStarted, `over after ${took} ms\n${story}`);
}

async function folderFor(t) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-fault-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
