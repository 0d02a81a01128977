// The keeper whose wasm is refused or has crashed, on a server of our own making and a clock that
// stands still unless it is told to go on.

import assert from "node:assert/strict";
import { test } from "node:test";

import { API, json, turn } from "./face.mjs";
import { blocked, ID, ME, NAME, page, stored, visit } from "./visit.mjs";

test("without wasm a session is restored, verified and kept, and one line says why", async (t) => {
  const { keeper, api, lines, pass, typed, record } = await visit(t, {
    stored: stored({ token: "good" }),
  });
  const { failure, session, signedIn } = await keeper.start();
  assert.equal(failure.code, "wasm-blocked");
  assert.deepEqual([session, signedIn], ["unverified", true]);
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer good" });
  await pass(1_000);
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.deepEqual(keeper.snapshot.user, ME);
  assert.equal(keeper.snapshot.server, "awake");
  assert.equal(record().verified_at, keeper.snapshot.lastVerifiedAt);
  await pass(700_000);
  assert.equal(api.sent.length, 3, "at start and each five minutes");
  assert.equal(typed("signin").length, 0);
  assert.equal(lines.length, 1, lines.join());
  assert.match(lines[0], /'wasm-unsafe-eval'/);
});

test("a token that the server refuses twice, 6 s apart, is the end, with the reason", async (t) => {
  const { keeper, api, pass, typed, record } = await visit(t, {
    stored: stored({ token: "revoked" }),
  });
  await keeper.start();
  await pass(500);
  assert.equal(keeper.snapshot.session, "suspect");
  await keeper.verify();
  assert.equal(keeper.snapshot.session, "suspect", "two refusals at once are one");
  await pass(7_000);
  assert.deepEqual([keeper.snapshot.session, keeper.snapshot.user], ["signed-out", undefined]);
  const [{ reason, fromOtherTab, evidence }] = typed("signout");
  assert.deepEqual([reason, fromOtherTab, evidence.refusals.length], ["rejected", false, 3]);
  const { token, token_id, signed_out } = record();
  assert.deepEqual([token, token_id, signed_out.reason], [undefined, ID, "rejected"]);
  assert.deepEqual(keeper.authHeaders("/nodes"), {});
  const asked = api.sent.length;
  await pass(700_000);
  assert.equal(api.sent.length, asked, "nothing is asked about a session that is over");
});

for (const [what, answer] of [
  ["a network error", () => Promise.reject("no Error")],
  ["a page with 401", () => page(401)],
  ["a 503", () => json(503, {})],
  ["a redirect", () => Response.error()],
  ["a 403 of the API", () => json(403, {})],
  ["a wall's 401", () => json(401, {}, { "WWW-Authenticate": 'Basic realm="x"' })],
  ["a 401 as text while health is a page", () => new Response("no", { status: 401 })],
]) {
  test(`${what} changes nothing, and a real no after it does`, async (t) => {
    const { keeper, api, pass, typed } = await visit(t, { stored: stored({ token: "good" }) });
    api.answer = answer;
    api.health = () => page(200);
    await keeper.start();
    await pass(120_000);
    assert.equal(keeper.snapshot.signedIn, true);
    assert.equal(typed("signout").length, 0);
    assert.ok(api.sent.length > 4, "asked again soon");
    api.answer = undefined;
    api.good = "another";
    await pass(310_000);
    assert.equal(keeper.snapshot.signOut?.reason, "rejected");
  });
}

test("a 401 as text counts where the health path proves the API awake", async (t) => {
  const { keeper, api, pass } = await visit(t, { stored: stored({ token: "good" }) });
  api.answer = () => new Response("no", { status: 401 });
  await keeper.start();
  await pass(8_000);
  assert.equal(keeper.snapshot.signOut.reason, "rejected");
  assert.equal(keeper.snapshot.signOut.evidence.refusals[0].grade, "weak");
});

test("an answer without a user between two refusals clears nothing, and a user does", async (t) => {
  const { keeper, api, pass, typed } = await visit(t, { stored: stored({ token: "good" }) });
  const answers = [json(401, {}), json(200, ME), json(401, {}), json(200, ME)];
  api.answer = () => answers.shift() ?? json(200, ME);
  await keeper.start();
  for (let i = 0; i < 4; i++) await pass(7_000);
  await keeper.verify();
  await pass(20_000);
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.equal(typed("signout").length, 0);
});

