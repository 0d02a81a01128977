// Whatever a refresh function does, on the real core: the session is kept, there is no storm, and
// the next good answer is taken.

import assert from "node:assert/strict";
import { test } from "node:test";

import { API, hush, json, loadReal, openPage, serve, stopTheClock, until } from "./face.mjs";

const RECORD = `session-keeper:${API}`;
const MINUTE = 60_000;
const CENTURY_S = 3.156e9;

const jwt = (claims) => `h.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.s`;
const cyclic = {};
cyclic.self = cyclic;

/** Signed in with a token of a minute, which `answer` is to refresh. */
async function visit(t, answer, { log = "silent" } = {}) {
  const { store } = openPage(t);
  const known = new Set(["Bearer old", "Bearer good"]);
  const api = serve(t, {
    "/auth/me": ({ token }) => (known.has(token) ? json(200, { name: "ada" }) : json(401, {})),
  });
  const pass = stopTheClock(t);
  const { createKeeper } = await loadReal();
  const calls = [];
  const visited = { pass, api, known, calls, answer };
  const refresh = (current) => {
    calls.push({ at: Date.now(), ...current });
    return visited.answer(current);
  };
  const keeper = createKeeper({ baseUrl: API, log, refresh });
  t.after(() => keeper.stop());
  await keeper.signIn({ access_token: "old", refresh_token: "r1", expires_in: 60 });
  await until(() => keeper.snapshot.session === "signed-in");
  const stored = () => JSON.parse(store.get(RECORD));
  return Object.assign(visited, { keeper, stored });
}

const gaps = (calls) => calls.slice(1).map(({ at }, index) => at - calls[index].at);

const NO_ANSWERS = {
  "that throws": () => {
    throw new Error("secret");
  },
  "that rejects": () => Promise.reject(new TypeError("secret")),
  "that throws nothing": () => {
    throw undefined;
  },
  "that never answers": () => new Promise(() => {}),
  "that answers nothing": () => undefined,
  "that answers a number": () => 7,
  "that answers true": () => true,
  "that answers a function": () => () => "good",
  "that answers a symbol": () => Symbol("good"),
  "that answers a list": () => ["good"],
  "that answers an empty text": () => "",
  "that answers a text with spaces": () => "a b",
  "that answers a page": () => "<!doctype html><p>good",
  "that answers an object without a token": () => ({ ok: true }),
  "that answers a token that is no text": () => ({ access_token: { value: "good" } }),
  "that answers what no JSON holds": () => ({ access_token: "good", cyclic }),
  "that answers a big integer": () => ({ access_token: "good", id: 1n }),
  "that answers a page with 200": () =>
    new Response("<p>good", { headers: { "Content-Type": "text/html" } }),
  "that answers a 500": () => json(500, { access_token: "good" }),
  "that answers a 403": () => json(403, {}),
  "that answers a response that was read": async () => {
    const response = json(200, { access_token: "good" });
    await response.text();
    return response;
  },
  "that answers what only looks like a response": () => ({ text: () => "good", status: 200 }),
};

for (const [what, answer] of Object.entries(NO_ANSWERS)) {
  test(`a refresh function ${what} ends nothing, and is asked again`, async (t) => {
    const visited = await visit(t, answer);
    const { keeper, pass, calls } = visited;
    await pass(3 * MINUTE);
    assert.equal(keeper.snapshot.signedIn, true);
    assert.ok(calls.length >= 2 && calls.length <= 60, `called ${calls.length} times`);
    assert.equal(new Set(calls.map(({ attempt }) => attempt)).size, 1);
    assert.ok(!JSON.stringify(keeper.history()).includes("secret"));

    visited.answer = () => ({ access_token: "good", expires_in: 3600 });
    for (let i = 0; i < 16 && visited.stored().token !== "good"; i += 1) await pass(10_000);
    assert.equal(visited.stored().token, "good");
    assert.equal(keeper.snapshot.session, "signed-in");
  });
}

const now = () => Math.floor(Date.now() / 1000);
const USELESS = {
  "the old token again": () => ({ access_token: "old", expires_in: 60 }),
  "the old token as a text": () => "old",
  "a token that has run out": () => ({ access_token: "good", expires_in: 0 }),
  "a JWT that has run out": () => jwt({ iat: now() - 120, exp: now() - 60 }),
  "a token that runs out at once": () => ({ access_token: "good", expires_in: 0.001 }),
};

