// An API that is spread over several hosts: who gets the token and the cookies, and who does not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";
import { startApi } from "./runners/api.mjs";

const sent = (api, path) =>
  until(`${path} was asked`, () => api.seen.find((it) => it.path === path));

describe("an API of several hosts", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("is verified at its own, which gets the token, and health never does", async (t) => {
    const [api, auth, status] = await Promise.all([startApi(), startApi(), startApi()]);
    for (const { end } of [api, auth, status]) t.after(end);
    const visitor = await arrive(t);
    await visitor.keep({
      baseUrl: api.origin,
      health: { path: `${status.origin}/up?full=1` },
      verify: { path: `${auth.origin}/auth/me` },
    });
    await visitor.page.evaluate(() => window.keeper.signIn("good"));
    await visitor.until("verified", () => window.keeper.snapshot.session === "signed-in");
    assert.equal((await sent(status, "/up?full=1")).authorization, undefined);
    assert.equal((await sent(auth, "/auth/me")).authorization, "Bearer good");
    const headers = await visitor.page.evaluate(
      (urls) => urls.map((url) => window.keeper.authHeaders(url).Authorization ?? null),
      ["/items", `${auth.origin}/x`, `${status.origin}/x`],
    );
    assert.deepEqual(headers, ["Bearer good", "Bearer good", null]);
    assert.deepEqual(api.seen, [], "nothing was asked of the API itself yet");

    auth.revoke();
    await visitor.until("signed out", () => window.keeper.snapshot.session === "signed-out", {
      within: 70_000,
    });
    assert.equal((await visitor.snapshot()).signOut.reason, "rejected");
  });

  for (const [what, options, cookies] of [
    ["to another host by default", {}, [undefined, undefined]],
    ["with cookie mode's pings by default", { auth: "cookie" }, [undefined, "a=1"]],
    ["as the app says", { health: { credentials: "include" } }, ["a=1", undefined]],
  ]) {
    it(`gets the browser's cookies ${what}: ${cookies}`, async (t) => {
      const api = await startApi();
      t.after(api.end);
      const visitor = await arrive(t);
      // Ports do not tell cookies apart.
      await visitor.page.evaluate(() => (document.cookie = "a=1"));
      await visitor.keep({ baseUrl: api.origin, ...options });
      const isCookie = options.auth === "cookie";
      await visitor.page.evaluate(
        (isCookie) => window.keeper.signIn(isCookie ? undefined : "good"),
        isCookie,
      );
      const [health, verify] = [await sent(api, "/api/health"), await sent(api, "/auth/me")];
      assert.deepEqual([health.cookie, verify.cookie], cookies);
    });
  }

  it("keeps the sessions of two services behind one gateway apart", async (t) => {
    const gateway = await startApi();
    t.after(gateway.end);
    const visitor = await arrive(t);
    const seen = await visitor.page.evaluate(async (origin) => {
      const of = (path) => window.createKeeper({ baseUrl: origin + path, log: "silent" });
      const [a, b] = [of("/service-a"), of("/service-b")];
      await a.signIn("token-a");
      await b.start();
      const names = Object.keys(localStorage).filter((key) => !key.includes("#"));
      return [a === b, b.snapshot.session, b.authHeaders("/x"), names];
    }, gateway.origin);
    assert.deepEqual(seen, [
      false,
      "signed-out",
      {},
      [`session-keeper:${gateway.origin}/service-a`],
    ]);
  });
});
