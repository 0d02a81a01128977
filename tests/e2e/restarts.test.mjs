// The server is restarted, killed, and loses its tokens.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, useBrowser } from "./harness.mjs";

describe("when the server starts anew", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("a restarted server keeps everybody signed in, time and again", async (t) => {
    const visitor = await arrive(t);
    const { boot: first } = await visitor.signIn();
    await visitor.platform.control("restart");
    const second = await visitor.verified({ after: first });
    await visitor.platform.control("restart");
    await visitor.verified({ after: second });

    assert.equal((await visitor.platform.state()).starts, 3);
    assert.equal((await visitor.history("rebooted")).length, 2);
    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });

  it("a killed server keeps everybody signed in", async (t) => {
    const visitor = await arrive(t, { wakeMs: 500 });
    const { boot } = await visitor.signIn();
    await visitor.platform.control("kill");
    await visitor.verified({ after: boot, within: 20_000 });

    await visitor.assertNeverSignedOut();
    await visitor.assertRevocationIsMet();
  });

  it("a server that lost its tokens signs everybody out, with the reason", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    const { sinceMs } = await visitor.platform.control("restart-losing-tokens");
    const end = await visitor.signedOut();

    assert.equal(end.reason, "rejected");
    assert.equal(end.elsewhere, false);
    const took = end.at - sinceMs;
    assert.ok(took <= OVER_WITHIN_MS.justStarted, `signed out only ${took} ms after the restart`);
    const { refusals } = end.evidence;
    assert.ok(refusals.length >= 2);
    for (const refusal of refusals) {
      assert.equal(refusal.status, 401);
      assert.equal(refusal.grade, "strong");
      assert.notEqual(refusal.boot, boot);
      assert.ok(refusal.instance);
    }
    const [event] = await visitor.events("signout");
    assert.deepEqual(event.evidence, end.evidence);
  });
});
