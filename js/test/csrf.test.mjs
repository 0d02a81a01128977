import assert from "node:assert/strict";
import { test } from "node:test";

import { API, hush, json, loadReal, load, openPage, serve, turn, until } from "./face.mjs";

const { csrfOf } = await load("csrf.ts");
const HEADER = "X-CSRF-Token";
const ANSWER = { username: "ada", csrf_token: "csrf-1" };

/** What was sent for the token, request by request. Answers come from `answers`, then are 200. */
async function sentBy(csrf, times = 1, options = {}, answers = []) {
  const sent = [];
  const attempt = async (headers) => {
    sent.push(headers?.[csrf.header]);
    return answers.shift() ?? json(200, {});
  };
  for (let i = 0; i < times; i++) sent.last = await csrf.send(attempt, options);
  return sent;
}

/** Asks nobody twice. */
function asker(...answers) {
  const ask = async () => {
    ask.times += 1;
    const body = answers.shift();
    return body && { response: json(200, body, body.headers), body };
  };
  return Object.assign(ask, { times: 0 });
}

for (const [cookie, value] of [
  ["csrf=a%3D", "a="],
  ["a=1; csrf=x=y; b=2", "x=y"],
  ["csrf=100%", "100%"],
  ["csrf=%zz%3D", "%zz="],
  ["csrf=%ff-%3D", "%ff-="],
  ["csrf=%E2%82%AC", undefined],
  ["csrf=a%0Ab", undefined],
  ["xcsrf=1", undefined],
  ["", undefined],
]) {
  test(`of the cookies "${cookie}" the header is ${value}`, async (t) => {
    openPage(t, { cookie });
    const ask = asker(ANSWER);
    assert.deepEqual([...(await sentBy(csrfOf({ cookie: "csrf", header: HEADER }, ask)))], [value]);
    assert.equal(ask.times, 0, "where there is a cookie nobody is asked");
  });
}

test("a frame that may not see its cookies has none", async (t) => {
  openPage(t);
  Object.defineProperty(document, "cookie", {
    get: () => {
      throw new DOMException("sandboxed", "SecurityError");
    },
  });
  const csrf = csrfOf({ cookie: "csrf", header: HEADER });
  assert.deepEqual([...(await sentBy(csrf))], [undefined]);
  csrf.begin(ANSWER);
  assert.deepEqual([...(await sentBy(csrf))], ["csrf-1"], "an answer tells it all the same");
});

test("the token of the sign-in is used until another session begins or this one is over", async () => {
  const ask = asker();
  const csrf = csrfOf({ header: HEADER }, ask);
  const input = { csrf_token: "csrf-1" };
  csrf.begin(input);
  assert.deepEqual(input, { csrf_token: "csrf-1" }, "what the app hands over stays as it is");
  assert.deepEqual([...(await sentBy(csrf))], ["csrf-1"]);
  csrf.begin({ csrfToken: "csrf-2" });
  assert.deepEqual([...(await sentBy(csrf))], ["csrf-2"]);
  csrf.begin({ user: {} });
  assert.deepEqual([...(await sentBy(csrf))], [undefined]);
  csrf.learn({}, "c3");
  assert.deepEqual([...(await sentBy(csrf))], ["c3"]);
  csrf.forget();
  assert.deepEqual([...(await sentBy(csrf))], [undefined]);
  assert.equal(ask.times, 2);
});

test("a verified body is the user, without the token", () => {
  const csrf = csrfOf({ header: HEADER });
  const body = { ...ANSWER };
  csrf.learn(body);
  assert.deepEqual(body, { username: "ada" });
});

test("where no token is known the API is asked once, also for many requests", async () => {
  const ask = asker(ANSWER);
  const csrf = csrfOf({ header: HEADER }, ask);
  const all = await Promise.all([sentBy(csrf), sentBy(csrf), sentBy(csrf)]);
  assert.deepEqual(all.flat(), ["csrf-1", "csrf-1", "csrf-1"]);
  assert.equal(ask.times, 1);
});

test("an API that tells none is asked once, and one error says so", async () => {
  const complaints = [];
  const ask = asker({ username: "ada" });
  const csrf = csrfOf({ header: HEADER }, ask, (text) => complaints.push(text));
  assert.deepEqual([...(await sentBy(csrf, 3))], [undefined, undefined, undefined]);
  assert.equal(ask.times, 1);
  assert.equal(complaints.length, 1);
  assert.match(complaints[0], /csrf_token.*X-CSRF-Token/);
});

