// What answers say to the keeper without wasm: whose word they are, and when it asks again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { API, hush, json, loadReal, openPage, serve, turn } from "./face.mjs";
import { ME, NAME, page, stored, visit } from "./visit.mjs";

const text = (status) => new Response("no", { status });
const unread = (type) =>
  Object.defineProperties(new Response(null), {
    type: { value: type },
    status: { value: 0 },
    ok: { value: false },
  });
const asked = (api) => api.sent.filter(({ path }) => path === "/auth/me").length;

/** A visitor of whom only the cookie knows, answered so from the start. */
async function visitUnknown(t, answer, health) {
  const visitor = await visit(t, { options: { auth: "cookie" } });
  visitor.api.answer = answer;
  if (health) visitor.api.health = health;
  await visitor.keeper.start();
  return visitor;
}

for (const [what, answer] of [
  ["a 401", () => json(401, {})],
  ["a 403 of the API", () => json(403, {})],
  ["a 404 of the API", () => json(404, {})],
  ["null", () => json(200, null)],
  ["a 204", () => new Response(null, { status: 204 })],
  ["an error's shape", () => json(200, { authenticated: false })],
  ["a 401 as text while health is well", () => text(401)],
]) {
  test(`of a cookie that nobody knows, ${what} says at once that it is nobody`, async (t) => {
    const { keeper, api, pass, typed } = await visitUnknown(t, answer);
    await pass(500);
    assert.equal(keeper.snapshot.session, "signed-out");
    assert.deepEqual([asked(api), typed("signout").length], [1, 0]);
  });
}

for (const [what, answer] of [
  ["a page", () => page(200)],
  ["a redirect", () => unread("opaqueredirect")],
  ["a 403 as text", () => text(403)],
  ["a 404 as text", () => text(404)],
  ["a 401 as text while health is a page", () => text(401)],
  ["a wall's 401", () => json(401, {}, { "WWW-Authenticate": 'Basic realm="x"' })],
]) {
  test(`of a cookie that nobody knows, ${what} says so three times in a row`, async (t) => {
    let answered = 0;
    // Silence and a 5xx start the count again.
    const between = [() => json(503, {}), () => Promise.reject()];
    const answers = [answer, answer, between[0], answer, answer, between[1], answer, answer];
    const step = () => (answers[answered++] ?? answer)();
    const { keeper, pass, typed } = await visitUnknown(t, step, () => page(200));
    for (let i = 0; i < 400 && answered < 8; i++) await pass(1_000);
    assert.deepEqual([keeper.snapshot.session, answered], ["restoring", 8]);
    await pass(310_000);
    assert.deepEqual([keeper.snapshot.session, answered], ["signed-out", 9]);
    assert.equal(typed("signout").length, 0);
  });
}

for (const [what, answer] of [
  ["no answer", () => Promise.reject()],
  ["a 500", () => json(500, {})],
  ["a 503 as a page", () => page(503)],
  ["a 408", () => json(408, {})],
  ["a 421", () => json(421, {})],
  ["a 425", () => json(425, {})],
  ["a 429", () => json(429, { detail: "slow down" })],
  ["a 429 as a page", () => page(429)],
]) {
  test(`${what} says nothing about a visitor, who is asked about again soon`, async (t) => {
    const { keeper, api, pass } = await visitUnknown(t, answer);
    await pass(60_000);
    assert.equal(keeper.snapshot.session, "restoring");
    assert.ok(asked(api) > 3, `asked ${asked(api)} times`);
    api.answer = () => json(200, ME);
    await pass(100_000);
    assert.equal(keeper.snapshot.session, "signed-in");
  });
}

test("Retry-After is a floor, in seconds or as a date, up to verify.everyMs", async (t) => {
  const date = (ms) => new Date(Date.now() + ms).toUTCString();
  for (const [retryAfter, early, late] of [
    [() => "2", 1_500, 1_500],
    [() => "60", 59_000, 8_000],
    [() => date(60_000), 58_000, 10_000],
    [() => "86400", 299_000, 32_000],
    [() => "soon", 1_500, 1_500],
  ]) {
    const answer = () => json(429, {}, { "Retry-After": retryAfter() });
    const { keeper, api, pass } = await visitUnknown(t, answer);
    await turn();
    await pass(early);
    assert.equal(asked(api), 1, `too early for ${retryAfter()}`);
    await pass(late);
    assert.equal(asked(api), 2, `too late for ${retryAfter()}`);
    keeper.stop();
  }
});

