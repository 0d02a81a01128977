import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./face.mjs";

const { readSignIn } = await load("tokens.ts");
const read = (input) => readSignIn(input, true);
const AT = Date.UTC(2030, 0, 2, 3, 4, 5);

const jwt = (payload) =>
  `e30.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.c2lnbmF0dXJl`;

test("a token is read in each spelling that backends have", () => {
  const user = { name: "ada" };
  const signIn = { token: "t", expiresAt: AT, user };
  assert.deepEqual(read({ token: "t", refreshToken: "r", expiresAt: AT, user }), signIn);
  for (const name of ["access_token", "accessToken", "access", "key"]) {
    assert.equal(read({ [name]: "t" }).token, "t", name);
  }
  assert.equal(read("t").token, "t");
});

test("a field that is null says nothing", () => {
  const nulls = { refresh_token: null, expires_in: null, expiresAt: null, user: null };
  const nothing = { token: "t", expiresAt: undefined, user: undefined };
  assert.deepEqual(read({ access_token: "t", token: null, ...nulls }), nothing);
});

test("a refresh token is accepted and not kept", () => {
  for (const refresh_token of ["secret", 7, { token: "secret" }]) {
    const signIn = read({ access_token: "t", refresh_token });
    assert.doesNotMatch(JSON.stringify(signIn), /secret|7/);
  }
});

test("an expiry is milliseconds, a Date or ISO with a zone", () => {
  const given = [AT, new Date(AT), "2030-01-02T03:04:05Z", "2030-01-02T05:04:05+02:00"];
  for (const expiresAt of given) assert.equal(read({ token: "t", expiresAt }).expiresAt, AT);
});

test("expires_in counts from now", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: AT });
  assert.equal(read({ access_token: "t", expires_in: 3600 }).expiresAt, AT + 3_600_000);
  assert.equal(read({ access_token: "t", expires_in: 0 }).expiresAt, AT);
  assert.equal(read({ access_token: "t", expires_in: "3599" }).expiresAt, AT + 3_599_000);
  assert.equal(read({ access: "t", expiresIn: 60 }).expiresAt, AT + 60_000);
});

test("a server's own expiry is seconds, milliseconds or ISO, and garbage says nothing", () => {
  for (const expires_at of [AT / 1000, String(AT / 1000), AT, "2030-01-02T03:04:05Z"]) {
    assert.equal(read({ access_token: "t", expires_at }).expiresAt, AT, String(expires_at));
  }
  assert.equal(read({ token: "t", expiry: "2030-01-02T03:04:05Z" }).expiresAt, AT);
  for (const expires_at of ["2030-01-02T03:04:05", "soon", {}, -1]) {
    assert.equal(read({ access_token: "t", expires_at }).expiresAt, undefined);
  }
});

test("seconds in place of milliseconds are refused by name", () => {
  const given = { token: "t", expiresAt: Math.floor(AT / 1000) };
  assert.throws(() => read(given), { code: "invalid-expiry", message: /seconds.*1000/ });
});

test("what is no time is refused", () => {
  const wrong = [NaN, Infinity, new Date(NaN), "2030-01-02T03:04:05", "tomorrow", {}, 9e15];
  for (const expiresAt of wrong) {
    assert.throws(
      () => read({ token: "t", expiresAt }),
      { code: "invalid-expiry" },
      String(expiresAt),
    );
  }
  for (const expires_in of [-1, NaN, Infinity, "an hour", ""]) {
    assert.throws(() => read({ access_token: "t", expires_in }), { code: "invalid-expiry" });
  }
});

test("without an expiry a JWT says its own, and garbage says nothing", () => {
  assert.equal(read(jwt({ exp: AT / 1000, name: "Ädä?>" })).expiresAt, AT);
  assert.equal(read({ token: jwt({ exp: 2e9 }), expiresAt: AT }).expiresAt, AT);
  for (const exp of ["soon", -1, null, 2e12]) assert.equal(read(jwt({ exp })).expiresAt, undefined);
  for (const token of ["a.b.c", "a.!!!.c", "a..c", `a.${btoa("null")}.c`, "opaque"]) {
    assert.equal(read(token).expiresAt, undefined, token);
  }
});

test("what cannot go into a header is no token, and no error repeats it", () => {
  const wrong = ["", " ", "se cret", "secret\n", "sécret", 7, true, null, undefined, {}, []];
  for (const token of [...wrong, { token: 7 }, { access_token: "" }, { refresh_token: "secret" }]) {
    const check = (error) => error.code === "invalid-token" && !/s.?e?cret/.test(error.message);
    assert.throws(() => read(token), check, JSON.stringify(token));
  }
});

test("a cookie needs no token, and one that is given is not kept", () => {
  assert.deepEqual(readSignIn(undefined, false).token, "");
  assert.deepEqual(readSignIn({ user: 1 }, false), {
    token: "",
    expiresAt: undefined,
    user: 1,
  });
  assert.equal(readSignIn({ token: "secret" }, false).token, "");
});
