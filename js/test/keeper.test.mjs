import assert from "node:assert/strict";
import { test } from "node:test";

import { API, answerWith, hush, load, openPage, turn } from "./face.mjs";

const options = { baseUrl: API, log: "silent" };
const RECORD = `session-keeper:${API}`;
const stored = (more) => ({ [RECORD]: JSON.stringify({ v: 1, origin: API, ...more }) });

const core = () => globalThis.fakeCores.at(-1);

test("without a document every method is harmless and the snapshot constant", async (t) => {
  const sent = answerWith(t, 200);
  const { createKeeper } = await load();
  const keeper = createKeeper({ baseUrl: API });
  const { snapshot } = keeper;
  assert.equal(snapshot.session, "restoring");
  assert.equal(snapshot.signedIn, undefined);
  assert.ok(Object.isFrozen(snapshot));
  for (const step of [keeper.start(), keeper.signIn("secret"), keeper.verify(), keeper.signOut()]) {
    assert.equal(await step, snapshot);
  }
  await assert.rejects(keeper.signIn(7), { code: "invalid-token" });
  assert.deepEqual(keeper.authHeaders(API), {});
  assert.deepEqual(keeper.history(), []);
  assert.equal(keeper.debug().token_available, false);
  keeper.reportResponse({ url: API, status: 401 });
  keeper.subscribe(() => {})();
  await keeper.fetch("/api/nodes");
  assert.equal(sent[0].request.url, `${API}/api/nodes`);
  assert.equal(sent[0].request.headers.get("authorization"), null);
  keeper.stop();
  keeper.dispose();
  assert.equal(createKeeper().snapshot, snapshot);
});

test("without a document a wrong option throws all the same", async () => {
  const { createKeeper, KeeperError } = await load();
  assert.throws(() => createKeeper({ basePath: "/v1" }), KeeperError);
});

test("two keepers of one name are one until it is stopped", async (t) => {
  openPage(t);
  const [first, reloaded] = [await load(), await load()];
  const keeper = first.createKeeper(options);
  assert.equal(reloaded.createKeeper(options), keeper);
  assert.notEqual(first.createKeeper({ ...options, name: "another" }), keeper);
  keeper.stop();
  assert.notEqual(first.createKeeper(options), keeper);
});

test("a second keeper of a name with other options is the first, and says so once", async (t) => {
  openPage(t);
  const lines = hush(t);
  const { createKeeper } = await load();
  const keeper = createKeeper({ baseUrl: API });
  createKeeper({ baseUrl: API, log: "warn" });
  assert.deepEqual(lines, []);
  for (let i = 0; i < 2; i++) {
    const changed = createKeeper({ baseUrl: API, verify: { everyMs: 60_000 } });
    assert.equal(changed, keeper);
  }
  assert.deepEqual(lines, ["warn: [session-keeper] Options changed: reload the page"]);
});

test("two APIs of one gateway do not share a keeper", async (t) => {
  openPage(t);
  const { createKeeper } = await load();
  const of = (path) => createKeeper({ ...options, baseUrl: API + path });
  assert.notEqual(of("/service-a"), of("/service-b"));
  assert.equal(of("/service-a"), of("/service-a/"));
});

test("every method can be taken off its keeper", async (t) => {
  openPage(t);
  answerWith(t, 200);
  const keeper = (await load()).createKeeper(options);
  const { start, signIn, signOut, verify, fetch, stop, dispose } = keeper;
  const { subscribe, authHeaders, reportResponse, debug, history } = keeper;
  const { addEventListener, removeEventListener } = keeper;
  const types = [];
  const listener = ({ type }) => types.push(type);
  addEventListener("signin", listener);
  subscribe(() => types.push("change"))();
  await start();
  await signIn("t");
  removeEventListener("signin", listener);
  assert.deepEqual(authHeaders("/nodes"), { Authorization: "Bearer t" });
  assert.deepEqual(authHeaders("https://elsewhere.example/nodes"), {});
  reportResponse({ url: "/nodes", status: 401 });
  assert.equal((await fetch("/nodes")).status, 200);
  assert.equal(debug().status, "unverified");
  assert.equal(history().length, 1);
  const check = verify();
  await signOut();
  stop();
  dispose();
  await check;
  assert.deepEqual(types, ["signin"]);
});