const USERS = [
  { id: 1, code: "1042" },
  { id: 1, code: "401" },
  { id: 1, code: 42, message: "hello" },
  { id: 1, code: "50014" },
  { id: 1, status: "active", message: "hello" },
  { id: 1, error: null, errors: 0, success: true, ok: 1 },
  { code: 600, detail: "x" },
  { code: 200, message: "ok", data: ME },
  { user: ME },
  {},
  { user: null },
];
const NOBODY = [
  [ME],
  "ada",
  { id: 1, error: "x" },
  { id: 1, errors: ["x"] },
  { id: 1, success: false },
  { id: 1, ok: false },
  { id: 1, authenticated: false },
  { code: 401 },
  { status: 400 },
  { statusCode: 599 },
  { code: "401", msg: "expired" },
  { status: "599", detail: "expired" },
  { code: 50014, message: "expired" },
  { code: "40000", message: "expired" },
  { statusCode: 59999, message: "expired" },
];

for (const [bodies, session, is] of [
  [USERS, "signed-in", "a user"],
  [NOBODY, "signed-out", "nobody"],
]) {
  for (const body of bodies) {
    test(`${JSON.stringify(body)} is ${is}`, async (t) => {
      const { keeper, pass } = await visitUnknown(t, () => json(200, body));
      await pass(500);
      assert.equal(keeper.snapshot.session, session);
    });
  }

  test(`the core agrees on what is ${is}`, async (t) => {
    openPage(t);
    hush(t);
    const { createKeeper } = await loadReal();
    for (const [index, body] of bodies.entries()) {
      serve(t, { "/auth/me": () => json(200, body) });
      const keeper = createKeeper({ baseUrl: API, auth: "cookie", name: `k${index}` });
      await keeper.verify();
      assert.equal(keeper.snapshot.session, session, JSON.stringify(body));
      keeper.stop();
    }
  });
}

test("a session is kept where its user is asked for and nobody is shown", async (t) => {
  const { keeper, api, pass, typed } = await visit(t, { stored: stored({ token: "good" }) });
  await keeper.start();
  await pass(500);
  api.answer = () => json(200, { success: false });
  await keeper.verify();
  assert.deepEqual([keeper.snapshot.session, keeper.snapshot.user], ["signed-in", ME]);
  assert.equal(typed("signout").length, 0);
});

test("slow answers are judged although a 401 is reported again and again", async (t) => {
  const { keeper, api, pass } = await visit(t, { stored: stored({ token: "good" }) });
  api.answer = () => new Promise((resolve) => setTimeout(() => resolve(json(200, ME)), 12_000));
  await keeper.start();
  for (let i = 0; i < 4; i++) {
    await pass(10_500);
    keeper.reportResponse({ url: API, status: 401 });
  }
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.ok(asked(api) >= 2, "and it is a reason to ask again");
});

test("a sign-out that is under way is not sent a second time", async (t) => {
  const { keeper, api, pass } = await visit(t, {
    stored: stored({ token: "good" }),
    options: { signOut: { path: "/auth/logout" } },
  });
  await keeper.start();
  await pass(500);
  const posts = () => api.sent.filter(({ method }) => method === "POST").map(({ token }) => token);
  let answer;
  api.answer = ({ method }) =>
    method === "POST" ? new Promise((resolve) => (answer = resolve)) : json(200, ME);
  await keeper.signOut();
  await keeper.signIn("another");
  for (let i = 0; i < 3; i++) await keeper.verify();
  assert.deepEqual(posts(), ["Bearer good"]);
  await keeper.signOut();
  await pass(500);
  assert.deepEqual(posts(), ["Bearer good"], "one at a time");
  answer(json(200, {}));
  await pass(500);
  assert.deepEqual(posts(), ["Bearer good", "Bearer another"]);
  answer(json(200, {}));
  await pass(700_000);
  assert.equal(posts().length, 2);
});

