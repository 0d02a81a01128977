// `acquire`: a token without the user, on the real core.

import assert from "node:assert/strict";
import { test } from "node:test";

import { API, hush, json, load, loadReal, openPage, serve, stopTheClock, until } from "./face.mjs";

const RECORD = `session-keeper:${API}`;

/** A page, an API that knows the token `good`, and a keeper whose clock the test moves. */
async function visit(t, { stored, answers, ...options }) {
  const { store } = openPage(t, { stored });
  const api = serve(t, answers);
  const pass = stopTheClock(t);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API, log: "silent", ...options });
  t.after(() => keeper.stop());
  const events = [];
  for (const type of ["signin", "signout", "refresh"]) {
    keeper.addEventListener(type, () => events.push(type));
  }
  return { keeper, api, store, pass, events };
}

test("a page without a session acquires one, with its user, and requests wait for it", async (t) => {
  let hand;
  const answer = new Promise((resolve) => (hand = resolve));
  const { keeper, api, store, events } = await visit(t, {
    acquire: ({ signal }) => (assert.ok(signal instanceof AbortSignal), answer),
    answers: { "/api/nodes": ({ token }) => json(200, { token }) },
  });
  assert.equal((await keeper.start()).signedIn, undefined, "not known yet");
  const asked = keeper.fetch("/api/nodes");
  hand({ access_token: "good", expires_in: 3600, user: { name: "device 7" } });
  keeper.addEventListener("signin", () => events.push(keeper.snapshot.user.name));
  await until(() => keeper.snapshot.signedIn);
  assert.deepEqual(await (await asked).json(), { token: "Bearer good" });
  assert.equal(api.at("/api/nodes").length, 1);
  assert.equal(JSON.parse(store.get(RECORD)).token, "good");
  await until(() => keeper.snapshot.session === "signed-in");
  assert.deepEqual(events, ["signin", "device 7"]);
});

test("null means signed out, and what throws is asked again after ten seconds", async (t) => {
  let calls = 0;
  const { keeper, pass, events } = await visit(t, {
    acquire: () => {
      calls += 1;
      if (calls === 1) throw new TypeError("offline");
      return null;
    },
  });
  await keeper.start();
  await until(() => keeper.snapshot.signedIn === false);
  await pass(9_000);
  assert.equal(calls, 1);
  await pass(60_000);
  assert.equal(calls, 2);
  await pass(300_000);
  assert.equal(calls, 2, "asked after its no");
  assert.deepEqual(events, []);
});

test("a rejected refresh is followed by another session, without a signout", async (t) => {
  const { keeper, pass, events } = await visit(t, {
    refresh: () => null,
    acquire: async () => ({ token: "better", refreshToken: "r2", user: { name: "bob" } }),
    answers: { "/auth/me": ({ token }) => me(token) },
  });
  const me = (token) => {
    if (token === "Bearer better") return json(200, { name: "bob" });
    return json(token === "Bearer good" ? 200 : 401, { name: "ada" });
  };
  await keeper.signIn({ access_token: "good", refresh_token: "r1", expires_in: 60 });
  await pass(90_000);
  await until(() => keeper.snapshot.user?.name === "bob");
  assert.deepEqual(events, ["signin", "signin"]);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("after signOut nothing is acquired until the next signIn, also after a reload", async (t) => {
  let calls = 0;
  const acquire = () => (calls++, "good");
  const first = await visit(t, { acquire });
  await first.keeper.start();
  await until(() => first.keeper.snapshot.session === "signed-in");
  await first.keeper.signOut();
  await first.pass(300_000);
  first.keeper.stop();

  const stored = Object.fromEntries(first.store);
  const { keeper, pass } = await visit(t, { stored, acquire });
  await keeper.start();
  await pass(300_000);
  assert.equal(keeper.snapshot.session, "signed-out");
  assert.equal(calls, 1);
  await keeper.signIn("good");
  assert.equal(keeper.snapshot.signedIn, true);
});

test("a refresh token that comes along is stored only where it is of use", async () => {
  const { readRefreshed } = await load("tokens.ts");
  const readAcquired = (body, ...given) => readRefreshed(body, undefined, ...given);
  const answer = { access: "t", refresh: "r", user: { name: "ada" } };
  assert.equal(readAcquired(answer, true, true).record.refresh_token, "r");
  assert.equal(readAcquired(answer, true, false).record.refresh_token, undefined);
  assert.equal(readAcquired(answer, true, false).user.name, "ada");
  assert.deepEqual(readAcquired({ user: 1 }, false, false).record, {});
  for (const body of [undefined, null, 7, "<html>", {}, { token: "a b" }]) {
    assert.equal(readAcquired(body, true, true).record, undefined, JSON.stringify(body));
  }
});

test("what is no function is refused by name, and nothing is repeated of what it throws", async (t) => {
  const { keeper, pass } = await visit(t, {
    log: "warn",
    acquire: () => {
      throw new RangeError("secret");
    },
  });
  const lines = hush(t);
  await keeper.start();
  await pass(30_000);
  const told = lines.filter((line) => line.includes("acquire threw"));
  assert.equal(told.length, 1);
  assert.match(told[0], /^error: .*RangeError/);
  assert.ok(!lines.join().includes("secret"));
  const { createKeeper } = await loadReal();
  assert.throws(() => createKeeper({ acquire: "/token" }), { option: "acquire" });
});