for (const [what, answer] of Object.entries(USELESS)) {
  test(`${what} is no storm: at most one attempt in ten seconds`, async (t) => {
    const visited = await visit(t);
    const { keeper, pass, calls, known } = visited;
    visited.answer = () => {
      const given = answer();
      known.add(`Bearer ${given.access_token ?? given}`);
      return given;
    };
    await pass(5 * MINUTE);
    // Of a text nobody knows when it runs out.
    assert.ok(calls.length >= (answer() === "old" ? 1 : 2), "not asked again");
    assert.ok(
      gaps(calls).every((gap) => gap >= 9_500),
      `${gaps(calls)}`,
    );
    assert.equal(keeper.snapshot.signedIn, true);
  });
}

test("a lifetime as text, of a century, or none that can be believed refuses no token", async (t) => {
  const answers = [
    [{ expires_in: "3600" }, 3600],
    [{ expires_in: CENTURY_S }, CENTURY_S],
    [{ expiresIn: 3600.5 }, 3600.5],
    [{ expires_in: -5 }, undefined],
    [{ expires_in: "soon" }, undefined],
    [{ expires_in: null }, undefined],
    [{ expires_in: 1e300 }, undefined],
    [{ expires_at: "soon" }, undefined],
    [{ expires_at: -1 }, undefined],
  ];
  for (const [expiry, seconds] of answers) {
    const what = JSON.stringify(expiry);
    const { keeper, pass, calls, stored } = await visit(t, () => ({
      access_token: "good",
      ...expiry,
    }));
    await pass(MINUTE);
    assert.equal(stored().token, "good", what);
    const { expiresAt } = keeper.snapshot;
    if (seconds === undefined) assert.equal(expiresAt, undefined, what);
    else assert.ok(Math.abs(expiresAt - calls[0].at - seconds * 1000) < 2_000, what);
    // What cannot be known is not refreshed ahead of time.
    await pass(10 * MINUTE);
    assert.equal(calls.length, 1, what);
    keeper.stop();
  }
});

test("a JWT without exp is good until the server refuses it, and then refreshed", async (t) => {
  const token = jwt({ sub: "ada" });
  const visited = await visit(t, () => token);
  const { keeper, pass, calls, known } = visited;
  known.add(`Bearer ${token}`);
  await pass(10 * MINUTE);
  assert.equal(calls.length, 1);
  assert.equal(keeper.snapshot.expiresAt, undefined);
  known.delete(`Bearer ${token}`);
  visited.answer = () => ({ access_token: "good", expires_in: 3600 });
  await keeper.verify();
  await pass(MINUTE);
  assert.equal(calls.length, 2);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("a refresh token that is no text is not stored, and the one of before stays", async (t) => {
  for (const refresh_token of [7, "", "a b", {}, ["r2"], true, null]) {
    const { keeper, pass, stored } = await visit(t, () => ({
      access_token: "good",
      refresh_token,
    }));
    await pass(MINUTE);
    const { token, refresh_token: kept } = stored();
    assert.deepEqual([token, kept], ["good", "r1"], JSON.stringify(refresh_token));
    keeper.stop();
  }
});

test("a refresh token that is no text at sign-in means that there is none", async (t) => {
  openPage(t);
  serve(t);
  const pass = stopTheClock(t);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API, log: "silent", refresh: { path: "/refresh" } });
  t.after(() => keeper.stop());
  await keeper.signIn({ access_token: "good", refresh_token: { no: "text" }, expires_in: 60 });
  await pass(10 * MINUTE);
  assert.equal(keeper.snapshot.session, "signed-in");
  assert.equal(keeper.debug().next_refresh_in, null);
});

test("what a function does wrong is told once, without what it threw or returned", async (t) => {
  const lines = hush(t);
  const { pass, calls } = await visit(
    t,
    () => {
      throw new RangeError("secret");
    },
    { log: "warn" },
  );
  await pass(5 * MINUTE);
  assert.ok(calls.length > 2);
  const told = lines.filter((line) => line.includes("refresh threw (RangeError)"));
  assert.equal(told.length, 1);
  assert.ok(!lines.join().includes("secret"));
});
