// The face on the real core. What that never does (late compilation, a crash) is tried with a core
// that the test plays: engine.test.mjs, fallback.test.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { API, answerWith, hush, json, loadReal, openPage, serve, turn, until } from "./face.mjs";

const options = { baseUrl: API, log: "silent" };
const RECORD = `session-keeper:${API}`;
const ID = "00000000000000aa";
const stored = (more) => ({
  [RECORD]: JSON.stringify({ v: 1, origin: API, generation: 3, token_id: ID, ...more }),
});

/** A page, an API, and a keeper for it that ends with the test. */
async function visit(t, { page, answers, ...more } = {}) {
  const { store } = openPage(t, page);
  const api = serve(t, answers);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ ...options, ...more });
  t.after(() => keeper.stop());
  return { keeper, api, store, createKeeper };
}

test("without a document every method is harmless and the snapshot constant", async (t) => {
  const sent = answerWith(t, 200);
  const { createKeeper } = await loadReal();
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
  const { createKeeper, KeeperError } = await loadReal();
  assert.throws(() => createKeeper({ basePath: "/v1" }), KeeperError);
});

test("two keepers of one name are one until it is stopped", async (t) => {
  openPage(t);
  const [first, reloaded] = [await loadReal(), await loadReal()];
  const keeper = first.createKeeper(options);
  assert.equal(reloaded.createKeeper(options), keeper);
  assert.notEqual(first.createKeeper({ ...options, name: "another" }), keeper);
  keeper.stop();
  assert.notEqual(first.createKeeper(options), keeper);
});

test("a second keeper of a name with other options is the first, and says so once", async (t) => {
  openPage(t);
  const lines = hush(t);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API });
  createKeeper({ baseUrl: API, log: "warn" });
  assert.deepEqual(lines, []);
  for (let i = 0; i < 2; i++) {
    const changed = createKeeper({ baseUrl: API, verify: { everyMs: 60_000 } });
    assert.equal(changed, keeper);
  }
  assert.deepEqual(lines, ["warn: [session-keeper] Options changed: reload the page"]);
});

test("two APIs of one gateway do not share a keeper, nor a record", async (t) => {
  const { store, createKeeper } = await visit(t);
  const of = (path) => createKeeper({ ...options, baseUrl: API + path });
  const [a, b] = [of("/service-a"), of("/service-b")];
  t.after(() => [a, b].map(({ stop }) => stop()));
  assert.equal(of("/service-a/"), a);
  await a.signIn("good");
  assert.equal((await b.start()).session, "signed-out");
  assert.deepEqual(b.authHeaders("/x"), {});
  assert.ok(store.has(`${RECORD}/service-a`));
});

test("a record under the name of an API without a path keeps its place", async (t) => {
  const { keeper } = await visit(t, { page: { stored: stored({ token: "good" }) } });
  assert.equal((await keeper.start()).signedIn, true);
  assert.deepEqual(keeper.authHeaders("/x"), { Authorization: "Bearer good" });
});

test("every method can be taken off its keeper", async (t) => {
  const { keeper } = await visit(t, { answers: { "/nodes": () => json(200, {}) } });
  const { start, signIn, signOut, verify, fetch, stop, dispose } = keeper;
  const { subscribe, authHeaders, reportResponse, debug, history } = keeper;
  const { addEventListener, removeEventListener } = keeper;
  const types = [];
  const listener = ({ type }) => types.push(type);
  addEventListener("signin", listener);
  subscribe(() => types.push("change"))();
  await start();
  await signIn("good");
  removeEventListener("signin", listener);
  assert.deepEqual(authHeaders("/nodes"), { Authorization: "Bearer good" });
  assert.deepEqual(authHeaders("https://elsewhere.example/nodes"), {});
  reportResponse({ url: "/nodes", status: 401 });
  assert.equal((await fetch("/nodes")).status, 200);
  assert.equal((await verify()).session, "signed-in");
  assert.equal(debug().status, "signed-in");
  assert.ok(history().some(({ code }) => code === "verified"));
  await signOut();
  stop();
  dispose();
  assert.deepEqual(types, ["signin"]);
});

test("a keeper that was stopped starts again, by start() or signIn() alone", async (t) => {
  const { keeper, api } = await visit(t);
  await keeper.start();
  keeper.stop();
  keeper.stop();
  await until(() => api.sent.length > 0);
  const { length } = api.sent;
  await keeper.fetch("/api/nodes");
  await keeper.verify();
  await turn();
  assert.equal(api.sent.length, length + 1, "the request of the app alone");
  await keeper.start();
  await until(() => api.sent.length > length + 1);
  keeper.stop();
  assert.equal((await keeper.signIn("good")).session, "unverified");
  await until(() => keeper.snapshot.session === "signed-in");
});

