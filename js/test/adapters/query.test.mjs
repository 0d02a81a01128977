// `session-keeper/query` with TanStack Query's own core.

import assert from "node:assert/strict";
import { test } from "node:test";

import { QueryClient, QueryObserver } from "@tanstack/query-core";
import { attach, retry } from "session-keeper/query";

import { API, json, loadReal, openPage, serve, stopTheClock } from "../face.mjs";

const starting = () =>
  new Response("<!doctype html>", { status: 503, headers: { "Content-Type": "text/html" } });

async function visit(t, answers, defaultOptions) {
  openPage(t);
  const pass = stopTheClock(t);
  const api = serve(t, answers);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API, log: "silent", fetch: { waitMs: 0 } });
  const client = new QueryClient({ defaultOptions });
  client.mount();
  const detach = attach(client, keeper);
  t.after(() => {
    detach();
    client.unmount();
    client.clear();
    keeper.stop();
  });
  await keeper.signIn("good");
  await pass(1_000);
  return { api, keeper, client, pass, detach };
}

/** What a screen shows of a query. */
function watch(t, client, queryFn, options) {
  const observer = new QueryObserver(client, { queryKey: ["items"], queryFn, ...options });
  t.after(observer.subscribe(() => {}));
  return observer;
}

const ask = (keeper) => async () => {
  const response = await keeper.fetch("/items");
  if (!response.ok) throw Object.assign(new Error("no items"), { response });
  return response.json();
};

test("query: a sign-out empties the cache, and what is on the screen too", async (t) => {
  const { keeper, client, pass, api } = await visit(t, { "/items": () => json(200, ["ada's"]) });
  const observer = watch(t, client, ask(keeper));
  await pass(1_000);
  assert.deepEqual(observer.getCurrentResult().data, ["ada's"]);
  client.setQueryData(["other"], "ada's, too");
  await keeper.signOut();
  assert.equal(observer.getCurrentResult().data, undefined);
  assert.deepEqual(client.getQueryCache().getAll(), []);
  await pass(1_000);
  assert.equal(api.at("/items").length, 1, "nothing may be asked without a session");
});

test("query: an answer that is on its way at a sign-out does not come into the cache", async (t) => {
  let answer;
  const { keeper, client, pass } = await visit(t, {
    "/items": () => new Promise((resolve) => (answer = () => resolve(json(200, ["ada's"])))),
  });
  const observer = watch(t, client, ask(keeper));
  await pass(500);
  await keeper.signOut();
  answer();
  await pass(500);
  assert.equal(observer.getCurrentResult().data, undefined);
  assert.deepEqual(client.getQueryCache().getAll(), []);
});

test("query: a sign-in asks again for what is on the screen", async (t) => {
  const names = ["ada's", "bob's"];
  const { keeper, client, pass } = await visit(t, { "/items": () => json(200, [names.shift()]) });
  const observer = watch(t, client, ask(keeper));
  await pass(1_000);
  await keeper.signIn("another");
  assert.equal(observer.getCurrentResult().data, undefined, "ada's must not be shown to bob");
  await pass(1_000);
  assert.deepEqual(observer.getCurrentResult().data, ["bob's"]);
});

test("query: a server that is back is asked once more for what is on the screen", async (t) => {
  let isAsleep = false;
  const sleepy = (answer) => (asked) => (isAsleep ? starting() : answer(asked));
  const { keeper, client, pass, api } = await visit(t, {
    "/api/health": sleepy(() => json(200, {})),
    "/auth/me": sleepy(() => json(200, { name: "ada" })),
    "/items": sleepy(() => json(200, ["one"])),
  });
  isAsleep = true;
  const observer = watch(t, client, ask(keeper));
  await pass(20_000);
  assert.equal(observer.getCurrentResult().status, "error");
  assert.equal(keeper.snapshot.server, "waking");
  const asked = api.at("/items").length;
  assert.ok(asked <= 3, "a server that starts is not asked in vain by every query");
  isAsleep = false;
  await pass(20_000);
  assert.deepEqual(observer.getCurrentResult().data, ["one"]);
  assert.equal(api.at("/items").length, asked + 1);
});

test("query: refetchOnReconnect of a query decides whether it is asked again", async (t) => {
  let isAsleep = false;
  const sleepy = (answer) => (asked) => (isAsleep ? starting() : answer(asked));
  const { keeper, client, pass, api } = await visit(t, {
    "/api/health": sleepy(() => json(200, {})),
    "/auth/me": sleepy(() => json(200, { name: "ada" })),
    "/items": () => json(200, []),
  });
  watch(t, client, ask(keeper), { refetchOnReconnect: false });
  await pass(1_000);
  isAsleep = true;
  await pass(60_000);
  assert.equal(keeper.snapshot.server, "waking");
  isAsleep = false;
  await pass(20_000);
  assert.equal(keeper.snapshot.server, "awake");
  assert.equal(api.at("/items").length, 1);
});

test("query: a default retry of the app's own stays", async (t) => {
  const own = () => false;
  const { client } = await visit(t, {}, { queries: { retry: own, staleTime: 7 } });
  assert.deepEqual(client.getDefaultOptions().queries, { retry: own, staleTime: 7 });
});

test("query: what ends it lets the client be", async (t) => {
  const { keeper, client, detach } = await visit(t);
  client.setQueryData(["items"], "kept");
  detach();
  await keeper.signOut();
  assert.equal(client.getQueryData(["items"]), "kept");
});

test("query: what is asked again, and what is not", () => {
  const decide = (snapshot, error, failures = 0) =>
    retry({ snapshot: { session: "signed-in", server: "awake", ...snapshot } })(failures, error);
  const failed = (status) => ({ response: new Response(null, { status }) });
  assert.equal(decide({}, new TypeError("fetch failed")), true);
  assert.equal(decide({}, new TypeError("fetch failed"), 3), false);
  for (const status of [408, 429, 500, 503]) assert.equal(decide({}, failed(status)), true);
  for (const status of [400, 401, 403, 404, 422]) assert.equal(decide({}, failed(status)), false);
  assert.equal(decide({}, { status: 404 }), false, "a client whose errors carry the status");
  assert.equal(decide({ server: "waking" }, failed(503)), false);
  assert.equal(decide({ server: "offline" }, undefined), false);
  assert.equal(decide({ session: "signed-out" }, failed(500)), false);
  assert.equal(decide({ session: "restoring", server: "unknown" }, undefined), true);
});
