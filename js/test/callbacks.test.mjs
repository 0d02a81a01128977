import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, load, openPage, turn } from "./face.mjs";

const { readOptions } = await load("options.ts");
const PAGE = "https://app.example.com";
const classifier = (classify, log) =>
  readOptions({ verify: { classify }, log }, PAGE).verify.classify;
const authorizer = (auth) => readOptions({ auth }, PAGE).authorize;
const request = () => new Request("https://api.example.com/me");

test("classify is asked with the response and its body, and its word is passed on", () => {
  const given = [];
  const classify = classifier((...asked) => given.push(asked) && "rejected");
  const response = new Response();
  assert.equal(classify(response, { a: 1 }), "rejected");
  assert.deepEqual(given, [[response, { a: 1 }]]);
  for (const nothing of [undefined, null]) assert.equal(classifier(() => nothing)(), undefined);
});

for (const [what, classify, sentence] of [
  ["throws", () => assert.fail("the app's own"), /classify threw/],
  ["is async", async () => "valid", /returned a promise/],
  ["rejects", () => Promise.reject(new Error("the app's own")), /returned a promise/],
  ["returns another word", () => "yes", /returned something else than "valid"/],
  ["returns true", () => true, /returned something else than "valid"/],
]) {
  test(`a classify that ${what} counts as nothing, and one error says so`, async (t) => {
    const lines = hush(t);
    const guarded = classifier(classify);
    for (let i = 0; i < 2; i++) assert.equal(guarded(new Response(), {}), undefined);
    await turn();
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^error: \[session-keeper\] /);
    assert.match(lines[0], sentence);
    assert.doesNotMatch(lines[0], /the app's own/, "its message may hold a token");
    classifier(classify, "silent")(new Response(), {});
    assert.equal(lines.length, 1);
  });
}

test("auth returns the request to send, at once or later", async (t) => {
  const lines = hush(t);
  const other = request();
  assert.equal(await authorizer(() => other)(request()), other);
  assert.equal(await authorizer(async () => other)(request()), other);
  assert.deepEqual(lines, []);
});

for (const nothing of [undefined, null, {}, "request"]) {
  test(`where auth returns ${nothing}, the request that it was given is sent`, async (t) => {
    const lines = hush(t);
    const auth = authorizer((request) => {
      request.headers.set("x-key", "1");
      return nothing;
    });
    for (let i = 0; i < 2; i++) assert.equal((await auth(request())).headers.get("x-key"), "1");
    assert.equal(lines.length, 1);
    assert.match(lines[0], /auth must return the request/);
  });
}

test("an auth that throws sends nothing, and one error says so", async (t) => {
  const lines = hush(t);
  const auth = authorizer(() => {
    throw new Error("the app's own");
  });
  for (let i = 0; i < 2; i++) await assert.rejects(auth(request()), { message: "the app's own" });
  assert.equal(lines.length, 1);
  assert.match(lines[0], /auth threw/);
});
