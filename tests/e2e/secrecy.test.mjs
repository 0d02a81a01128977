// Where the token goes, and where it does not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

describe("the token", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("goes with checks, which are marked, and never with pings", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const { platform } = visitor;
    await until("three pings and two checks", async () => {
      const pings = await platform.requests({ path: "/api/health", status: 200 });
      const checks = await platform.requests({ path: "/auth/me", status: 200 });
      return pings.length >= 3 && checks.length >= 2;
    });

    const pings = await platform.requests({ path: "/api/health" });
    assert.deepEqual(new Set(pings.map(({ credential }) => credential)), new Set([false]));
    const checks = await platform.requests({ path: "/auth/me" });
    assert.ok(checks.every(({ credential, background }) => credential && background));
  });

  it("costs pings of another origin no preflight", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn({ baseUrl: visitor.platform.api });
    const asked = await visitor.platform.requests({ path: "/api/health" });

    assert.ok(asked.some(({ method, status }) => method === "GET" && status === 200));
    assert.ok(asked.every(({ method }) => method !== "OPTIONS"));
  });

  it("goes to the API's origin, and to no origin that was not named", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn();
    const { api } = visitor.platform;
    const headers = await visitor.page.evaluate(
      (api) => [
        window.keeper.authHeaders("/api/tags"),
        window.keeper.authHeaders(`${api}/api/tags`),
      ],
      api,
    );
    assert.deepEqual(headers, [{ Authorization: `Bearer ${token}` }, {}]);

    await visitor.platform.forgetRequests();
    const status = await visitor.page.evaluate(async (api) => {
      return (await window.keeper.fetch(`${api}/api/tags`)).status;
    }, api);
    assert.equal(status, 401);
    const [request] = await visitor.platform.requests({ path: "/api/tags" });
    assert.equal(request.credential, false);
  });

  it("does not outlive a sign-out in storage that took no more", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn();
    const isStored = (token) => JSON.stringify({ ...localStorage }).includes(token);
    assert.equal(await visitor.page.evaluate(isStored, token), true);
    await visitor.page.evaluate(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
      return window.keeper.verify();
    });
    await visitor.assertNeverSignedOut();

    await visitor.page.evaluate(() => window.keeper.signOut());
    assert.equal(await visitor.page.evaluate(isStored, token), false, "the token is still there");
    await visitor.reload();
    assert.equal((await visitor.keep()).session, "signed-out");
  });
});
