// A page whose Content-Security-Policy refuses WebAssembly, sent as a header: its users stay
// signed in all the same, and a session that is over ends.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";
import { testPages } from "./platform.mjs";

/** The page's import map is the one script in it. */
const [, importMap] = /<script type="importmap">([^]*?)<\/script>/.exec(
  readFileSync(path.join(testPages, "keeper.html"), "utf8"),
);
const hash = createHash("sha256").update(importMap).digest("base64");
const policy = (more = "", connect = "") =>
  `default-src 'none'; script-src 'self' 'sha256-${hash}' ${more}; ` +
  `connect-src 'self' ${connect}; img-src data:`;
const without = { "Content-Security-Policy": policy() };
/** Refusals 6 s apart, the moment between them and the answers. */
const OVER_WITHIN_MS = 9_000;

describe("a page that refuses WebAssembly", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("keeps its user over a reload, and loses them when the token is revoked", async (t) => {
    const visitor = await arrive(t, { headers: without });
    const first = await visitor.keep();
    assert.equal(first.failure.code, "wasm-blocked");
    assert.match(first.failure.message, /'wasm-unsafe-eval'/);
    assert.deepEqual([first.session, first.signedIn], ["signed-out", false]);
    await visitor.page.evaluate(() => window.signIn());
    await visitor.until("verified", () => window.keeper.snapshot.session === "signed-in");

    await visitor.reload();
    assert.equal((await visitor.keep()).signedIn, true);
    await visitor.until("verified", () => window.keeper.snapshot.session === "signed-in");
    assert.equal((await visitor.snapshot()).user.username, "demo");
    const added = await visitor.page.evaluate(() => window.addTag("one"));
    assert.deepEqual(added, { status: 201, tags: ["one"] });
    await visitor.assertNeverSignedOut();

    await visitor.assertRevocationIsMet({ within: OVER_WITHIN_MS });
    const ours = visitor.consoleLines.filter((line) => line.startsWith("[session-keeper]"));
    const blamed = ours.filter((line) => line.includes("'wasm-unsafe-eval'"));
    assert.equal(blamed.length, 2, "once for each of two pages");
    assert.ok(ours.includes("[session-keeper] Signed out: 401 confirmed"));

    await visitor.reload();
    const last = await visitor.keep();
    assert.deepEqual([last.session, last.signOut.reason], ["signed-out", "rejected"]);
  });

  it("keeps its user through a 503 and a 401 page, and meets a revocation after", async (t) => {
    const visitor = await arrive(t, { headers: without });
    await visitor.keep();
    await visitor.page.evaluate(() => window.signIn());
    await visitor.until("verified", () => window.keeper.snapshot.session === "signed-in");
    for (const answer of [
      { status: 503, body: "{}" },
      { status: 401, body: "<!doctype html>" },
    ]) {
      await visitor.platform.fault("/auth/me", answer);
      await visitor.platform.forgetRequests();
      await until("asked in vain", async () => {
        return (await visitor.platform.requests({ path: "/auth/me" })).length >= 3;
      });
    }
    await visitor.assertNeverSignedOut();
    await visitor.platform.control("clear");
    const since = Date.now();
    const fact = (since) => window.keeper.snapshot.lastVerifiedAt > since;
    await visitor.until("verified again", fact, { args: [since], within: 20_000 });
    await visitor.assertRevocationIsMet({ within: OVER_WITHIN_MS });
  });

  it("tells the server of a sign-out, and nobody is back after a reload", async (t) => {
    const options = { signOut: { path: "/auth/logout" } };
    const visitor = await arrive(t, { headers: without });
    await visitor.keep(options);
    const token = await visitor.page.evaluate(() => window.signIn());
    await visitor.page.evaluate(() => window.keeper.signOut());
    await until("the server forgot the token", async () => {
      const headers = { Authorization: `Bearer ${token}` };
      return (await fetch(`${visitor.platform.api}/auth/me`, { headers })).status === 401;
    });
    await visitor.reload();
    const { session, signOut } = await visitor.keep(options);
    assert.deepEqual([session, signOut.reason], ["signed-out", "user"]);
  });

  it("takes over the record of a page that had WebAssembly, and hands it back", async (t) => {
    const visitor = await arrive(t, { headers: without });
    await visitor.keep();
    await visitor.page.evaluate(() => window.signIn());
    await visitor.until("verified", () => window.keeper.snapshot.session === "signed-in");
    const id = () => visitor.page.evaluate(() => window.keeper.debug().token_info.token_id);
    const before = await id();
    await visitor.page.setBypassCSP(true);
    await visitor.reload();
    assert.equal((await visitor.keep()).failure, undefined);
    await visitor.verified();
    assert.equal(await id(), before);
    await visitor.page.setBypassCSP(false);
    await visitor.reload();
    const { failure, signedIn } = await visitor.keep();
    assert.deepEqual([failure.code, signedIn], ["wasm-blocked", true]);
    assert.equal(await id(), before);
  });

  it("keeps a session in a cookie too, and ends it", async (t) => {
    const api = await startCookieApi(t);
    const headers = { "Content-Security-Policy": policy("", api.origin) };
    const visitor = await arrive(t, { headers });
    const options = { auth: "cookie", baseUrl: api.origin };
    assert.equal((await visitor.keep(options)).session, "restoring");
    const is = (session) => {
      const fact = (session) => window.keeper.snapshot.session === session;
      return visitor.until(session, fact, { args: [session] });
    };
    await is("signed-out");
    await visitor.page.evaluate((base) => {
      return fetch(`${base}/login`, { method: "POST", credentials: "include" });
    }, api.origin);
    await visitor.page.evaluate(() => window.keeper.signIn());
    await is("signed-in");
    await visitor.reload();
    await visitor.keep(options);
    await is("signed-in");
    api.revoke();
    await is("signed-out");
    assert.equal((await visitor.snapshot()).signOut.reason, "rejected");
  });
});

/** An API of its own origin whose sessions are cookies. */
async function startCookieApi(t) {
  let isKnown = false;
  const server = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", request.headers.origin ?? "*");
    response.setHeader("Access-Control-Allow-Credentials", "true");
    response.setHeader("Content-Type", "application/json");
    if (request.url === "/login") {
      isKnown = true;
      response.setHeader("Set-Cookie", "id=1; HttpOnly; Path=/");
    }
    const hasCookie = request.headers.cookie === "id=1";
    const isMe = request.url === "/auth/me";
    response.statusCode = isMe && !(isKnown && hasCookie) ? 401 : 200;
    response.end(JSON.stringify({ name: "ada" }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, revoke: () => (isKnown = false) };
}