for (const [what, answer, isTold] of [
  ["a 204", () => new Response(null, { status: 204 }), true],
  ["a 401 of the API", () => json(401, {}), true],
  ["an error in a 200", () => json(200, { success: false }), false],
  ["a page", () => page(200), false],
  ["a wall's 401", () => json(401, {}, { "WWW-Authenticate": "Basic" }), false],
]) {
  test(`a sign-out that ${what} answers is ${isTold ? "told" : "sent again"}`, async (t) => {
    const { keeper, api, pass } = await visit(t, {
      stored: stored({ token: "good" }),
      options: { signOut: { path: "/auth/logout" } },
    });
    await keeper.start();
    await pass(500);
    api.answer = answer;
    await keeper.signOut();
    await pass(60_000);
    const posts = api.sent.filter(({ method }) => method === "POST").length;
    assert.equal(posts === 1, isTold, `sent ${posts} times`);
  });
}

test("a sign-out that fails does not drop the verification of the next sign-in", async (t) => {
  const { keeper, api, pass } = await visit(t, {
    stored: stored({ token: "good" }),
    options: { signOut: { path: "/auth/logout" } },
  });
  await keeper.start();
  await pass(500);
  const slowly = (resolve) => setTimeout(() => resolve(json(200, ME)), 12_000);
  api.answer = ({ method }) => (method === "POST" ? json(503, {}) : new Promise(slowly));
  await keeper.signOut();
  await keeper.signIn("another");
  await pass(13_000);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("a sign-out does not wait for as long as a verification was told to", async (t) => {
  const { keeper, api, pass } = await visit(t, {
    stored: stored({ token: "good" }),
    options: { signOut: { path: "/auth/logout" } },
  });
  api.answer = () => json(503, {}, { "Retry-After": "200" });
  await keeper.start();
  await pass(500);
  await keeper.signOut();
  await pass(3_000);
  assert.equal(api.sent.filter(({ method }) => method === "POST").length, 2);
});

test("with a cookie another tab's undelivered sign-out is told before anything else", async (t) => {
  const { keeper, api, pass, store } = await visit(t, {
    options: { auth: "cookie", signOut: { path: "/auth/logout" } },
  });
  api.answer = () => json(503, {});
  await keeper.start();
  await pass(500);
  api.answer = () => json(200, ME);
  const over = { signed_out: { reason: "user", at: 5 }, undelivered: true };
  store.set(NAME, stored(over)[NAME]);
  await keeper.verify();
  await pass(500);
  assert.equal(keeper.snapshot.session, "signed-out");
  assert.equal(api.sent.at(-1).method, "POST");
  assert.equal(JSON.parse(store.get(NAME)).undelivered, undefined);
});

for (const core of ["the core", "the fallback"]) {
  test(`an auth that throws is the app's error, and no news of the network, with ${core}`, async (t) => {
    const auth = () => {
      throw new Error("the app's own");
    };
    const isReal = core === "the core";
    const visitor = isReal ? await visitReal(t, { auth }) : await visit(t, { options: { auth } });
    const { keeper, lines } = visitor;
    await keeper.start();
    await keeper.signIn({ user: ME });
    await keeper.verify();
    assert.equal(keeper.snapshot.signedIn, true);
    assert.notEqual(keeper.snapshot.server, "unreachable");
    const kept = keeper.history().filter(({ code }) => code === "kept");
    assert.ok(kept.length && kept.every(({ why }) => why === "not-sent"), JSON.stringify(kept));
    await assert.rejects(keeper.fetch("/nodes"), { message: "the app's own" });
    const said = lines.filter((line) => line.includes("auth threw"));
    assert.equal(said.length, 1, "said once");
    keeper.stop();
  });
}

/** A keeper on the real core. */
async function visitReal(t, options) {
  openPage(t);
  const lines = hush(t);
  serve(t);
  const { createKeeper } = await loadReal();
  return { keeper: createKeeper({ baseUrl: API, ...options }), lines };
}
