// The keeper without wasm on a store of the app's that is slower than a start waits for it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { json } from "./face.mjs";
import { ID, ME, NAME, stored, visit } from "./visit.mjs";

/** Longer than a start waits for a store. */
const SLOW_MS = 2_100;
/** The record is read before the server is asked, and before its answer is judged. */
const VERIFIED_MS = 2 * SLOW_MS;
const COOKIE = { auth: "cookie", signOut: { path: "/auth/logout" } };
const OVER = { signed_out: { reason: "user", at: 5 }, generation: 5 };

/** A visit whose store answers nothing but what the test says, and keeps what is written. */
async function visitSlowly(t, { options, answer, ...more } = {}) {
  const reads = [];
  const written = [];
  const persist = {
    get: () => new Promise((resolve) => reads.push(resolve)),
    set: async (_, record) => void written.push(JSON.parse(record)),
    remove: async () => void written.push("removed"),
  };
  const visitor = await visit(t, { options: { ...options, persist }, ...more });
  const { keeper, api, pass } = visitor;
  if (answer) api.answer = answer;
  const start = keeper.start();
  // A core that the test plays has read it.
  await pass(more.refuse === null ? 0 : SLOW_MS);
  await start;
  const answerRead = async (index, record) => {
    reads.at(index)(typeof record === "string" ? record : stored(record)[NAME]);
    await pass(500);
  };
  const posts = () => api.sent.filter(({ method }) => method === "POST");
  return { ...visitor, reads, answerRead, last: () => written.at(-1), posts };
}