test("a sign-in can be used in the same breath, and resolves with its user", async (t) => {
  const { keeper, api, store } = await visit(t);
  const user = { name: "grace" };
  const answer = { access_token: "good", refresh_token: "r-secret", expires_in: "3599", user };
  const signIn = keeper.signIn(answer);
  assert.deepEqual(keeper.authHeaders(`${API}/a`), { Authorization: "Bearer good" });
  await keeper.fetch("/api/nodes");
  assert.equal(api.at("/api/nodes")[0].token, "Bearer good");
  const snapshot = await signIn;
  assert.equal(snapshot.session, "unverified");
  assert.equal(snapshot.user, user);
  assert.doesNotMatch(JSON.stringify(keeper), /good/);
  const record = JSON.parse(store.get(RECORD));
  assert.deepEqual([record.token, record.refresh_token], ["good", undefined]);
  assert.equal(record.expires_at, snapshot.expiresAt);
  await until(() => keeper.snapshot.session === "signed-in");
  assert.deepEqual(keeper.snapshot.user, { name: "ada" }, "the verified body replaces it");
});

test("the snapshot is the same object until something changed", async (t) => {
  const { keeper, api } = await visit(t);
  const seen = [];
  keeper.subscribe((snapshot) => seen.push(snapshot));
  await keeper.signIn("good");
  await keeper.verify();
  await until(() => keeper.snapshot.server === "awake");
  const { length } = seen;
  const { snapshot } = keeper;
  const pings = api.at("/api/health").length;
  await keeper.fetch("/api/nodes");
  keeper.reportResponse({ url: `${API}/a`, status: 403 });
  assert.equal(keeper.snapshot, snapshot);
  assert.equal(seen.length, length);
  assert.ok(pings > 0);
  const signedOut = await keeper.signOut();
  assert.equal(keeper.snapshot, signedOut);
  assert.equal(seen.at(-1), signedOut);
  assert.ok(Object.isFrozen(signedOut));
  const keys = ["session", "server", "signedIn", "user", "expiresAt", "lastVerifiedAt"];
  assert.deepEqual(Object.keys(signedOut), [...keys, "signOut", "failure"]);
});

test("pings change nothing that a subscriber would render again for", async (t) => {
  const { keeper, api } = await visit(t, { health: { everyMs: 250 } });
  await keeper.signIn("good");
  await keeper.verify();
  await until(() => keeper.snapshot.server === "awake");
  let renders = 0;
  keeper.subscribe(() => renders++);
  const first = keeper.debug().last_awake_at;
  const { length } = api.at("/api/health");
  while (api.at("/api/health").length < length + 4) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await until(() => keeper.debug().last_awake_at !== first);
  assert.equal(renders, 0);
});

test("the events carry their fields, and the snapshot is what they say", async (t) => {
  const { keeper, api } = await visit(t, { signOut: { path: "/auth/logout" } });
  const events = [];
  for (const type of ["signin", "signout", "server", "forbidden", "log"]) {
    keeper.addEventListener(type, (event) => events.push([event, keeper.snapshot]));
  }
  const find = (type) => events.find(([event]) => event.type === type);
  await keeper.signIn("good");
  assert.equal(find("signin")[0].fromOtherTab, false);
  await keeper.verify();
  const [server, { server: state }] = find("server");
  assert.deepEqual([server.state, state, server.since > 0], ["awake", "awake", true]);
  api.answers["/auth/me"] = () => json(403, {});
  await keeper.verify();
  assert.equal(find("forbidden")[0].status, 403);
  assert.ok(events.some(([{ entry }]) => entry?.text === "Token verified"));
  await keeper.signOut();
  const [signOut, { session }] = find("signout");
  assert.deepEqual([signOut.reason, signOut.fromOtherTab, session], ["user", false, "signed-out"]);
  assert.deepEqual(signOut.evidence.refusals, []);
  await until(() => api.at("/auth/logout").length === 1);
});

test("start() waits for a record that comes late, and for no network", async (t) => {
  let answer;
  const persist = {
    get: () => new Promise((resolve) => (answer = resolve)),
    set: async () => {},
    remove: async () => {},
  };
  const never = {
    "/api/health": () => new Promise(() => {}),
    "/auth/me": () => new Promise(() => {}),
  };
  const { keeper } = await visit(t, { persist, answers: never });
  let isStarted = false;
  const start = keeper.start().then((snapshot) => {
    isStarted = true;
    return snapshot;
  });
  await until(() => answer);
  await turn();
  assert.equal(isStarted, false);
  answer(stored({ token: "good" })[RECORD]);
  assert.equal((await start).session, "unverified");
});

test("with a cookie start() waits for the record and not for the server's word", async (t) => {
  let answer;
  const answers = { "/auth/me": () => new Promise((resolve) => (answer = resolve)) };
  const { keeper, api } = await visit(t, { auth: "cookie", answers });
  assert.equal((await keeper.start()).session, "restoring");
  await until(() => answer);
  assert.equal(api.at("/auth/me")[0].request.credentials, "include");
  answer(json(200, { name: "ada" }));
  await until(() => keeper.snapshot.session === "signed-in");
  assert.deepEqual(keeper.authHeaders("/x"), {});
});

test("verify() resolves when it is settled, and when the keeper is stopped", async (t) => {
  const { keeper, api } = await visit(t);
  await keeper.signIn("good");
  assert.equal((await keeper.verify()).session, "signed-in");
  api.answers["/auth/me"] = () => new Promise(() => {});
  const second = keeper.verify();
  await turn();
  keeper.stop();
  assert.equal((await second).session, "signed-in");
});

