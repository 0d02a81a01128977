import assert from "node:assert/strict";
import { test } from "node:test";

import { API, answerWith, load, openPage, turn } from "./face.mjs";

const FILES = "https://files.example.com";

const core = () => globalThis.fakeCores.at(-1);
const opaqueRedirect = { status: 0, type: "opaqueredirect" };

async function signedIn(t, more = {}) {
  openPage(t, { cookie: "a=1; csrf=x=y; b=2" });
  const { fetch: fetchOptions, ...rest } = more;
  const { createKeeper } = await load();
  const keeper = createKeeper({
    baseUrl: `${API}/v1`,
    log: "silent",
    fetch: { origins: [FILES], ...fetchOptions },
    ...rest,
  });
  if (rest.auth) await keeper.start();
  else await keeper.signIn("t");
  return keeper;
}

/** A ping was answered. */
let pings = 0;
const awake = () => core().change({ server: "awake", lastAwakeAt: ++pings });

test("a path is appended to the base, and a URL is taken as it is", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 200);
  for (const input of ["/nodes", "nodes", "?a=1", `${API}/x`, new URL(`${API}/y`)]) {
    await keeper.fetch(input);
  }
  await keeper.fetch(new Request(`${API}/z`));
  assert.deepEqual(
    sent.map(({ request }) => request.url),
    ["/v1/nodes", "/v1/nodes", "/v1?a=1", "/x", "/y", "/z"].map((path) => API + path),
  );
});

test("the credential goes to the API and to named origins, and nowhere else", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 200);
  for (const url of [API, FILES, "https://elsewhere.example/", `${API}.evil.example/`]) {
    await keeper.fetch(url);
  }
  const seen = sent.map(({ request }) => request.headers.get("authorization"));
  assert.deepEqual(seen, ["Bearer t", "Bearer t", null, null]);
});

test("on the page's own origin a redirect is followed, and never to another", async (t) => {
  const { createKeeper } = await load();
  openPage(t);
  const keeper = createKeeper({ log: "silent" });
  await keeper.signIn("t");
  const there = new Response("there");
  const sent = answerWith(t, opaqueRedirect, there);
  assert.equal(await keeper.fetch("/moved"), there);
  const modes = sent.map(({ init }) => [init.redirect, init.mode]);
  const within = ["follow", "same-origin"];
  assert.deepEqual(modes, [["manual", undefined], within]);

  answerWith(t, opaqueRedirect, new TypeError("another origin"));
  await assert.rejects(keeper.fetch("/away"), { code: "redirected" });

  // What changes something is sent once: a second POST would be one more.
  const posted = answerWith(t, 201);
  assert.equal((await keeper.fetch("/nodes", { method: "POST" })).status, 201);
  assert.deepEqual(
    posted.map(({ init }) => [init.redirect, init.mode]),
    [within],
  );
});

test("elsewhere a redirect rejects, unless asked for", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, opaqueRedirect);
  await assert.rejects(keeper.fetch("/moved"), { name: "KeeperError", code: "redirected" });
  assert.equal(sent[0].init.redirect, "manual");
  assert.equal(await keeper.fetch("/moved", { redirect: "manual" }), opaqueRedirect);
  assert.equal(sent.length, 2);
});

test("a 401 is a hint and comes back as it is", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 401);
  assert.equal((await keeper.fetch("/nodes")).status, 401);
  assert.ok(core().calls.includes("report 401"));
});

test("a cookie is sent by the browser, and unsafe requests carry the csrf header", async (t) => {
  const csrf = { cookie: "csrf", header: "X-CSRF" };
  const keeper = await signedIn(t, { auth: "cookie", csrf });
  const sent = answerWith(t, 200);
  await keeper.fetch("/nodes");
  await keeper.fetch("/nodes", { method: "POST" });
  await keeper.fetch(FILES, { method: "POST" });
  assert.deepEqual(
    sent.map(({ init }) => init.credentials),
    ["include", "include", "include"],
  );
  assert.deepEqual(
    sent.map(({ request }) => request.headers.get("x-csrf")),
    [null, "x=y", null],
  );
});

test("the app's own authorization is called for each attempt", async (t) => {
  let calls = 0;
  const auth = (request) => {
    const authorized = new Request(request);
    authorized.headers.set("x-key", String(++calls));
    return authorized;
  };
  const keeper = await signedIn(t, { auth });
  const sent = answerWith(t, 503, 200);
  const answer = keeper.fetch("/nodes");
  await turn();
  awake();
  await answer;
  assert.deepEqual(
    sent.map(({ request }) => request.headers.get("x-key")),
    ["1", "2"],
  );
});

