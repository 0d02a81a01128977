import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { hush, load } from "./face.mjs";

const { readEntry, readDiagnosis, logger } = await load("log.ts");
const { readOptions } = await load("options.ts");

const options = (given) => readOptions(given, "https://app.example.com");
const table = JSON.parse(readFileSync(new URL("../src/events.json", import.meta.url), "utf8"));

/** The entry that the core would tell for these details. */
function told(code, details = {}) {
  const event = table.events.findIndex((row) => row.split(" ")[0] === code);
  const [, , ...names] = table.events[event].split(" ");
  const numbers = names.map((name) => {
    const words = table.words[name === "before" ? "state" : name]?.split(" ");
    return words && name in details ? words.indexOf(details[name]) : details[name];
  });
  const labels = ["boot", "instance"].filter((name) => name in details);
  const named = Object.fromEntries(labels.map((name) => [name, details[name]]));
  return { at: 1, n: [event, ...numbers], ...named };
}

const say = (code, details, given) => readEntry(told(code, details), options(given)).text;

const ANSWER = { probe: "verify", request: 3, ms: 5, status: 200 };

// Word for word what people who hunt this bug search for.
for (const [text, ...entry] of [
  ["Token verification retry 1/3", "retry", { attempt: 1, of: 3, ms: 2_100 }],
  ["Periodic token verification...", "periodic"],
  ["Keep-alive ping active: /api/health every 30 s", "keep-alive", { ms: 30_000 }],
  ["Network error: still signed in", "kept", { why: "network" }],
  ["403: still signed in", "kept", { why: "forbidden", status: 403 }],
  ["Signed out: 401 confirmed", "signed-out", { reason: "rejected", rule: "instances" }],
  ["Signed out: user", "signed-out", { reason: "user" }],
  ["Answered: probe verify, request 3, ms 5, status 200", "answered", ANSWER],
  ["Page: event hidden", "page", { event: "hidden" }],
  ["Server awake, was waking", "server", { state: "awake", before: "waking" }],
  ["Signed in", "signed-in"],
  ["Sign out told", "sign-out-told"],
]) {
  test(`"${text}" is said`, () => assert.equal(say(...entry), text));
}

test("every event of the table has its sentence, with every gap filled", () => {
  const details = { ms: 1, status: 1, attempt: 1, of: 1, refusals: 1, boot: "b", request: 1 };
  const words = Object.entries(table.words).map(([kind, row]) => [kind, row.split(" ")[0]]);
  const all = { ...details, ...Object.fromEntries(words), before: "waking" };
  for (const [code] of table.events.map((row) => row.split(" "))) {
    assert.doesNotMatch(say(code, all), /[{}]|undefined|NaN/, code);
  }
});

test("a diagnosis is an event of its own, without what does not apply", () => {
  const details = { cause: "server-sleeps", count: 1, ms: 40_000, status: 0 };
  const entry = readEntry(told("diagnosis", details), options());
  assert.equal(entry.level, "warn");
  const docs = "session-keeper/docs/causes/server-sleeps.md";
  assert.equal(entry.text, `The server was asleep and took 40 s to wake up (${docs})`);
  assert.deepEqual(readDiagnosis(entry), {
    cause: "server-sleeps",
    evidence: { count: 1, ms: 40_000 },
    docs,
  });
  const first = { cause: "workers-disagree", count: 3, ms: 0, status: 0 };
  assert.deepEqual(readDiagnosis(readEntry(told("diagnosis", first), options())).evidence, {
    count: 3,
  });
  assert.equal(readDiagnosis(readEntry(told("verified"), options())), undefined);
});

test("each cause has a sentence and a page", () => {
  for (const cause of table.words.cause.split(" ")) {
    const details = { cause, count: 3, ms: 3_000, status: 404, probe: "verify" };
    const { text } = readEntry(told("diagnosis", details), options());
    assert.doesNotMatch(text, /^Diagnosis|[{}]|undefined/, cause);
    assert.ok(existsSync(new URL(`../../docs/causes/${cause}.md`, import.meta.url)), cause);
  }
});

test("an entry says its numbers in words", () => {
  const details = { reason: "rejected", fromOtherTab: 1, rule: "instances" };
  assert.deepEqual(readEntry(told("signed-out", details), options()), {
    at: 1,
    code: "signed-out",
    level: "warn",
    text: "Signed out: 401 confirmed",
    reason: "rejected",
    fromOtherTab: true,
    rule: "instances",
  });
  const { n } = told("kept", { why: "network" });
  assert.equal(readEntry({ at: 1, n: n.slice(0, 2) }, options()).status, undefined);
});

test("a wrong path is named with its address and the usual one", () => {
  const given = { baseUrl: "https://api.example.com/v1" };
  const text = say("wrong-path", { status: 404 }, given);
  assert.match(text, /https:\/\/api\.example\.com\/v1\/auth\/me .*\/api\/auth\/me/);
});

test("status 0 is called what it is, a redirect", () => {
  const text = say("kept", { why: "no-verdict", status: 0 });
  assert.match(text, /auth\/me answers a redirect: still signed in/);
});

for (const [basis, ms, sentence] of [
  [
    "unknown",
    60_000,
    "401 from /auth/me: confirming before signing out (up to 60 s: nothing is known about this " +
      "backend yet). Send `instance` and `boot` to make it 8 s: " +
      "session-keeper/docs/confirmation.md",
  ],
  [
    "inconsistent",
    120_000,
    "401 from /auth/me: confirming before signing out (up to 120 s: this backend has rejected " +
      "good tokens before). Let all workers share their tokens, or send `instance` and `boot`: " +
      "session-keeper/docs/confirmation.md",
  ],
  [
    "consistent",
    8_000,
    "401 from /auth/me: confirming before signing out " +
      "(up to 8 s: this backend has been consistent so far)",
  ],
  ["immediate", 0, "401 from /auth/me: signing out at once, as `confirm` asks"],
]) {
  test(`a suspicion on the basis ${basis} is one warning that says how long and why`, () => {
    const entry = readEntry(told("suspect", { status: 401, ms, basis }), options());
    assert.deepEqual([entry.level, entry.text], ["warn", sentence]);
  });
}

test("every basis says why, within the package's own page where more helps", () => {
  for (const basis of table.words.basis.split(" ")) {
    const text = say("suspect", { status: 401, ms: 8_000, basis });
    assert.doesNotMatch(text, /undefined|[{}]/, basis);
  }
  assert.ok(existsSync(new URL("../../docs/confirmation.md", import.meta.url)));
});

test("a wrong path says which of the two and what to set", () => {
  const details = { cause: "wrong-path", count: 3, ms: 0, status: 404 };
  const health = say("diagnosis", { ...details, probe: "health" });
  assert.match(health, /\/api\/health answers 404: set health\.path or health: false/);
  const verify = say("wrong-path", { status: 404, candidate: "/users/me" });
  assert.match(verify, /\/auth\/me answers 404: set verify\.path, perhaps to \/users\/me$/);
});

test("a path is told without its query, which may hold a key", () => {
  const given = { health: { path: "/ping?key=secret" }, verify: { path: "/me?key=secret" } };
  const text = say("keep-alive", { ms: 250 }, given);
  assert.equal(text, "Keep-alive ping active: /ping every 0.25 s");
  assert.match(say("misconfigured", { probe: "verify", status: 200 }, given), /\/me never/);
});

test("a store that fails again and again is said once", (t) => {
  const lines = hush(t);
  const log = logger(options());
  for (let i = 0; i < 3; i++) log({ entry: readEntry(told("store-failed"), options()) });
  assert.equal(lines.length, 1);
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
