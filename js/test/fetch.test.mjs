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

/** What is reported of a request, by its numbers, and what the core says to it. */
const EVENTS = ["ready", "no response", "unavailable", "unauthorized", "closed"];
const [SEND, DELIVER, REFUSE] = [0, 1, 2];
const reported = () => core().reports.map(({ event }) => EVENTS[event]);
const decide = (action) => core().reports.at(-1).decide(action);

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
  const answer = keeper.fetch("/nodes", { method: "POST", body: "a" });
  await turn();
  decide(SEND);
  await answer;
  assert.deepEqual(
    sent.map(({ request }) => request.headers.get("x-key")),
    ["1", "2"],
  );
  assert.equal(await sent[1].request.text(), "a");
});

for (const [failure, event] of [
  [502, "unavailable"],
  [503, "unavailable"],
  [504, "unavailable"],
  [401, "unauthorized"],
  [new TypeError("Failed to fetch"), "no response"],
]) {
  test(`a request that met ${failure} is ${event}, and goes as the core says`, async (t) => {
    const keeper = await signedIn(t);
    const sent = answerWith(t, failure, failure, 200);
    const answer = keeper.fetch("/nodes");
    await turn();
    assert.deepEqual(reported(), [event]);
    assert.equal(sent.length, 1, "it waits");
    decide(SEND);
    await turn();
    assert.equal(sent.length, 2);
    decide(SEND);
    assert.equal((await answer).status, 200);
    assert.deepEqual(reported(), [event, event, "closed"]);

    answerWith(t, failure);
    const again = keeper.fetch("/nodes");
    await turn();
    decide(DELIVER);
    if (typeof failure === "number") assert.equal((await again).status, failure);
    else await assert.rejects(again, failure);
  });
}

test("a request that is answered costs the core one question and no report", async (t) => {
  const keeper = await signedIn(t);
  for (const status of [200, 204, 400, 403, 404, 429, 500]) {
    answerWith(t, status);
    assert.equal((await keeper.fetch("/nodes")).status, status);
  }
  assert.deepEqual(reported(), []);
});

test("what the core learns of a request is its facts, and neither URL nor body", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 401);
  const stream = () => ({ body: new Blob(["a"]).stream(), duplex: "half" });
  const requests = [
    ["/nodes", {}],
    ["/nodes?page=2", {}],
    ["/others", {}],
    ["/nodes", { method: "POST", body: "a" }],
    ["/nodes", { method: "POST", body: "a", retry: true }],
    ["/nodes", { method: "POST", retry: true, ...stream() }],
    [new Request(`${API}/v1/nodes`, { method: "POST", body: "a" }), {}],
    [`${FILES}/nodes`, {}],
  ];
  for (const [input, init] of requests) {
    const answer = keeper.fetch(input, init);
    await turn();
    decide(DELIVER);
    await answer;
  }
  const failures = core().reports.filter(({ event }) => event === 3);
  assert.deepEqual(
    failures.map(({ kind }) => kind),
    [2, 2, 2, 1, 2, 0, 1, 6],
  );
  const [nodes, nextPage, others, post] = failures.map(({ resource }) => resource);
  assert.equal(nodes, nextPage, "the query is part of it");
  assert.equal(new Set([nodes, others, post]).size, 3);
  assert.deepEqual(
    failures.map(({ sentWith }) => sentWith),
    Array(8).fill(1),
  );
});

test("a body is sent again as it was at the call", async (t) => {
  const keeper = await signedIn(t);
  const bytes = new TextEncoder().encode("before");
  const form = new FormData();
  form.append("name", "before");
  for (const [body, change] of [
    [bytes, () => bytes.set(new TextEncoder().encode("AFTER!"))],
    [form, () => form.set("name", "after")],
    [new Blob(["before"]), () => {}],
    ["before", () => {}],
  ]) {
    const sent = answerWith(t, 401, 200);
    const answer = keeper.fetch("/nodes", { method: "POST", body });
    change();
    await turn();
    decide(SEND);
    await answer;
    for (const { request } of sent) assert.match(await request.text(), /before/);
  }
});

test("a 401 for a credential of the app's own is the app's", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 401);
  const headers = { Authorization: "Basic abc" };
  assert.equal((await keeper.fetch("/nodes", { headers })).status, 401);
  assert.equal(sent[0].request.headers.get("authorization"), "Basic abc");
  assert.deepEqual(reported(), []);
});

test("a request that has to ask first is sent with the credential of then", async (t) => {
  const keeper = await signedIn(t);
  core().asksFirst = true;
  const sent = answerWith(t, 401, 200);
  const answer = keeper.fetch("/nodes");
  await turn();
  assert.deepEqual(reported(), ["ready"]);
  assert.deepEqual([sent.length, core().reports[0].sentWith], [0, 1]);
  Object.assign(core(), { token: "newer", generation: 2, asksFirst: false });
  decide(SEND);
  await turn();
  assert.equal(sent[0].request.headers.get("authorization"), "Bearer newer");
  assert.equal(core().reports[1].sentWith, 2);
  decide(SEND);
  assert.equal((await answer).status, 200);
});

test("another origin's failure is not waited out", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 503);
  assert.equal((await keeper.fetch(FILES)).status, 503);
  assert.deepEqual(reported(), []);
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
  assert.deepEqual(reported(), ["unavailable", "closed"]);
});