for (const failure of [502, 503, 504, new TypeError("Failed to fetch")]) {
  test(`a GET that met ${failure} is repeated once the server is awake`, async (t) => {
    const keeper = await signedIn(t);
    const sent = answerWith(t, failure, failure, 200);
    const answer = keeper.fetch("/nodes");
    await turn();
    assert.ok(core().calls.includes("unanswered"));
    core().change({ server: "waking" });
    await turn();
    assert.equal(sent.length, 1);
    awake();
    await turn();
    core().change({ server: "waking" });
    awake();
    assert.equal((await answer).status, 200);
    assert.equal(sent.length, 3);
  });
}

test("a request that fails though the server is well is repeated once", async (t) => {
  const keeper = await signedIn(t);
  awake();
  const sent = answerWith(t, 503);
  let status;
  keeper.fetch("/nodes").then((answer) => (status = answer.status));
  await turn();
  core().change({ expiresAt: 1 });
  await turn();
  assert.equal(sent.length, 1, "only a new proof counts");
  awake();
  await turn();
  assert.deepEqual([status, sent.length], [503, 2]);
});

test("a server that says it is awake and never is is asked four times in all", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 503);
  const answer = keeper.fetch("/nodes");
  for (let i = 0; i < 4; i++) {
    await turn();
    core().change({ server: "waking" });
    awake();
  }
  assert.equal((await answer).status, 503);
  assert.equal(sent.length, 4);
});

test("what changes something is sent once, unless the app allows a repeat", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 503, 503, 200);
  assert.equal((await keeper.fetch("/nodes", { method: "POST", body: "a" })).status, 503);
  assert.equal(sent.length, 1);
  const answer = keeper.fetch("/nodes", { method: "POST", body: "a", repeat: true });
  await turn();
  awake();
  assert.equal((await answer).status, 200);
  assert.equal(await sent[2].request.text(), "a");
});

test("a body that can be read once is sent once", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 503);
  const body = new Blob(["a"]).stream();
  const init = { method: "POST", body, duplex: "half", repeat: true };
  assert.equal((await keeper.fetch("/nodes", init)).status, 503);
  assert.equal(sent.length, 1);
});

test("another origin's failure is not waited out", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 503);
  assert.equal((await keeper.fetch(FILES)).status, 503);
  assert.ok(!core().calls.includes("unanswered"));
});

test("the caller's signal ends the wait at once, with its reason", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 503);
  const controller = new AbortController();
  const answer = keeper.fetch("/nodes", { signal: controller.signal });
  await turn();
  const reason = new Error("left the page");
  controller.abort(reason);
  await assert.rejects(answer, reason);
});

test("stop() ends the wait with the last answer, or the last error", async (t) => {
  const keeper = await signedIn(t);
  const error = new TypeError("Failed to fetch");
  answerWith(t, 503, error);
  const answers = [keeper.fetch("/nodes"), keeper.fetch("/nodes")];
  await turn();
  keeper.stop();
  assert.equal((await answers[0]).status, 503);
  await assert.rejects(answers[1], error);
  await assert.rejects(keeper.fetch("/nodes"), error);
});

test("the wait ends after waitMs, however often the server nearly came back", async (t) => {
  const keeper = await signedIn(t, { fetch: { waitMs: 60_000 } });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  answerWith(t, 503);
  core().change({ server: "waking" });
  const answer = keeper.fetch("/nodes");
  await turn();
  t.mock.timers.tick(40_000);
  awake();
  await turn();
  core().change({ server: "waking" });
  t.mock.timers.tick(19_999);
  let isOver = false;
  answer.then(() => (isOver = true));
  await turn();
  assert.equal(isOver, false);
  t.mock.timers.tick(1);
  assert.equal((await answer).status, 503);
});

test("the wait is over when waitMs runs out during a repeat", async (t) => {
  const keeper = await signedIn(t, { fetch: { waitMs: 60_000 } });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let fail;
  answerWith(t, 503, new Promise((resolve) => (fail = resolve)));
  core().change({ server: "waking" });
  const answer = keeper.fetch("/nodes");
  await turn();
  awake();
  await turn();
  t.mock.timers.tick(60_000);
  core().change({ server: "waking" });
  fail(new Response(null, { status: 503 }));
  assert.equal((await answer).status, 503);
});

test("where no health answer comes to wait for, the answer is given back", async (t) => {
  const keeper = await signedIn(t);
  awake();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = answerWith(t, 503);
  const answer = keeper.fetch("/nodes");
  await turn();
  t.mock.timers.tick(11_000);
  assert.equal((await answer).status, 503);
  assert.equal(sent.length, 1);
});

test("more than maxWaiting do not wait", async (t) => {
  const keeper = await signedIn(t, { fetch: { maxWaiting: 1 } });
  answerWith(t, 503);
  const first = keeper.fetch("/nodes");
  await turn();
  await assert.rejects(keeper.fetch("/nodes"), { code: "too-many-waiting" });
  keeper.stop();
  assert.equal((await first).status, 503);
});