test("an adapter that is slow is waited for, and its late answer is taken", async (t) => {
  const { keeper, pass, answerRead } = await visitSlowly(t);
  assert.equal(keeper.snapshot.session, "signed-out");
  await answerRead(0, { token: "good" });
  assert.equal(keeper.snapshot.session, "unverified");
  await pass(VERIFIED_MS);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("a late record never takes the place of who has signed in meanwhile", async (t) => {
  const { keeper, api, pass, typed, answerRead, last } = await visitSlowly(t);
  api.good = "token-of-b";
  await keeper.signIn("token-of-b");
  await answerRead(0, { token: "token-of-a", generation: 5 });
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer token-of-b" });
  assert.deepEqual([last().token, last().generation], ["token-of-b", 6], "above it");
  await pass(SLOW_MS);
  // What was asked for right after the sign-in may still be the old one.
  await answerRead(-1, { token: "token-of-a", generation: 5 });
  await pass(VERIFIED_MS);
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.ok(api.sent.every(({ token }) => token === "Bearer token-of-b"));
  assert.equal(typed("signin").length, 1);
});

test("two late reads of the same old record change nothing, whichever comes first", async (t) => {
  const { keeper, answerRead, last } = await visitSlowly(t);
  await keeper.signIn("token-of-b");
  await answerRead(-1, { token: "token-of-a", generation: 5 });
  await answerRead(0, { token: "token-of-a", generation: 5 });
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer token-of-b" });
  assert.deepEqual([last().token, last().generation], ["token-of-b", 6]);
});

test("a late tombstone signs nobody out who has signed in meanwhile", async (t) => {
  const { keeper, typed, answerRead, last, posts } = await visitSlowly(t, {
    options: COOKIE,
    answer: () => json(503, {}),
  });
  await keeper.signIn({ user: ME });
  await answerRead(0, { ...OVER, undelivered: true });
  assert.deepEqual([keeper.snapshot.signedIn, last().generation], [true, 6]);
  assert.equal(typed("signout").length + posts().length, 0);
});

test("a late record of whom the user has signed out stays signed out", async (t) => {
  const { keeper, api, pass, typed, answerRead, last, posts } = await visitSlowly(t, {
    options: { signOut: { path: "/auth/logout" } },
  });
  await keeper.signOut();
  await answerRead(0, { token: "good", generation: 5 });
  assert.deepEqual(keeper.authHeaders("/nodes"), {});
  assert.deepEqual(
    [keeper.snapshot.session, keeper.snapshot.signOut.reason],
    ["signed-out", "user"],
  );
  const { generation, token_id, token, signed_out } = last();
  assert.deepEqual([generation, token_id, token], [5, ID, undefined]);
  assert.equal(signed_out.reason, "user");
  await pass(700_000);
  assert.deepEqual(
    posts().map(({ token }) => token),
    ["Bearer good"],
    "the server is told, once",
  );
  assert.equal(api.sent.filter(({ path }) => path === "/auth/me").length, 0);
  assert.equal(typed("signin").length, 0);
});

test("who has signed in and was rejected is not replaced by a late record either", async (t) => {
  const { keeper, pass, answerRead, posts } = await visitSlowly(t, {
    options: { signOut: { path: "/auth/logout" } },
  });
  await keeper.signIn("token-of-b");
  await pass(30_000);
  assert.equal(keeper.snapshot.signOut.reason, "rejected");
  await answerRead(0, { token: "good", generation: 5 });
  assert.deepEqual([keeper.snapshot.session, posts().length], ["signed-out", 0]);
});

test("with a cookie a sign-out that comes late is one, and the server is told", async (t) => {
  const { keeper, api, pass, typed, answerRead, last, posts } = await visitSlowly(t, {
    options: COOKIE,
    answer: () => json(200, ME),
  });
  await pass(VERIFIED_MS);
  assert.equal(keeper.snapshot.session, "signed-in", "the cookie is still good");
  api.answer = ({ method }) => (method === "POST" ? json(503, {}) : json(200, ME));
  await answerRead(0, { ...OVER, undelivered: true });
  assert.deepEqual([keeper.snapshot.session, typed("signout").length], ["signed-out", 1]);
  assert.deepEqual([last().undelivered, last().generation], [true, 5]);
  api.answer = () => json(200, ME);
  await pass(60_000);
  assert.equal(last().undelivered, undefined);
  const told = posts().length;
  await pass(700_000);
  assert.deepEqual([keeper.snapshot.session, posts().length], ["signed-out", told]);
});

test("with a cookie a late tombstone that was told is older than the server's word", async (t) => {
  const { keeper, pass, typed, answerRead, last, posts } = await visitSlowly(t, {
    options: COOKIE,
    answer: () => json(200, ME),
  });
  await pass(VERIFIED_MS);
  await answerRead(0, OVER);
  await pass(VERIFIED_MS);
  assert.deepEqual([keeper.snapshot.session, last().generation], ["signed-in", 6]);
  assert.equal(typed("signout").length + posts().length, 0);
});

test("a record that comes after stop() changes nothing", async (t) => {
  const { keeper, typed, answerRead } = await visitSlowly(t);
  keeper.stop();
  await answerRead(0, { token: "good" });
  assert.deepEqual([keeper.snapshot.session, typed("signin").length], ["signed-out", 0]);
});

test("a store that is always slow makes no storm of verifications", async (t) => {
  const { keeper, api, pass, reads } = await visitSlowly(t);
  for (let i = 0; i < 100; i++) {
    for (const answer of reads.splice(0)) answer(stored({ token: "good" })[NAME]);
    await pass(SLOW_MS);
  }
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.equal(api.sent.length, 1, "each five minutes, of which not one is over");
});

test("a late tombstone of an earlier page is told to no server without its token", async (t) => {
  const { keeper, pass, answerRead, posts } = await visitSlowly(t, {
    options: { signOut: { path: "/auth/logout" } },
  });
  await answerRead(0, { ...OVER, undelivered: true });
  await pass(10_000);
  assert.deepEqual([keeper.snapshot.signOut.at, posts().length], [5, 0]);
});

test("a late record that is corrupt does not take a sign-out with it", async (t) => {
  const { keeper, answerRead, last } = await visitSlowly(t);
  await keeper.signIn("good");
  await keeper.signOut();
  await answerRead(0, "{");
  assert.equal(last().signed_out.reason, "user");
});

test("with a cookie a sign-out and its late record are told as one", async (t) => {
  const { keeper, api, pass, answerRead, last, posts } = await visitSlowly(t, {
    options: COOKIE,
    answer: () => json(503, {}),
  });
  assert.equal(keeper.snapshot.session, "restoring");
  await keeper.signOut();
  await answerRead(0, { generation: 5 });
  const before = posts().length;
  api.answer = () => json(200, {});
  await pass(60_000);
  assert.deepEqual([posts().length - before, last().generation], [1, 5]);
});

test("with a cookie a late sign-out that is undelivered keeps a visitor out", async (t) => {
  const { keeper, api, pass, answerRead, posts } = await visitSlowly(t, {
    options: COOKIE,
    answer: () => json(503, {}),
  });
  api.answer = ({ method }) => json(method === "POST" ? 503 : 200, ME);
  await answerRead(0, { ...OVER, undelivered: true });
  assert.deepEqual([keeper.snapshot.session, posts().length], ["signed-out", 1]);
  await pass(60_000);
  assert.equal(keeper.snapshot.session, "signed-out");
});

test("a sign-in in which the core crashes keeps its own user", async (t) => {
  const { keeper, pass } = await visitSlowly(t, { refuse: null });
  await keeper.signIn({ token: "token-of-a", user: { name: "a" } });
  globalThis.fakeCores.at(-1).trap = true;
  const signIn = keeper.signIn({ token: "token-of-b", user: { name: "b" } });
  await pass(SLOW_MS);
  await signIn;
  assert.deepEqual(keeper.snapshot.user, { name: "b" });
});

test("a sign-out in which the core crashes ends a late record of any number", async (t) => {
  const { keeper, pass, answerRead, last, posts } = await visitSlowly(t, {
    refuse: null,
    options: { signOut: { path: "/auth/logout" } },
  });
  globalThis.fakeCores.at(-1).trap = true;
  const signOut = keeper.signOut();
  await pass(SLOW_MS);
  await signOut;
  await answerRead(0, { token: "good", generation: 1 });
  assert.deepEqual([keeper.snapshot.session, last().token_id], ["signed-out", ID]);
  assert.equal(posts().at(-1).token, "Bearer good");
});
