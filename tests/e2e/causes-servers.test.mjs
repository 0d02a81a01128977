// The causes that the reference backend cannot have, on backends that have them: workers that do
// not share their tokens and name themselves otherwise, a page for every path, a check that pages
// of other origins may not make. Each with the same backend without its fault.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertNamed, assertNothingNamed, listen, startBackend } from "./causes.mjs";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

/** G2 of the design, for a backend of which nothing is known. */
const UNKNOWN_OVER_MS = 60_000;
/** Starts that are closer together are not told apart by their uptime. */
const APART_MS = 7_000;
/** One that was still on its way would tell of the start before it. */
const ON_ITS_WAY_MS = 200;
/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = { health: { timeoutMs: 10_000 }, verify: { timeoutMs: 10_000 } };
const app = "<!doctype html><title>An app of one page</title>";
const disagreeing = "A good token was rejected: do all workers share their tokens?";

describe("of causes", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();
  const backends = {
    "that name nothing": { says: [], overMs: UNKNOWN_OVER_MS },
    "that name themselves": { says: ["boot", "instance"], overMs: OVER_WITHIN_MS.justStarted },
    "that each start by themselves": { says: ["own", "instance"], overMs: UNKNOWN_OVER_MS },
    "that start by themselves under one name": {
      says: ["own", "instance"],
      named: "1",
      overMs: UNKNOWN_OVER_MS,
    },
  };

  for (const [sentence, { overMs, ...backend }] of Object.entries(backends)) {
    it(`workers ${sentence} are named when they do not share their tokens`, async (t) => {
      const { visitor, lines } = await signedInAt(t, arrive, {
        ...backend,
        workers: 2,
        tokens: "worker",
      });
      await refuted(visitor);
      await assertNamed(visitor, lines, {
        cause: "workers-disagree",
        says: () => disagreeing,
        evidence: { count: [1, 8] },
      });
      await visitor.assertNeverSignedOut();
    });

    if (backend.named) continue;
    it(`workers ${sentence} and share their tokens are not, nor for a revocation`, async (t) => {
      const options = { ...backend, workers: 2 };
      const { visitor, lines, server, token } = await signedInAt(t, arrive, options);
      await accepted(visitor, 3);
      await visitor.assertNeverSignedOut();
      server.revoke(token);
      await assertOver(visitor, { within: overMs });
      await assertNothingNamed(visitor, lines);
    });
  }

  it("four workers that each start by themselves are no server in a loop", async (t) => {
    const options = { says: ["own", "instance"], workers: 4 };
    const { visitor, lines, server } = await signedInAt(t, arrive, options);
    const pings = () => server.requests.filter(({ path }) => path === "/api/health");
    await until("each answered two pings", () => pings().length >= 8);
    await accepted(visitor);
    await assertNothingNamed(visitor, lines);
    await visitor.assertNeverSignedOut();
  });

  it("a server that starts again and again is named by its uptime alone", async (t) => {
    const { visitor, lines, server } = await signedInAt(t, arrive, { says: ["uptime"] });
    for (const since of [performance.now(), 0, 0]) {
      const isOn = () => Math.min(server.upForMs(), performance.now() - since) > APART_MS;
      await until("it is up for a while", isOn, { within: 2 * APART_MS });
      await accepted(visitor);
      await assertNothingNamed(visitor, lines);
      await visitor.until(
        "the last answer is not of this moment",
        (ms) => {
          return Date.now() - Date.parse(window.keeper.debug().last_awake_at) > ms;
        },
        { args: [ON_ITS_WAY_MS] },
      );
      await server.restart();
    }
    await assertNamed(visitor, lines, {
      cause: "restart-loop",
      says: ({ ms }) => `The server started 3 times in ${ms / 1_000} s`,
      evidence: { count: 3, ms: [2 * APART_MS, 120_000] },
    });
    await accepted(visitor);
    await visitor.assertNeverSignedOut();
  });

  const wrongPaths = {
    verify: { path: "/auth/nowhere", remedy: "set verify.path", evidence: { status: 200 } },
    health: {
      path: "/nowhere",
      remedy: "set health.path or health: false",
      evidence: { count: 3, status: 200 },
    },
  };
  for (const [probe, { path, remedy, evidence }] of Object.entries(wrongPaths)) {
    it(`a ${probe} path that answers by the app's page is named`, async (t) => {
      const at = { [probe]: { path } };
      const { visitor, lines, server } = await signedInAt(t, arrive, { page: app }, at);
      await assertNamed(visitor, lines, {
        cause: "wrong-path",
        says: () => `${server.origin}${path} answers 200: ${remedy}`,
        evidence: { ...evidence, probe },
        within: 15_000,
      });
      const { session, signedIn } = await visitor.snapshot();
      assert.equal(session, probe === "verify" ? "unverified" : "signed-in");
      assert.equal(signedIn, true);
    });
  }

  it("a path beside such a page is right, and a revocation is met", async (t) => {
    const options = { page: app, says: ["boot", "instance"] };
    const { visitor, lines, server, token } = await signedInAt(t, arrive, options);
    await accepted(visitor, 2);
    server.revoke(token);
    await assertOver(visitor, { within: OVER_WITHIN_MS.justStarted });
    await assertNothingNamed(visitor, lines);
  });

  it("an origin that lets this page make no checks is named, and ends nothing", async (t) => {
    const allows = ["/api/health", "/auth/login"];
    const { visitor, lines, server } = await signedInAt(t, arrive, { allows });
    await assertNamed(visitor, lines, {
      cause: "blocked-by-cors",
      says: () => `${server.origin}/auth/me never answers: does it allow this origin (CORS)?`,
      evidence: { count: [3, 8], probe: "verify" },
      within: 20_000,
    });
    const asked = server.requests.filter(({ path }) => path === "/auth/me");
    assert.ok(asked.length > 0, "the browser asked for nothing");
    assert.ok(
      asked.every(({ method }) => method === "OPTIONS"),
      "a check came through",
    );
    const { session, signedIn, server: state } = await visitor.snapshot();
    assert.deepEqual([session, signedIn, state], ["unverified", true, "awake"]);
  });

  it("an origin that allows this page is not, nor one of a server that is away", async (t) => {
    const options = { says: ["boot", "instance"] };
    const { visitor, lines, server, token } = await signedInAt(t, arrive, options);
    await accepted(visitor, 2);
    await server.stop();
    await visitor.reload();
    await visitor.keep({ ...UNHURRIED, baseUrl: server.origin });
    await visitor.until("the repeats are used up", () => {
      return window.keeper.history().some(({ why }) => why === "network");
    });
    await server.start();
    await accepted(visitor, 1, 20_000);
    await visitor.assertNeverSignedOut();
    server.revoke(token);
    await assertOver(visitor, { within: OVER_WITHIN_MS.justStarted });
    await assertNothingNamed(visitor, lines);
  });
});