test("a keeper that was stopped starts again, by start() or signIn() alone", async (t) => {
  openPage(t);
  answerWith(t, 200);
  const keeper = (await load()).createKeeper(options);
  await keeper.start();
  keeper.stop();
  keeper.stop();
  await keeper.fetch("/api/nodes");
  await keeper.verify();
  const starts = () => core().calls.filter((call) => call === "start").length;
  assert.equal(starts(), 1);
  await keeper.start();
  await keeper.start();
  assert.equal(starts(), 2);
  keeper.stop();
  assert.equal((await keeper.signIn("t")).session, "unverified");
  assert.equal(starts(), 3);
});

test("a sign-in can be used in the same breath", async (t) => {
  openPage(t);
  const sent = answerWith(t, 200);
  const keeper = (await load()).createKeeper(options);
  const signIn = keeper.signIn({ access_token: "t", user: { name: "ada" } });
  assert.deepEqual(keeper.authHeaders(`${API}/a`), { Authorization: "Bearer t" });
  await keeper.fetch("/api/nodes");
  assert.equal(sent[0].request.headers.get("authorization"), "Bearer t");
  const snapshot = await signIn;
  assert.equal(snapshot.session, "unverified");
  assert.deepEqual(snapshot.user, { name: "ada" });
  assert.doesNotMatch(JSON.stringify(keeper), /"t"/);
  assert.deepEqual(core().record, { token: "t" });
});

test("the snapshot is the same object until something changed", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  const seen = [];
  keeper.subscribe((snapshot) => seen.push(snapshot));
  await keeper.signIn("t");
  const signedOut = await keeper.signOut();
  core().notify("change", {});
  core().notify("settled", {});
  assert.equal(keeper.snapshot, signedOut);
  assert.deepEqual(
    seen.map(({ session }) => session),
    ["signed-out", "unverified", "signed-out"],
  );
  assert.equal(seen.at(-1), signedOut);
  await keeper.signIn({ token: "t", user: 1 });
  await keeper.signIn({ token: "t", user: 2 });
  assert.equal(seen.at(-1).user, 2);
});

test("the events carry their fields, and the snapshot is what they say", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  await keeper.signIn("t");
  const events = [];
  for (const type of ["signout", "server", "forbidden", "log"]) {
    keeper.addEventListener(type, (event) => events.push([event, keeper.snapshot.session]));
  }
  core().now.server = "awake";
  core().notify("server", { state: "awake", since: 3 });
  core().notify("forbidden", { status: 403 });
  core().log("verified");
  await keeper.signOut();
  const [server, forbidden, log, signOut] = events.map(([event]) => event);
  assert.deepEqual([server.state, server.since], ["awake", 3]);
  assert.equal(forbidden.status, 403);
  assert.equal(log.entry.text, "Token verified");
  assert.deepEqual([signOut.reason, signOut.at, signOut.fromOtherTab], ["user", 5, false]);
  assert.equal(events.at(-1)[1], "signed-out");
});

test("start() waits for a record that comes late, and for no network", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  core().restored = undefined;
  let isStarted = false;
  const start = keeper.start().then(() => (isStarted = true));
  core().change({ server: "waking" });
  await turn();
  assert.equal(isStarted, false);
  core().change({ session: "unverified", signedIn: true });
  await start;
});

test("with a cookie start() waits for the record and not for the server's word", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper({ ...options, auth: "cookie" });
  core().restored = undefined;
  const start = keeper.start();
  core().log("no-record");
  assert.equal((await start).session, "restoring");
});

