// Odd answers of the server: each is bounded, nobody is signed out, and a revocation is still met.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, useBrowser } from "./harness.mjs";

const html = { "content-type": "text/html" };
const json = { "content-type": "application/json" };
/** Answers to a check of the session that end nothing (design section 3). */
const harmless = {
  403: { status: 403, headers: json, body: "{}" },
  404: { status: 404, headers: json, body: "{}" },
  "429 with Retry-After": { status: 429, headers: { "retry-after": "1" } },
  500: { status: 500, headers: json, body: "{}" },
  204: { status: 204 },
  "200 with a captive portal's page": { status: 200, headers: html, body: "<html>Pay</html>" },
  "200 with JSON that is no object": { status: 200, headers: json, body: "[1]" },
  "200 with half an object": { status: 200, headers: json, body: '{"username":' },
  "a redirect to a login page": { status: 302, headers: { location: "/login" } },
  "401 of a proxy that wants a password": {
    status: 401,
    headers: { "www-authenticate": 'Basic realm="staging"' },
  },
  "502 with HTML": { status: 502, headers: html, body: "<html>502</html>" },
  407: { status: 407 },
  "a connection that is dropped": { drop: true },
};

describe("odd answers", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("to a check of the session sign nobody out", async (t) => {
    const visitor = await arrive(t);
    const { platform } = visitor;
    const retries = { retries: 1, retryDelayMs: 50, everyMs: 300_000 };
    await visitor.signIn({ verify: retries });
    for (const [name, answer] of Object.entries(harmless)) {
      await platform.fault("/auth/me", answer);
      await platform.forgetRequests();
      const { signedIn } = await visitor.page.evaluate(() => window.keeper.verify());
      assert.equal(signedIn, true, name);
      const met = await platform.requests({ path: "/auth/me" });
      assert.notEqual(met.length, 0, `no check met ${name}`);
      await platform.control("clear");
      const since = Date.now();
      await visitor.page.evaluate(() => void window.keeper.verify());
      await visitor.until(
        `verified again after ${name}`,
        (since) => window.keeper.snapshot.lastVerifiedAt >= since,
        { args: [since], within: 15_000 },
      );
    }
    await visitor.assertNeverSignedOut();
    const forbidden = await visitor.events("forbidden");
    assert.deepEqual(
      forbidden.map(({ status }) => status),
      [403],
    );
    const [wrongPath] = await visitor.history("wrong-path");
    assert.equal(wrongPath.level, "error");
    assert.match(wrongPath.text, /\/auth\/me/);
    await visitor.platform.control("revoke");
    await visitor.page.evaluate(() => void window.keeper.verify());
    assert.equal((await visitor.signedOut()).reason, "rejected");
  });

  const unending = {
    "a body that stalls": { status: 200, headers: json, body: '{"username":', stallAfterBytes: 5 },
    "a body that never ends": { status: 200, headers: json, body: " ", endless: true },
    "headers that never come": { status: 200, headers: json, headersAfterMs: 600_000 },
  };
  for (const [name, answer] of Object.entries(unending)) {
    it(`${name} holds up neither checks nor pings for long`, async (t) => {
      const visitor = await arrive(t);
      const { platform } = visitor;
      await visitor.signIn({ health: { timeoutMs: 500, wakeTimeoutMs: 1_000 } });
      await platform.fault("*", answer);
      await platform.forgetRequests();
      const settled = await visitor.page.evaluate(async () => {
        const started = performance.now();
        const { signedIn } = await window.keeper.verify();
        return { signedIn, ms: performance.now() - started };
      });
      assert.equal(settled.signedIn, true);
      assert.ok(settled.ms < 20_000, `verify() took ${settled.ms} ms`);
      await visitor.serverIs("waking");
      assert.notEqual((await platform.requests({ path: "/auth/me" })).length, 0);

      await platform.control("clear");
      await visitor.serverIs("awake", 15_000);
      const since = Date.now();
      await visitor.until(
        "verified again",
        (since) => window.keeper.snapshot.lastVerifiedAt >= since,
        { args: [since], within: 15_000 },
      );
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  }

  it("to the app's own requests start a check and decide nothing", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn({ verify: { everyMs: 300_000 } });
    await visitor.platform.fault("/api/tags", { status: 401, headers: html, body: "no" });
    await visitor.platform.forgetRequests();
    const statuses = await visitor.page.evaluate(async () => {
      const answers = [1, 2, 3, 4, 5].map(() => window.keeper.fetch("/api/tags"));
      return (await Promise.all(answers)).map(({ status }) => status);
    });
    assert.deepEqual(statuses, [401, 401, 401, 401, 401]);
    await visitor.until("checked", () => window.keeper.history().at(-1).code === "verified");
    const checks = await visitor.platform.requests({ path: "/auth/me" });
    assert.equal(checks.length, 1, "one endpoint that always says 401 is no storm");
    await visitor.assertNeverSignedOut();
  });
});