test("a 401 of any request starts a verification, at most one in 10 s", async (t) => {
  const { keeper, api, pass } = await visit(t, { stored: stored({ token: "good" }) });
  await keeper.start();
  await pass(500);
  const asked = () => api.sent.filter(({ path }) => path === "/auth/me").length;
  const before = asked();
  api.answer = (request) => json(request.url.endsWith("/items") ? 401 : 200, ME);
  for (let i = 0; i < 3; i++) assert.equal((await keeper.fetch("/items")).status, 401);
  await pass(500);
  assert.equal(asked(), before + 1);
  await pass(10_000);
  keeper.reportResponse({ url: "/items", status: 401 });
  await pass(500);
  assert.equal(asked(), before + 2);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("a sign-in is stored, told and verified at once, and outlives a reload", async (t) => {
  const { keeper, pass, typed, record, store } = await visit(t);
  assert.equal((await keeper.start()).session, "signed-out");
  const signIn = keeper.signIn({ access_token: "good", expires_in: 60, user: { name: "a" } });
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer good" });
  const { session, user } = await signIn;
  assert.deepEqual([session, user], ["unverified", { name: "a" }]);
  assert.equal(typed("signin").length, 1);
  await pass(500);
  assert.equal(keeper.snapshot.session, "signed-in");
  const { v, origin, generation, token_id, token, saved_at, expires_at } = record();
  assert.deepEqual([v, origin, generation, token], [1, API, 1, "good"]);
  assert.match(token_id, /^[\da-f]{16}$/);
  assert.equal(expires_at - saved_at, 60_000);
  keeper.stop();
  const again = await visit(t, { stored: Object.fromEntries(store) });
  assert.equal((await again.keeper.start()).signedIn, true);
});

test("a token that has run out and is refused ends as expired", async (t) => {
  const { keeper, api, pass } = await visit(t);
  await keeper.signIn({ access_token: "good", expires_in: 5 });
  api.good = "another";
  await pass(5_000);
  assert.equal(keeper.snapshot.signedIn, true, "the local clock ends nothing");
  await keeper.verify();
  await pass(7_000);
  assert.equal(keeper.snapshot.signOut.reason, "expired");
});

test("a sign-out is written, told to the server until it listens, and outlives it", async (t) => {
  const { keeper, api, lines, pass, typed, record } = await visit(t, {
    stored: stored({ token: "good" }),
    options: { signOut: { path: "/auth/logout" } },
  });
  await keeper.start();
  await pass(500);
  api.answer = () => json(503, {});
  const { session, signOut } = await keeper.signOut();
  assert.deepEqual([session, signOut.reason], ["signed-out", "user"]);
  assert.equal(typed("signout").length, 1);
  assert.deepEqual([record().signed_out.reason, record().undelivered], ["user", true]);
  await pass(10_000);
  api.answer = () => json(200, {});
  await pass(60_000);
  const told = api.sent.filter(({ path }) => path === "/auth/logout");
  assert.ok(told.length >= 3, `tried ${told.length} times`);
  assert.ok(told.every(({ method, token }) => method === "POST" && token === "Bearer good"));
  assert.ok(
    told.every(({ request }) => request.keepalive),
    "the next page must not abort it",
  );
  assert.equal(
    lines.filter((line) => line.includes("sign-out was answered 503")).length,
    1,
    "said once",
  );
  const count = told.length;
  await pass(700_000);
  assert.equal(api.sent.filter(({ path }) => path === "/auth/logout").length, count);
});

test("what another tab wrote is met at the next verification", async (t) => {
  const { keeper, pass, store, typed } = await visit(t, { stored: stored({ token: "good" }) });
  await keeper.start();
  await pass(500);
  const other = { generation: 4, token_id: "00000000000000bb" };
  store.set(NAME, stored({ ...other, token: "good" })[NAME]);
  await keeper.verify();
  assert.equal(keeper.debug().token_info.token_id, other.token_id);
  store.set(NAME, stored({ ...other, signed_out: { reason: "user", at: 5 } })[NAME]);
  await keeper.verify();
  assert.deepEqual([typed("signout")[0].fromOtherTab, keeper.snapshot.signOut.at], [true, 5]);
  store.set(NAME, stored({ generation: 2, token: "good" })[NAME]);
  await keeper.verify();
  assert.equal(keeper.snapshot.session, "signed-out", "an older record is no sign-in");
});

test("a rejection of a token that another tab has replaced counts for nothing", async (t) => {
  const { keeper, api, pass, store, typed } = await visit(t, { stored: stored({ token: "old" }) });
  const other = { generation: 4, token_id: "00000000000000bb" };
  api.answer = (request) => {
    const isOld = request.headers.get("authorization") === "Bearer old";
    if (isOld) store.set(NAME, stored({ ...other, token: "good" })[NAME]);
    return isOld ? json(401, {}) : json(200, ME);
  };
  await keeper.start();
  await pass(500);
  assert.equal(typed("change").filter(({ snapshot }) => snapshot.session === "suspect").length, 0);
  assert.equal(keeper.debug().token_info.token_id, other.token_id);
  assert.equal(keeper.snapshot.session, "signed-in", "the new one is verified at once");
});

test("a sign-out of another tab during a verification is not written over", async (t) => {
  const { keeper, api, pass, store, record } = await visit(t, {
    stored: stored({ token: "good" }),
  });
  api.answer = () => {
    store.set(NAME, stored({ signed_out: { reason: "user", at: 5 } })[NAME]);
    return json(200, ME);
  };
  await keeper.start();
  await pass(500);
  assert.equal(keeper.snapshot.signOut?.fromOtherTab, true);
  assert.equal(record().signed_out.at, 5);
});

test("storage that somebody cleared is no sign-out: the record is written back", async (t) => {
  const visitor = await visit(t, { stored: stored({ token: "good" }) });
  const { keeper, api, pass, store, record } = visitor;
  await keeper.start();
  await pass(500);
  store.clear();
  api.answer = () => json(503, {});
  await keeper.verify();
  assert.deepEqual([keeper.snapshot.session, record().token_id], ["signed-in", ID]);
});

test("a page with 401 counts for nothing even where the API is awake", async (t) => {
  const { keeper, api, pass } = await visit(t, { stored: stored({ token: "good" }) });
  api.answer = () => page(401);
  await keeper.start();
  await pass(60_000);
  assert.equal(keeper.snapshot.session, "unverified");
});

test("with a cookie a sign-in drops the sign-out that was owed, which would end it", async (t) => {
  const options = { auth: "cookie", signOut: { path: "/auth/logout" } };
  const { keeper, api, pass } = await visit(t, { options });
  api.answer = ({ method }) => json(method === "POST" ? 503 : 200, ME);
  await keeper.signIn();
  await pass(500);
  await keeper.signOut();
  await pass(500);
  await keeper.signIn();
  const posts = () => api.sent.filter(({ method }) => method === "POST").length;
  const before = posts();
  assert.ok(before > 0);
  await pass(700_000);
  assert.equal(posts(), before);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("with a cookie the server says who it is, and the tombstone holds it back", async (t) => {
  const cookie = "csrf=a%3D%zz";
  const options = {
    auth: "cookie",
    csrf: { cookie: "csrf", header: "X-CSRF" },
    signOut: { path: "/auth/logout" },
  };
  const { keeper, api, pass, typed, record } = await visit(t, { cookie, options });
  api.answer = () => json(200, ME);
  assert.equal((await keeper.start()).session, "restoring");
  await pass(500);
  assert.deepEqual([keeper.snapshot.session, keeper.snapshot.user], ["signed-in", ME]);
  assert.equal(record().token, undefined);
  assert.equal(typed("signin").length, 1);
  assert.ok(api.sent.every(({ request }) => request.credentials === "include"));

  api.answer = (request) => (request.method === "POST" ? json(403, {}) : json(200, ME));
  await keeper.signOut();
  await pass(60_000);
  assert.equal(keeper.snapshot.session, "signed-out", "verified back in");
  assert.equal(record().undelivered, true);
  const post = api.sent.find(({ method }) => method === "POST");
  assert.equal(post.request.headers.get("x-csrf"), "a=%zz");
  api.answer = () => json(200, {});
  await pass(310_000);
  assert.equal(record().undelivered, undefined);
  await keeper.signIn();
  assert.equal(keeper.snapshot.signedIn, true);
});

for (const [name, record] of [
  ["of another origin", { origin: "https://elsewhere.example", token: "good" }],
  ["of another version", { v: 2, token: "good" }],
  ["of a sign-out", { signed_out: { reason: "user", at: 1 } }],
  ["with no token for a header", { token: "a\nb" }],
  ["without an id", { token_id: "?", token: "good" }],
  ["of a generation that leaps", { generation: 2 ** 31 + 1, token: "good" }],
]) {
  test(`a record ${name} lends no credential`, async (t) => {
    const { keeper, api, pass, store } = await visit(t, { stored: stored(record) });
    assert.equal((await keeper.start()).session, "signed-out");
    assert.deepEqual(keeper.authHeaders("/nodes"), {});
    const isForeign = "origin" in record || "v" in record;
    if (isForeign) assert.ok(store.has(NAME), "another's record is left alone");
    await keeper.signIn("good");
    await pass(500);
    assert.equal(keeper.snapshot.session, "signed-in");
    assert.equal(api.sent.length, 1);
  });
}

test("a store that is full or blocked costs the reload, never the session", async (t) => {
  for (const fault of ["setItem", "getItem"]) {
    const { keeper, pass, store } = await visit(t, { stored: stored({ token: "good" }) });
    localStorage[fault] = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    await keeper.start();
    await keeper.signIn("good");
    await pass(500);
    assert.equal(keeper.snapshot.session, "signed-in", fault);
    await keeper.verify();
    assert.equal(keeper.snapshot.session, "signed-in", fault);
    if (fault === "setItem") {
      assert.equal(store.has(NAME), false, "an older record may come back");
      assert.equal(keeper.debug().storage, "memory");
    }
    keeper.stop();
  }
});

test("a core that crashes is taken over, and the session goes on", async (t) => {
  const { keeper, api, lines, pass, typed } = await visit(t, {
    refuse: null,
    options: { persist: "memory" },
  });
  await keeper.signIn({ token: "good", user: ME });
  const waiting = keeper.verify();
  await turn();
  globalThis.fakeCores.at(-1).trap = true;
  keeper.reportResponse({ url: API, status: 401 });
  assert.equal((await waiting).failure.code, "crashed");
  globalThis.fakeCores.at(-1).notify("signout", { reason: "rejected" });
  assert.deepEqual(keeper.snapshot.user, ME);
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer good" });
  await pass(500);
  assert.equal(keeper.snapshot.session, "signed-in");
  api.good = "another";
  await keeper.verify();
  await pass(7_000);
  assert.equal(typed("signout").length, 1);
  assert.equal(lines.filter((line) => line.includes("a bug in session-keeper")).length, 1);
});

test("a call in which the core crashes is carried out all the same", async (t) => {
  const { keeper, typed, record } = await visit(t, { refuse: null });
  await keeper.start();
  globalThis.fakeCores.at(-1).trap = true;
  assert.equal((await keeper.signIn("good")).session, "unverified");
  assert.equal(record().token, "good");
  await keeper.signOut();
  assert.equal(typed("signout").length, 1);
  assert.equal(record().token, undefined);
});

test("a crash in a listener of the sign-out brings nobody back", async (t) => {
  const { keeper } = await visit(t, { refuse: null, options: { persist: "memory" } });
  await keeper.signIn("good");
  keeper.addEventListener("signout", () => (globalThis.fakeCores.at(-1).trap = true));
  const { failure, session } = await keeper.signOut();
  assert.deepEqual([failure.code, session], ["crashed", "signed-out"]);
  assert.deepEqual(keeper.authHeaders("/nodes"), {});
});

test("an engine that refuses late is taken over as well", async (t) => {
  globalThis.refuseWasmLater = blocked();
  t.after(() => delete globalThis.refuseWasmLater);
  const { keeper } = await visit(t, {
    refuse: new RangeError("disallowed on the main thread"),
    stored: stored({ token: "good" }),
  });
  const { failure, session } = await keeper.start();
  assert.deepEqual([failure.code, session], ["wasm-blocked", "unverified"]);
});

test("stop() settles what waits, and nothing is asked any more", async (t) => {
  const { keeper, api, pass } = await visit(t, { stored: stored({ token: "good" }) });
  await keeper.start();
  await pass(500);
  let answer;
  api.answer = () => new Promise((resolve) => (answer = resolve));
  const check = keeper.verify();
  await turn();
  keeper.stop();
  await check;
  answer(json(401, {}));
  const asked = api.sent.length;
  await pass(700_000);
  assert.equal(api.sent.length, asked);
  api.answer = undefined;
  assert.equal((await keeper.start()).signedIn, true);
});

test("history and debug tell what happened without the token", async (t) => {
  const { keeper, pass } = await visit(t, { stored: stored({ token: "secret" }) });
  await keeper.start();
  await pass(8_000);
  const told = JSON.stringify([keeper.history(), keeper.debug()]);
  assert.doesNotMatch(told, /secret/);
  const codes = keeper.history().map(({ code }) => code);
  assert.deepEqual(codes, ["suspect", "signed-out"]);
  assert.match(keeper.history()[0].text, /^401 from \/auth\/me: confirming .*up to 7 s: without/);
  assert.equal(keeper.history().at(-1).text, "Signed out: 401 confirmed");
});
