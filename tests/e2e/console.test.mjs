// What the console says, word for word: people who hunt this bug search for these lines.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listen } from "./causes.mjs";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

const SIGNED_OUT = ["warn", "Signed out: 401 confirmed"];
/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };

describe("the console", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("at info tells of keep-alive, checks, what is kept, and the end", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    const { platform } = visitor;
    await platform.control("configure", { whileWaking: "refuse" });
    await visitor.keep({ log: "info", health: { everyMs: 30_000, timeoutMs: 10_000 } });
    assert.deepEqual(lines.slice(0, 2), [
      ["info", "Started"],
      ["info", "Keep-alive ping active: /api/health every 30 s"],
    ]);
    await visitor.page.evaluate(() => window.signIn());
    await said(lines, "info", "Periodic token verification...");

    await platform.fault("/auth/me", { status: 403, body: "{}" });
    await said(lines, "info", "403: still signed in");
    await platform.control("clear");

    await platform.control("stop");
    for (const text of [1, 2, 3].map((attempt) => `Token verification retry ${attempt}/3`)) {
      await said(lines, "info", text);
    }
    await said(lines, "info", "Network error: still signed in");
    await platform.control("wake");
    await visitor.serverIs("awake", 20_000);
    await visitor.assertNeverSignedOut();

    assert.ok(!lines.some(([, text]) => text.startsWith("Signed out")), "said too early");
    await visitor.assertRevocationIsMet({ within: 60_000 });
    await said(lines, ...SIGNED_OUT);
    const answers = lines.filter(([, text]) => text.startsWith("Answered"));
    assert.deepEqual(answers, [], "a single answer at info");
  });

  it("tells of each ping at debug only", async (t) => {
    for (const [log, isTold] of [
      ["debug", true],
      ["info", false],
    ]) {
      const visitor = await arrive(t);
      const lines = listen(visitor);
      await visitor.signIn({ ...UNHURRIED, log });
      const seen = () => window.keeper.history().filter(({ probe }) => probe === "health");
      await visitor.until("three pings", () => {
        return window.keeper.history().filter(({ probe }) => probe === "health").length >= 3;
      });
      const { text } = (await visitor.page.evaluate(seen))[2];
      assert.match(text, /^Answered: .*probe health, request \d+, ms \d+, status 200$/);
      // Lines come in order: what is said now comes after what was to be said of the ping.
      await visitor.page.evaluate(() => console.info("[session-keeper] of the test"));
      await said(lines, "info", "of the test");
      assert.equal(lines.filter((line) => line[0] === "debug" && line[1] === text).length, +isTold);
      assert.ok(lines.some(([level, text]) => level === "info" && text === "Token verified"));
    }
  });

  it("says nothing on a quiet day, and in the end why it is over", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    const { boot } = await visitor.signIn(UNHURRIED);
    await visitor.reload();
    await visitor.keep(UNHURRIED);
    await visitor.platform.control("restart");
    await visitor.verified({ after: boot });
    await until("pings and checks", async () => {
      const pings = await visitor.platform.requests({ path: "/api/health", status: 200 });
      const checks = await visitor.platform.requests({ path: "/auth/me", status: 200 });
      return pings.length >= 8 && checks.length >= 4;
    });
    assert.deepEqual(lines, []);

    await visitor.assertRevocationIsMet();
    await said(lines, ...SIGNED_OUT);
    const [[level, suspicion], ...rest] = lines;
    assert.equal(level, "warn");
    assert.match(suspicion, /^401 from \/auth\/me: confirming before signing out \(up to \d+ s: /);
    assert.deepEqual(rest, [SIGNED_OUT], "one line at the start and one at the end");
  });

  it("tells of a suspicion that is refuted when it begins and when it ends", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.signIn(UNHURRIED);
    const anonymous = { status: 401, body: '{"detail":"no"}' };
    await visitor.platform.fault("/auth/me", anonymous, 2);
    const refuted = () => window.keeper.history().some(({ code }) => code === "refuted");
    await visitor.until("refuted", refuted, { within: 30_000 });
    const refusals = (await visitor.history("rejected")).length;
    assert.ok(refusals >= 2);
    await said(lines, "warn", `Rejected ${refusals} times, then accepted: still signed in`);
    const [[, suspicion], ...rest] = lines;
    assert.match(suspicion, /^401 from \/auth\/me: confirming before signing out/);
    const diagnosis = rest.filter(([, text]) => text.startsWith("A good token was rejected"));
    assert.equal(lines.length, 2 + diagnosis.length, JSON.stringify(lines));
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet({ within: 120_000 });
  });

  it("is told nothing by a silent keeper, come what may", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.signIn({ ...UNHURRIED, log: "silent" });
    await visitor.platform.fault("/auth/me", { status: 404, body: "{}" });
    await visitor.until("an error", () => {
      return window.keeper.history().some(({ level }) => level === "error");
    });
    await visitor.platform.control("clear");
    await visitor.platform.control("restart-losing-tokens");
    await visitor.signedOut();

    await visitor.page.evaluate(() => console.info("[session-keeper] of the test"));
    await said(lines, "info", "of the test");
    assert.deepEqual(lines, [["info", "of the test"]]);
    const levels = (await visitor.history()).map(({ level }) => level);
    assert.deepEqual(new Set(levels), new Set(["debug", "info", "warn", "error"]));
    assert.equal((await visitor.events("diagnosis")).length, 1, "events must go on");
  });

  it("is left to a function, which gets every entry once and in order", async (t) => {
    const visitor = await arrive(t);
    const lines = listen(visitor);
    await visitor.page.evaluate(() => {
      window.entries = [];
      window.keepSession({ log: (entry) => window.entries.push(entry) });
      return window.keeper.start();
    });
    await visitor.page.evaluate(() => window.signIn());
    await visitor.verified();
    await visitor.platform.fault("/auth/me", { status: 404, body: "{}" });
    await visitor.until("an error", () => window.entries.some(({ level }) => level === "error"));

    const { entries, history } = await visitor.page.evaluate(() => {
      window.keeper.stop();
      return { entries: window.entries, history: window.keeper.history() };
    });
    assert.deepEqual(entries, history);
    const codes = entries.map(({ code }) => code);
    for (const code of ["started", "answered", "signed-in", "verified", "wrong-path"]) {
      assert.ok(codes.includes(code), `${code} was not handed on`);
    }
    assert.deepEqual(lines, []);
  });
});

/** Waits for the line, word for word, and with this loudness. */
async function said(lines, level, text) {
  const is = (line) => line[0] === level && line[1] === text;
  const tell = () => JSON.stringify(lines);
  await until(`"${text}" at ${level}`, () => lines.some(is), { within: 15_000, tell });
}