test("a signal of a polyfill ends the request and the wait all the same", async (t) => {
  const keeper = await signedIn(t);
  const foreign = () => Object.assign(new EventTarget(), { aborted: false, reason: undefined });
  const sent = answerWith(t, 503);
  const signal = foreign();
  const answer = keeper.fetch("/nodes", { signal });
  await turn();
  const reason = new Error("left the page");
  Object.assign(signal, { aborted: true, reason }).dispatchEvent(new Event("abort"));
  await assert.rejects(answer, reason);
  assert.ok(sent[0].request.signal.aborted);

  const late = Object.assign(foreign(), { aborted: true, reason });
  await keeper.fetch("/nodes", { signal: late, method: "POST" });
  assert.ok(sent[1].request.signal.aborted);
});

test("a stopped keeper sends with the credential and holds nothing", async (t) => {
  const keeper = await signedIn(t);
  keeper.stop();
  const sent = answerWith(t, 503);
  assert.equal((await keeper.fetch("/nodes")).status, 503);
  assert.equal(sent[0].request.headers.get("authorization"), "Bearer t");
  assert.deepEqual(reported(), []);
});

test("a core that crashes gives back what waits for it", async (t) => {
  const keeper = await signedIn(t);
  answerWith(t, 503, 401);
  const answers = [keeper.fetch("/nodes"), keeper.fetch("/nodes")];
  await turn();
  core().trap = true;
  await keeper.signOut();
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  assert.deepEqual(statuses, [503, 401]);
  assert.equal(keeper.snapshot.failure.code, "crashed");
});

test("a request too many rejects", async (t) => {
  const keeper = await signedIn(t, { fetch: { maxWaiting: 1 } });
  answerWith(t, 503);
  const answer = keeper.fetch("/nodes");
  await turn();
  decide(REFUSE);
  await assert.rejects(answer, { code: "too-many-waiting", message: /^1 requests wait/ });
});

test("a redirect to another origin is followed where the app allows it", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 200);
  await keeper.fetch("/download", { crossOriginRedirects: "follow" });
  assert.equal(sent[0].request.redirect, "follow");
  assert.equal(sent[0].request.headers.get("authorization"), "Bearer t");
  await keeper.fetch("/download", { crossOriginRedirects: "reject" });
  assert.equal(sent[1].request.redirect, "manual");
});

test("headers of every kind are sent, and again as they were at the call", async (t) => {
  const csrf = { cookie: "csrf", header: "X-CSRF" };
  for (const [auth, name, value] of [
    ["bearer", "authorization", "Bearer t"],
    ["cookie", "x-csrf", "x=y"],
  ]) {
    const keeper = await signedIn(t, { auth, csrf, name: auth });
    await keeper.signIn(auth === "cookie" ? { user: {} } : "t");
    const kinds = [
      { "X-App": "1", "x-csrf": "of the app" },
      new Headers({ "X-App": "1" }),
      [["X-App", "1"]],
    ];
    for (const headers of kinds) {
      const sent = answerWith(t, 401, 200);
      const answer = keeper.fetch("/nodes", { method: "POST", headers });
      if (headers instanceof Headers) headers.set("X-App", "2");
      else if (Array.isArray(headers)) headers[0][1] = "2";
      else headers["X-App"] = "2";
      await turn();
      decide(SEND);
      await answer;
      assert.equal(sent.length, 2);
      for (const { request } of sent) {
        assert.equal(request.headers.get("x-app"), "1");
        assert.equal(request.headers.get(name), value);
      }
    }
  }
});

test("an answer of the API proves it awake where the core does not know that", async (t) => {
  const keeper = await signedIn(t);
  const proofs = () => core().calls.filter((call) => call === "app_proof").length;
  const json = { "Content-Type": "application/json; charset=utf-8" };
  const answered = async (status, headers, url = "/nodes") => {
    const before = proofs();
    answerWith(t, new Response("{}", { status, headers }));
    await keeper.fetch(url);
    return proofs() - before;
  };
  core().change({ server: "waking" });
  assert.equal(await answered(200, json), 1);
  assert.equal(await answered(201, { "Content-Type": "application/problem+json" }), 1);
  const old = new Date(Date.now() - 120_000).toUTCString();
  for (const [status, headers, url] of [
    [200, { "Content-Type": "text/html" }],
    [404, json],
    [500, json],
    [200, { ...json, Age: "5" }],
    [200, { ...json, Date: old }],
    [200, json, FILES],
  ]) {
    assert.equal(await answered(status, headers, url), 0, `${status} ${JSON.stringify(headers)}`);
  }
  core().change({ server: "awake" });
  assert.equal(await answered(200, json), 0, "it is known");
});

test("a transport gets each attempt with the credential, and fetch none", async (t) => {
  const keeper = await signedIn(t);
  const sent = answerWith(t, 500);
  const seen = [];
  const answers = [401, 200];
  const transport = async (input, init) => {
    seen.push([input, new Headers(init.headers).get("authorization"), init.transport]);
    return new Response(null, { status: answers.shift() });
  };
  const got = keeper.fetch("/nodes", { method: "POST", transport });
  while (!core().reports.length) await turn();
  decide(SEND);
  assert.equal((await got).status, 200);
  const attempt = [`${API}/v1/nodes`, "Bearer t", undefined];
  assert.deepEqual([seen, sent], [[attempt, attempt], []]);
});

test("a transport sends to other origins too, without the credential", async (t) => {
  const keeper = await signedIn(t);
  const seen = [];
  const transport = async (...given) => seen.push(given) && new Response();
  await keeper.fetch("https://elsewhere.example/x", { transport, method: "POST" });
  assert.deepEqual(seen, [["https://elsewhere.example/x", { method: "POST" }]]);
});