test("nobody is asked while nobody is signed in", async () => {
  const ask = asker(ANSWER);
  await sentBy(csrfOf({ header: HEADER }, ask), 1, { isBare: true });
  assert.equal(ask.times, 0);
});

test("a 403 that tells another token is answered with it once, and other 403s are the app's", async () => {
  const other = () => json(403, {}, { [HEADER]: "csrf-2" });
  const csrf = csrfOf({ header: HEADER });
  csrf.begin(ANSWER);
  const sent = await sentBy(csrf, 1, {}, [other(), other()]);
  assert.deepEqual([...sent], ["csrf-1", "csrf-2"]);
  assert.equal(sent.last.status, 403);
  assert.deepEqual([...(await sentBy(csrf, 1, {}, [other()]))], ["csrf-2"], "it is the same one");
  assert.deepEqual([...(await sentBy(csrf, 1, {}, [json(403, {})]))], ["csrf-2"]);
  csrf.begin(ANSWER);
  const once = await sentBy(csrf, 1, { isOnce: true }, [other()]);
  assert.deepEqual([...once], ["csrf-1"], "a stream is sent once");
  assert.deepEqual([...(await sentBy(csrf))], ["csrf-2"], "the next one knows it");
});

test("with a header alone, what changes something carries what sign-in and verify told", async (t) => {
  const { api, keeper } = await visit(t);
  await keeper.signIn({ ...ANSWER, user: { username: "ada" } });
  const post = () => keeper.fetch("/nodes", { method: "POST", body: "x" });
  await post();
  await until(() => keeper.snapshot.session === "signed-in");
  assert.deepEqual(keeper.snapshot.user, { username: "ada" }, "the token is no part of the user");
  await post();
  await keeper.fetch("/nodes");
  await keeper.fetch("https://elsewhere.example.com/nodes", { method: "POST" });
  assert.deepEqual(api.tokensAt("/nodes"), ["csrf-1", "csrf-2", null, null]);
});

test("a restored session asks for the token before it changes something", async (t) => {
  const { api, keeper } = await visit(t, { hold: true });
  await keeper.signIn({ user: { username: "ada" } });
  const answered = keeper.fetch("/nodes", { method: "POST" });
  await turn();
  assert.deepEqual(api.tokensAt("/nodes"), []);
  api.release();
  await answered;
  assert.deepEqual(api.tokensAt("/nodes"), ["csrf-2"]);
});

test("the sign-out carries the token, which is forgotten then", async (t) => {
  const { api, keeper } = await visit(t, { options: { signOut: { path: "/auth/logout" } } });
  await keeper.signIn(ANSWER);
  await keeper.signOut();
  await until(() => api.at("/auth/logout").length);
  assert.deepEqual(api.tokensAt("/auth/logout"), ["csrf-1"]);
  await until(() => keeper.history().some(({ code }) => code === "sign-out-told"));
  await keeper.fetch("/nodes", { method: "POST" });
  assert.deepEqual(api.tokensAt("/nodes"), [null]);
  const records = JSON.stringify([...api.store]);
  assert.doesNotMatch(records + JSON.stringify(keeper.history()), /csrf-[12]/);
});

/** A keeper on the real core, whose API names the token in its header of `/auth/me`. */
async function visit(t, { options, hold } = {}) {
  const { store } = openPage(t);
  hush(t);
  let release = () => {};
  const held = hold ? new Promise((resolve) => (release = resolve)) : undefined;
  const api = serve(t, {
    "/auth/me": async () => {
      await held;
      return json(200, { username: "ada", csrf_token: "csrf-2" }, { [HEADER]: "csrf-2" });
    },
    "/nodes": () => json(200, {}),
    "/auth/logout": () => new Response(null, { status: 204 }),
  });
  const { createKeeper } = await loadReal();
  const csrf = { header: HEADER };
  const keeper = createKeeper({ baseUrl: API, auth: "cookie", csrf, log: "silent", ...options });
  t.after(() => keeper.stop());
  const tokensAt = (path) => api.at(path).map(({ request }) => request.headers.get(HEADER));
  return { keeper, api: Object.assign(api, { tokensAt, store, release }) };
}
