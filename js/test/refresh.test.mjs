import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./face.mjs";

const { attemptAt, attemptBy } = await load("refresh.ts");
const { csrfOf } = await load("csrf.ts");
const { readRefreshed } = await load("tokens.ts");
/** The record of a cookie has no refresh token. */
const NONE = Symbol("none");
const API = { base: "https://api.example.com", page: "https://app.example.com", auth: "bearer" };

async function sentBy(path, target = API, refreshToken = "r+1") {
  const real = globalThis.fetch;
  let sent;
  globalThis.fetch = async (request) => ((sent = request), new Response("{}"));
  try {
    await attemptAt(
      path,
      target,
    )({
      refreshToken: refreshToken === NONE ? undefined : refreshToken,
      attempt: "a1",
      signal: undefined,
    });
  } finally {
    globalThis.fetch = real;
  }
  return { url: sent.url, type: sent.headers.get("content-type"), text: await sent.text(), sent };
}

test("the API is posted JSON, a form, or the attempt alone beside a cookie", async () => {
  const json = await sentBy({ path: "/auth/refresh", format: "json" });
  assert.equal(json.url, "https://api.example.com/auth/refresh");
  assert.deepEqual(JSON.parse(json.text), { refresh_token: "r+1", attempt: "a1" });

  const form = await sentBy({ path: "/token", format: "oauth", clientId: "web app" });
  assert.match(form.type, /^application\/x-www-form-urlencoded/);
  assert.equal(form.text, "grant_type=refresh_token&refresh_token=r%2B1&client_id=web+app");

  const csrf = csrfOf({ header: "X-CSRF-Token" });
  csrf.begin({ csrf_token: "c" });
  const cookie = { ...API, auth: "cookie", csrf };
  const { text, sent } = await sentBy({ path: "/auth/refresh", format: "json" }, cookie, NONE);
  assert.equal(sent.headers.get("x-csrf-token"), "c");
  assert.equal(sent.credentials, "include");
  assert.deepEqual(JSON.parse(text), { attempt: "a1" });
});

test("what the app's function returns becomes a response, and what it throws does not", async () => {
  const complaints = [];
  const by = (refresh) => attemptBy("refresh", refresh, (text) => complaints.push(text))({});
  assert.equal((await by(() => null)).status, 401);
  assert.deepEqual(await (await by(() => "t")).json(), { token: "t" });
  assert.deepEqual(await (await by(async () => ({ access: "t" }))).json(), { access: "t" });
  const response = new Response("x", { status: 503 });
  assert.equal(await by(() => response), response);
  assert.deepEqual(await (await by(() => undefined)).json(), {});
  const secret = () => {
    throw new TypeError("secret");
  };
  await assert.rejects(by(secret), TypeError);
  assert.equal(complaints.length, 2);
  assert.ok(!complaints.join().includes("secret"));
});

test("an answer keeps what it does not replace, and an odd expiry refuses no token", () => {
  const old = { token: "old", refresh_token: "r" };
  const read = (body) => readRefreshed(body, old, true);
  assert.deepEqual(read({ access_token: "t", expires_in: "60" }).record.lifetime, 60_000);
  assert.equal(read({ access: "t" }).record.refresh_token, "r");
  assert.equal(read({ access: "t", refresh: "r2" }).record.refresh_token, "r2");
  assert.equal(read({ access: "t", refresh: { no: "text" } }).record.refresh_token, "r");
  for (const expires_in of [-1, "soon", null, {}, 1e300]) {
    assert.equal(read({ token: "t", expires_in }).record.token, "t", String(expires_in));
  }
  assert.equal(read({ token: "old" }).isSame, true);
  for (const body of [undefined, null, 7, "<html>", {}, { token: "" }, { token: "a b" }]) {
    assert.equal(read(body).record, undefined, JSON.stringify(body));
  }
  assert.equal(read({ error: "invalid_grant" }).isInvalidGrant, true);
  assert.equal(read({ code: "invalid_grant" }).isInvalidGrant, true);
  assert.equal(read({ error: "invalid_client" }).isInvalidGrant, false);
});
