import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, load } from "./face.mjs";

const { withText, logger } = await load("log.ts");
const { readOptions } = await load("options.ts");

const options = (given) => readOptions(given, "https://app.example.com");
const say = (code, details = {}, given) =>
  withText({ at: 1, code, level: "info", ...details }, options(given)).text;

// Word for word what people who hunt this bug search for.
for (const [text, ...entry] of [
  ["Token verification retry 1/3", "retry", { attempt: 1, of: 3, ms: 2_100 }],
  ["Periodic token verification...", "periodic"],
  ["Keep-alive ping active: /api/health every 30 s", "keep-alive", { ms: 30_000 }],
  ["Network error: still signed in", "kept", { why: "network" }],
  ["403: still signed in", "kept", { why: "forbidden", status: 403 }],
  ["Signed out: 401 confirmed", "signed-out", { reason: "rejected", rule: "instances" }],
  ["Signed out: user", "signed-out", { reason: "user" }],
  ["/auth/me: 200 after 5 ms", "answered", { probe: "verify", status: 200, ms: 5 }],
  ["/api/health: no answer after 9 ms", "unanswered", { probe: "health", ms: 9 }],
  ["Server awake, was waking", "server", { state: "awake", before: "waking" }],
  ["Signed in", "signed-in"],
  ["Sign out told", "sign-out-told"],
]) {
  test(`"${text}" is said`, () => assert.equal(say(...entry), text));
}

test("every code that the core tells has its sentence, with every gap filled", () => {
  const details = { ms: 1, status: 1, attempt: 1, of: 1, grade: "weak", why: "x", reason: "x" };
  const more = { refusals: 1, state: "x", before: "x", boot: "x", event: "x", probe: "verify" };
  const codes =
    "started stopped keep-alive restored no-record record-corrupt record-foreign store-failed " +
    "signed-in answered unanswered held given-up periodic retry kept verified suspect refused " +
    "refusal-void refuted signed-out sign-out-told server rebooted slept page wrong-path " +
    "misconfigured";
  for (const code of codes.split(" ")) {
    assert.doesNotMatch(say(code, { ...details, ...more }), /[{}]|undefined|NaN/, code);
  }
});

test("a wrong path is named with its address and the usual one", () => {
  const given = { baseUrl: "https://api.example.com/v1" };
  const text = say("wrong-path", { status: 404 }, given);
  assert.match(text, /https:\/\/api\.example\.com\/v1\/auth\/me .*\/api\/auth\/me/);
});

test("a path is told without its query, which may hold a key", () => {
  const given = { health: { path: "/ping?key=secret" } };
  assert.equal(say("given-up", { probe: "health" }, given), "/ping: given up");
});

test("the console hears what is loud enough", (t) => {
  const lines = hush(t);
  const entries = ["debug", "info", "warn", "error"].map((level) => ({ level, text: level }));
  const heard = (log) => {
    for (const entry of entries) logger(options({ log }))({ entry });
    return lines.splice(0);
  };
  const all = entries.map(({ level }) => `${level}: [session-keeper] ${level}`);
  assert.deepEqual(heard("debug"), all);
  assert.deepEqual(heard("info"), all.slice(1));
  assert.deepEqual(heard(undefined), all.slice(2));
  assert.deepEqual(heard("silent"), []);
});
