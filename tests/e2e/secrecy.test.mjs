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

  it("is in no log, no event, no history and no debug view", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn({ log: "debug", name: "e2e" });
    await visitor.platform.control("restart");
    await visitor.platform.fault("/auth/me", { status: 403 }, 1);
    await visitor.until("forbidden", () => window.events.some(({ type }) => type === "forbidden"));
    await visitor.platform.control("revoke");
    await visitor.signedOut();

    const told = await visitor.page.evaluate(() => {
      const { keeper, events } = window;
      return JSON.stringify([events, keeper.history(), keeper.debug(), keeper.snapshot]);
    });
    const all = [told, ...visitor.consoleLines].join("\n");
    assert.ok(all.includes("[session-keeper]"), "the console was not read");
    assert.ok(all.includes("signed-out"));
    assert.ok(!all.includes(token), "the whole token was told");
    assert.ok(!all.includes(token.slice(0, 8)), "the token's beginning was told");
  });

  it("goes to the API's origin, and to no origin that was not named", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn();
    const { api } = visitor.platform;
    const headers = await visitor.page.evaluate(
      (api) => [window.keeper.headers("/api/tags"), window.keeper.headers(`${api}/api/tags`)],
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

  it("follows no redirect", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const away = { status: 302, headers: { location: `${visitor.platform.api}/api/tags` } };
    await visitor.platform.fault("/api/tags", away, 1);
    await visitor.platform.forgetRequests();
    const error = await visitor.page.evaluate(() =>
      window.keeper.fetch("/api/tags").then(
        () => "followed",
        ({ name, code }) => ({ name, code }),
      ),
    );

    assert.deepEqual(error, { name: "KeeperError", code: "redirected" });
    assert.equal((await visitor.platform.requests({ path: "/api/tags" })).length, 1);
  });
});