/** A visitor whose API is a backend of its own, with a token of it. */
async function signedInAt(t, arrive, backend, options = {}) {
  const server = await startBackend(t, backend);
  const visitor = await arrive(t);
  const lines = listen(visitor);
  const health = { ...UNHURRIED.health, ...options.health };
  const verify = { ...UNHURRIED.verify, ...options.verify };
  await visitor.keep({ baseUrl: server.origin, health, verify });
  const token = await visitor.page.evaluate((base) => window.signIn(base), server.origin);
  return { visitor, lines, server, token };
}

/** Waits until so many checks that come from now on are accepted. */
async function accepted(visitor, times = 1, within = undefined) {
  const count = () => window.keeper.history().filter(({ code }) => code === "verified").length;
  const before = await visitor.page.evaluate(count);
  const fact = (most) => {
    return window.keeper.history().filter(({ code }) => code === "verified").length >= most;
  };
  await visitor.until(`accepted ${times} times`, fact, { args: [before + times], within });
}

/** Waits until refusals were refuted. */
async function refuted(visitor) {
  const fact = () => window.keeper.history().some(({ code }) => code === "refuted");
  await visitor.until("refuted", fact, { within: 20_000 });
}

/** The session ends by the refusals of the server, in time. */
async function assertOver(visitor, { within }) {
  const end = await visitor.signedOut(within + 20_000);
  assert.equal(end.reason, "rejected");
  assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  const took = end.at - end.suspectAt;
  assert.ok(took <= within, `over ${took} ms after the suspicion, not ${within}`);
}