test("verify() resolves when it is settled, and when the keeper is stopped", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  await keeper.signIn("t");
  const first = keeper.verify();
  await turn();
  core().now.session = "signed-in";
  core().notify("settled", {});
  assert.equal((await first).session, "signed-in");
  const second = keeper.verify();
  await turn();
  keeper.stop();
  await second;
});

test("only a 401 of a named origin is a hint", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  await keeper.start();
  keeper.reportResponse({ url: `${API}/a`, status: 403 });
  keeper.reportResponse({ url: "https://elsewhere.example/a", status: 401 });
  keeper.reportResponse({ url: "http://", status: 401 });
  keeper.reportResponse({ url: new URL(`${API}/a`), status: 401 });
  keeper.reportResponse({ url: "/a", status: 401 });
  const response = new Response(null, { status: 401 });
  Object.defineProperty(response, "url", { value: `${API}/a` });
  keeper.reportResponse(response);
  assert.equal(core().calls.filter((call) => call === "report 401").length, 3);
});

test("an engine that compiles asynchronously is waited for, and calls with it", async (t) => {
  openPage(t);
  globalThis.refuseWasm = new RangeError("disallowed on the main thread");
  t.after(() => delete globalThis.refuseWasm);
  const keeper = (await load()).createKeeper(options);
  assert.deepEqual(globalThis.fakeCores, []);
  const signIn = keeper.signIn("t");
  assert.equal((await signIn).session, "unverified");
  assert.equal(keeper.snapshot.failure, undefined);
});

test("stop() ends a start() whose record never came", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  core().restored = undefined;
  const start = keeper.start();
  keeper.stop();
  assert.equal((await start).session, "restoring");
});

test("stop() ends a start() whose wasm is not there yet", async (t) => {
  openPage(t);
  globalThis.refuseWasm = new RangeError("disallowed on the main thread");
  t.after(() => delete globalThis.refuseWasm);
  const keeper = (await load()).createKeeper(options);
  const start = keeper.start();
  keeper.stop();
  assert.equal((await start).session, "restoring");
  assert.ok(!core().calls.includes("start"));
});

test("a plain-http API is a loud warning, once", async (t) => {
  openPage(t);
  const lines = hush(t);
  const { createKeeper } = await load();
  for (let i = 0; i < 2; i++) createKeeper({ baseUrl: "http://api.example.com" });
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^warn: .*https.*http:\/\/api\.example\.com/);
});

test("the debug view speaks in seconds and shows no token", async (t) => {
  openPage(t);
  const keeper = (await load()).createKeeper(options);
  await keeper.signIn({ token: "secret", expires_in: 60 });
  const view = keeper.debug();
  assert.deepEqual([view.status, view.token_available, view.leader], ["unverified", true, true]);
  assert.deepEqual([view.next_ping_in, view.next_verification_in], [30, null]);
  assert.ok(view.token_info.is_valid && view.token_info.expires_in <= 60);
  assert.equal(Date.parse(view.token_info.expiry_time), keeper.snapshot.expiresAt);
  assert.doesNotMatch(JSON.stringify(view), /secret/);
  core().change({ expiresAt: 9e15, session: "suspect" });
  assert.deepEqual(keeper.debug().token_info.expiry_time, null);
  assert.equal(keeper.debug().token_info.is_valid, false);
});

test("a log function that throws harms nobody", async (t) => {
  openPage(t);
  const errors = [];
  const known = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => errors.push(error.message));
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const listener of known) process.on("uncaughtException", listener);
  });
  const log = () => {
    throw new Error("the app's own");
  };
  const keeper = (await load()).createKeeper({ ...options, log });
  const heard = [];
  keeper.addEventListener("log", ({ entry }) => heard.push(entry.code));
  core().log("verified");
  await turn();
  assert.deepEqual(heard, ["verified"]);
  assert.deepEqual(errors, ["the app's own"]);
});