test("only a 401 of a named origin is a hint", async (t) => {
  const { keeper, api } = await visit(t);
  await keeper.signIn("good");
  await keeper.verify();
  const asked = () => api.at("/auth/me").length;
  const before = asked();
  keeper.reportResponse({ url: `${API}/a`, status: 403 });
  keeper.reportResponse({ url: "https://elsewhere.example/a", status: 401 });
  keeper.reportResponse({ url: "http://", status: 401 });
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(asked(), before);
  const response = json(401, {});
  Object.defineProperty(response, "url", { value: `${API}/a` });
  keeper.reportResponse(response);
  await until(() => asked() === before + 1);
});

for (const [what, report] of [
  ["a URL", { url: new URL(`${API}/a`), status: 401 }],
  ["a path", { url: "/a", status: 401 }],
]) {
  test(`a 401 reported by ${what} is a hint too`, async (t) => {
    const { keeper, api } = await visit(t);
    await keeper.signIn("good");
    await keeper.verify();
    const before = api.at("/auth/me").length;
    keeper.reportResponse(report);
    await until(() => api.at("/auth/me").length === before + 1);
  });
}

test("an auth that returns nothing has its request sent, and one error says so", async (t) => {
  const lines = hush(t);
  const auth = (request) => void request.headers.set("x-key", "1");
  const { keeper, api } = await visit(t, {
    auth,
    log: "warn",
    answers: { "/auth/me": () => json(200, { name: "ada" }) },
  });
  await keeper.signIn();
  assert.equal((await keeper.verify()).session, "signed-in");
  await keeper.fetch("/nodes");
  const keys = ["/auth/me", "/nodes"].map((path) => api.at(path)[0].request.headers.get("x-key"));
  assert.deepEqual(keys, ["1", "1"]);
  assert.equal(lines.filter((line) => line.includes("auth must return")).length, 1);
});

test("a classify that throws is said once, and a 401 ends the session all the same", async (t) => {
  const lines = hush(t);
  const classify = () => assert.fail("the app's own");
  const { keeper, api } = await visit(t, {
    verify: { classify },
    confirm: "immediate",
    log: "warn",
  });
  await keeper.signIn("good");
  assert.equal((await keeper.verify()).session, "signed-in");
  api.good = "another";
  assert.equal((await keeper.verify()).session, "signed-out");
  assert.equal(lines.filter((line) => line.includes("classify threw")).length, 1);
});

test("stop() ends a start() whose record never came", async (t) => {
  const persist = { get: () => new Promise(() => {}), set() {}, remove() {} };
  const { keeper } = await visit(t, { persist });
  const start = keeper.start();
  keeper.stop();
  assert.equal((await start).session, "restoring");
});

test("a plain-http API is a loud warning, once", async (t) => {
  openPage(t);
  const lines = hush(t);
  const { createKeeper } = await loadReal();
  for (let i = 0; i < 2; i++) createKeeper({ baseUrl: "http://api.example.com" });
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^warn: .*https.*http:\/\/api\.example\.com/);
});

test("the debug view speaks in seconds and shows no token", async (t) => {
  const { keeper } = await visit(t);
  await keeper.signIn({ token: "secret", expires_in: 60 });
  const view = keeper.debug();
  assert.deepEqual([view.status, view.token_available, view.leader], ["unverified", true, true]);
  assert.ok(view.token_info.is_valid && view.token_info.expires_in <= 60);
  assert.match(view.token_info.token_id, /^[\da-f]{16}$/);
  assert.equal(Date.parse(view.token_info.expiry_time), keeper.snapshot.expiresAt);
  assert.equal(view.storage, "local");
  assert.doesNotMatch(JSON.stringify(view), /secret/);
  await until(() => keeper.snapshot.session === "suspect");
  assert.equal(keeper.debug().token_info.is_valid, false);
});

test("a stored expiry beyond what a date can hold is shown as none", async (t) => {
  const page = { stored: stored({ token: "good", expires_at: 9e15 }) };
  const { keeper } = await visit(t, { page });
  await keeper.start();
  assert.equal(keeper.debug().token_info.expiry_time, null);
});

test("a log function that throws harms nobody", async (t) => {
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
  const { keeper } = await visit(t, { log });
  const received = [];
  keeper.addEventListener("log", ({ entry }) => received.push(entry.code));
  await keeper.signIn("good");
  await keeper.verify();
  assert.ok(received.includes("verified"));
  await until(() => errors.length > 0);
  assert.deepEqual(new Set(errors), new Set(["the app's own"]));
});

test("a sign-out that leaves the cookie where it is is said once", async (t) => {
  const said = t.mock.method(console, "error", () => {});
  const { keeper } = await visit(t, { auth: "cookie", log: "warn" });
  await keeper.signOut();
  await keeper.signOut();
  const lines = said.mock.calls.filter(({ arguments: [line] }) => /signOut\.path/.test(line));
  assert.equal(lines.length, 1);
});
