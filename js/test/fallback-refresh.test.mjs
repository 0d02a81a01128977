// Without wasm a token is not refreshed ahead of its expiry; but no 401 ends a session that a
// refresh can fix.

import assert from "node:assert/strict";
import { test } from "node:test";

import { json } from "./face.mjs";
import { ID, stored, visit } from "./visit.mjs";

const RECORD = { token: "old", refresh_token: "r1", saved_at: 1, expires_at: 2, lifetime: 1 };

/** Restored with a token that the API refuses; what `refresh` answers is known to it. */
const refreshing = (t, refresh, record = RECORD) =>
  visit(t, { stored: stored(record), options: { refresh } });

test("a 401 is answered by a refresh first, and the session goes on with the newer token", async (t) => {
  const calls = [];
  const { keeper, pass, typed, record } = await refreshing(t, (current) => {
    calls.push({ ...current, stored: record().refresh_attempt });
    return { access_token: "good", refresh_token: "r2" };
  });
  const told = [];
  keeper.addEventListener("refresh", () => told.push("refresh"));
  await keeper.start();
  await pass(1_000);
  assert.equal(keeper.snapshot.session, "signed-in");
  const [{ refreshToken, attempt, stored: before }] = calls;
  assert.deepEqual([calls.length, refreshToken, told.length], [1, "r1", 1]);
  assert.match(attempt, /^[\da-f]{16}$/);
  assert.equal(before, attempt, "it is stored before it is sent");
  const { token, refresh_token, refresh_attempt, expires_at, lifetime, token_id } = record();
  assert.deepEqual([token, refresh_token], ["good", "r2"]);
  assert.deepEqual([refresh_attempt, expires_at, lifetime], [undefined, undefined, undefined]);
  assert.notEqual(token_id, ID);
  assert.deepEqual(keeper.authHeaders("/nodes"), { Authorization: "Bearer good" });
  await pass(60_000);
  assert.equal(typed("signout").length, 0);
  assert.equal(typed("signin").length, 0);
});

for (const [what, answer] of [
  ["throws", () => Promise.reject(new TypeError("offline"))],
  ["is a 503", () => json(503, {})],
  [
    "is a page",
    () => new Response("<p>", { status: 401, headers: { "Content-Type": "text/html" } }),
  ],
  ["is a 400 that says nothing of the grant", () => json(400, { error: "invalid_client" })],
  ["has no token", () => ({ ok: true })],
]) {
  test(`a refresh that ${what} is no verdict, and the same attempt is made again`, async (t) => {
    const attempts = [];
    let give = answer;
    const { keeper, pass, typed } = await refreshing(t, ({ attempt }) => {
      attempts.push(attempt);
      return give();
    });
    await keeper.start();
    await pass(60_000);
    assert.ok(attempts.length >= 2 && attempts.length < 10, `${attempts.length} attempts`);
    assert.equal(new Set(attempts).size, 1);
    assert.equal(keeper.snapshot.signedIn, true);
    give = () => ({ access_token: "good" });
    await pass(300_000);
    assert.equal(keeper.snapshot.session, "signed-in");
    assert.equal(typed("signout").length, 0);
  });
}

for (const [what, answer] of [
  ["null", () => null],
  ["a 401", () => json(401, {})],
  ["invalid_grant", () => json(400, { error: "invalid_grant" })],
]) {
  test(`${what} of a refresh, twice and 6 s apart, is the end`, async (t) => {
    let calls = 0;
    const { keeper, pass, typed } = await refreshing(t, () => (calls++, answer()));
    await keeper.start();
    await pass(1_000);
    assert.deepEqual([keeper.snapshot.session, calls], ["suspect", 1]);
    await pass(8_000);
    assert.equal(keeper.snapshot.session, "signed-out");
    assert.equal(typed("signout")[0].evidence.refusals.length, 2);
  });
}

test("a server that refuses the newer token as well is believed, without a storm", async (t) => {
  let calls = 0;
  const { keeper, pass } = await refreshing(t, () => ({ access_token: `bad${calls++}` }));
  await keeper.start();
  await pass(9_000);
  assert.deepEqual([keeper.snapshot.session, calls], ["signed-out", 1]);
});

test("a refresh that is under way is waited for, whoever checks meanwhile", async (t) => {
  let calls = 0;
  let answer;
  const { keeper, pass } = await refreshing(t, () => {
    calls += 1;
    return new Promise((resolve) => (answer = resolve));
  });
  await keeper.start();
  await pass(1_000);
  void keeper.verify();
  await pass(1_000);
  assert.equal(calls, 1);
  answer({ access_token: "good" });
  await pass(1_000);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("a sign-out during a refresh is not undone by its answer", async (t) => {
  let answer;
  const { keeper, pass, record } = await refreshing(t, () => new Promise((it) => (answer = it)));
  await keeper.start();
  await pass(1_000);
  await keeper.signOut();
  answer({ access_token: "good" });
  await pass(1_000);
  assert.equal(keeper.snapshot.session, "signed-out");
  assert.equal(record().token, undefined);
});

test("a refresh token that is handed over without wasm is of use there as well", async (t) => {
  const { keeper, api, pass, record } = await visit(t, {
    options: { refresh: ({ refreshToken }) => ({ access_token: `after-${refreshToken}` }) },
  });
  await keeper.signIn({ access_token: "good", refresh_token: "r1", expires_in: 60 });
  await pass(1_000);
  assert.deepEqual([record().refresh_token, record().lifetime], ["r1", 60_000]);
  api.good = "after-r1";
  keeper.reportResponse({ url: "https://api.example.com/nodes", status: 401 });
  await pass(1_000);
  assert.equal(record().token, "after-r1");
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("without a refresh token a 401 counts as it does without `refresh`", async (t) => {
  const { keeper, pass } = await refreshing(t, { path: "/auth/refresh" }, { token: "old" });
  await keeper.start();
  await pass(9_000);
  assert.equal(keeper.snapshot.session, "signed-out");
});
