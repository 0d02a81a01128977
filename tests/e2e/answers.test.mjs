// Odd answers of the server: each does to server and session what the table of answers says,
// nobody is signed out by it, and a revocation that it hid is met when it is gone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

const html = { "content-type": "text/html" };
const json = { "content-type": "application/json" };
const page = { headers: html, body: "<html><title>Sign in to the network</title></html>" };
const half = { status: 200, headers: json, body: '{"username":"demo","boot":"b"' };

/** What is slow on a busy machine must not look like a wake-up. */
const UNHURRIED = {
  health: { timeoutMs: 10_000 },
  verify: { everyMs: 300_000, timeoutMs: 10_000, retries: 1, retryDelayMs: 50 },
};
/** The same, with checks each second. */
const CHECKED = { health: UNHURRIED.health, verify: { timeoutMs: 10_000 } };
/** A second without an answer ends a request. */
const HURRIED = {
  health: { timeoutMs: 500, wakeTimeoutMs: 1_000 },
  verify: { everyMs: 300_000, timeoutMs: 500, retries: 1, retryDelayMs: 50 },
};
/** The ring of the history must hold more than a minute of it. */
const WATCHED = {
  health: { everyMs: 2_000, timeoutMs: 10_000 },
  verify: { timeoutMs: 10_000 },
};
/** G2 of the design, for answers that prove little, and one burst before it. */
const WEAK_OVER_MS = { least: 50_000, most: 60_000 };
/** Of a gate, a proxy, or a framework's page of errors: nobody can tell. */
const weak = {
  "a page with 401": { answer: { ...page, status: 401 }, grade: "weak" },
  // From the page's own origin the browser would ask its user for the password first.
  "401 that wants a password": {
    at: "api",
    answer: {
      status: 401,
      cors: true,
      headers: {
        "www-authenticate": 'Basic realm="staging"',
        "access-control-expose-headers": "WWW-Authenticate",
      },
    },
    grade: "password",
  },
};

/** What becomes of the session where an answer says nothing about it: it is kept, and logged. */
const kept = (why, status, level = "info") => ({ code: "kept", why, status, level });
/** Answers that neither the table nor the app expects are errors for the developer. */
const odd = (status) => kept("no-verdict", status, "error");
const waking = "waking";
/** The limit of checks for requests of the app (G2). */
const CHECK_EVERY_MS = 10_000;
/** A request may reach the platform this much later than it was sent. */
const LEEWAY_MS = 500;

/**
 * By sentence: the answer and the path that gives it, the states that the server goes through
 * (none: it stays awake), the entry and the event that tell of it.
 */
const toChecks = {
  "403 is the app's business": {
    answer: { status: 403, headers: json, body: "{}" },
    tells: kept("forbidden", 403),
    event: "forbidden",
    backsOff: true,
  },
  "404 names the path that is wrong and another": {
    answer: { status: 404, headers: json, body: "{}" },
    tells: { code: "wrong-path", status: 404, level: "error" },
    text: /\/auth\/me .*\/api\/auth\/me/,
  },
  "429 slows the checks down": {
    answer: { status: 429, headers: { "retry-after": "2" } },
    tells: kept("busy", 429),
    pausesMs: 2_000,
    options: { ...UNHURRIED, verify: { ...UNHURRIED.verify, everyMs: 500 } },
  },
  "500 is left to the health path": {
    answer: { status: 500, headers: json, body: '{"code":"internal"}' },
    tells: odd(500),
  },
  "204 is left to the health path": { answer: { status: 204 }, tells: odd(204) },
  "502 with a page is a wake-up": {
    answer: { ...page, status: 502 },
    server: [waking],
    tells: { code: "retry", attempt: 1, of: 1 },
  },
  "503 with Retry-After is a wake-up, and its wish a floor": {
    answer: { status: 503, headers: { "retry-after": "1" } },
    server: [waking],
    tells: { code: "retry", attempt: 1, of: 1 },
    pausesMs: 1_000,
  },
  "a page with 200 proves nothing, and for ever is a mistake of the developer's": {
    answer: { ...page, status: 200 },
    server: [waking],
    tells: { code: "misconfigured", probe: "verify", level: "error" },
    text: /\/auth\/me/,
  },
  "a redirect to a login page proves nothing, and for ever it is named": {
    answer: { status: 302, headers: { location: "/login" } },
    server: [waking],
    tells: { code: "diagnosis", cause: "login-redirect", probe: "verify", level: "warn" },
    text: /\/auth\/me leads elsewhere: .*Answer 401/,
  },
};

/** The same for every path at once. */
const toAll = {
  "a body that stops half way": {
    answer: { ...half, stallAfterBytes: 12 },
    server: [waking],
    options: HURRIED,
  },
  "a body that is cut off with its connection": {
    answer: { ...half, breakAfterBytes: 12 },
    server: [waking],
  },
  "headers that never come": {
    answer: { status: 200, headers: json, headersAfterMs: 600_000 },
    server: [waking],
    options: HURRIED,
  },
};

/** Answers that share one session and its revocation, by the path that gives them. */
const inSeries = {
  "/auth/me": {
    "JSON that is no object is left to the health path": {
      answer: { status: 200, headers: json, body: "[1]" },
      tells: odd(200),
    },
    "half an object is left to the health path": { answer: half, tells: odd(200) },
    "401 of a proxy that wants a ticket is not the server's": {
      answer: { status: 401, headers: { "www-authenticate": "Negotiate" } },
      tells: kept("not-ours", 401),
    },
    // Chromium tells it as no answer at all.
    "407 of no proxy of ours is a wake-up": {
      answer: { status: 407 },
      server: [waking],
      tells: { code: "retry", attempt: 1, of: 1 },
    },
    "540 is its owner's to fix": {
      answer: { status: 540 },
      server: ["unreachable"],
      tells: kept("network", 540),
    },
    "a connection that is dropped is a wake-up": {
      answer: { drop: true },
      server: [waking],
      tells: { code: "retry", attempt: 1, of: 1 },
    },
  },
  "/api/health": {
    "401 with a page is of a gate": { answer: { ...page, status: 401 }, server: [waking] },
    "403 with a page is of a gate": { answer: { ...page, status: 403 }, server: [waking] },
    "401 in JSON is the server's": { answer: { status: 401, headers: json, body: "{}" } },
    "403 in JSON is the server's": { answer: { status: 403, headers: json, body: "{}" } },
    "500 is a wake-up": { answer: { status: 500 }, server: [waking] },
    "a page with 200 is no proof": { answer: { ...page, status: 200 }, server: [waking] },
    "204 is proof enough": { answer: { status: 204 } },
  },
  "*": {
    "a captive portal with a page": { answer: { ...page, status: 200 }, server: [waking] },
    "a captive portal that redirects": {
      answer: { status: 302, headers: { location: "http://portal.invalid/" } },
      server: [waking],
    },
    "511 of a network that wants a sign-in": {
      answer: { ...page, status: 511 },
      server: ["unreachable"],
    },
    "a body that never ends": {
      answer: { status: 200, headers: json, body: " ", endless: true },
      server: [waking],
      options: HURRIED,
    },
  },
};

describe("odd answers", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const [sentence, { at: place = "demo", answer, grade }] of Object.entries(weak)) {
    it(`to a check: ${sentence} that goes on is believed after a minute`, async (t) => {
      const visitor = await arrive(t);
      await visitor.signIn({ ...WATCHED, baseUrl: visitor.platform[place] });
      await visitor.platform.fault("/auth/me", answer);
      const { reason, at, suspectAt, evidence } = await visitor.signedOut(80_000);

      assert.equal(reason, "rejected");
      const took = at - suspectAt;
      const { least, most } = WEAK_OVER_MS;
      assert.ok(took >= least && took <= most, `over after ${took} ms\n${await visitor.story()}`);
      assert.ok(evidence.refusals.length >= 2, "no evidence");
      for (const refusal of evidence.refusals) {
        assert.deepEqual([refusal.status, refusal.grade], [401, "weak"]);
      }
    });

    it(`to a check: ${sentence} is refuted when it stops, though late`, async (t) => {
      const visitor = await arrive(t);
      await visitor.signIn({ ...WATCHED, baseUrl: visitor.platform[place] });
      await visitor.serverIsReady();
      await visitor.platform.fault("/auth/me", answer);
      await visitor.until("suspect", () => window.keeper.snapshot.session === "suspect");
      await visitor.until("refused for longer than a clear refusal takes", refusedForLongerThan, {
        args: [OVER_WITHIN_MS.known],
        within: 20_000,
      });
      const { session, server, signedIn } = await visitor.snapshot();
      assert.deepEqual([session, server, signedIn], ["suspect", "awake", true]);

      await visitor.platform.control("clear");
      await visitor.verified({ within: 20_000 });
      const [refuted] = await visitor.history("refuted");
      assert.ok(refuted.refusals >= 2, "nothing had counted");
      const grades = (await visitor.history("rejected")).map(({ grade }) => grade);
      assert.deepEqual(new Set(grades), new Set([grade]));
      await visitor.assertNeverSignedOut();
    });
  }

  for (const status of [401, 403]) {
    it(`to a ping: a page with ${status} is of a gate where nobody is signed in`, async (t) => {
      const visitor = await arrive(t);
      await visitor.platform.fault("/api/health", { ...page, status });
      await visitor.keep(CHECKED);
      await visitor.serverIs(waking);
      await visitor.platform.control("clear");
      await visitor.signIn(CHECKED);
      await visitor.assertRevocationIsMet();
    });

    it(`to every ping: ${status} in JSON is of a server that is awake, and named`, async (t) => {
      const visitor = await arrive(t);
      await visitor.platform.fault("/api/health", { status, headers: json, body: "{}" });
      await visitor.signIn(CHECKED);
      await visitor.until("named", () => window.events.some(({ type }) => type === "diagnosis"));
      const [{ cause, evidence }, ...others] = await visitor.events("diagnosis");
      assert.deepEqual([cause, evidence.probe, evidence.status], ["wrong-path", "health", status]);
      assert.deepEqual(others, []);
      assert.deepEqual(await serverStates(visitor, 0), ["awake"]);
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet({ within: 60_000 });
    });
  }

  const places = { "*": "to every request", "/auth/me": "to a check", "/api/health": "to a ping" };
  const groups = [
    ["*", toAll],
    ["/auth/me", toChecks],
  ];
  for (const [at, rows] of groups) {
    for (const [sentence, row] of Object.entries(rows)) {
      it(`${places[at]}: ${sentence}; a revocation behind it is met`, async (t) => {
        const visitor = await arrive(t);
        await visitor.signIn(row.options ?? UNHURRIED);
        await assertHarmless(visitor, { at, ...row });
        await assertOppositeIsMet(visitor, { at, ...row });
      });
    }
  }

  for (const [at, rows] of Object.entries(inSeries)) {
    const sentences = Object.keys(rows).join(", ");
    it(`${places[at]}: ${sentences}; a revocation behind the last is met`, async (t) => {
      const visitor = await arrive(t);
      const series = Object.values(rows).map((row) => ({ at, ...row }));
      await visitor.signIn(series.at(-1).options ?? UNHURRIED);
      for (const row of series) await assertHarmless(visitor, row);
      await assertOppositeIsMet(visitor, series.at(-1));
    });
  }

  it("that come late are waited for, not asked for again", async (t) => {
    const visitor = await arrive(t);
    const { platform } = visitor;
    const rarely = { everyMs: 60_000, timeoutMs: 500, wakeTimeoutMs: 30_000 };
    await visitor.signIn({ ...HURRIED, health: rarely });
    const since = (await visitor.events()).length;
    const late = { status: 200, headers: json, body: '{"username":"late"}' };
    await platform.forgetRequests();
    await platform.fault("/auth/me", { ...late, headersAfterMs: 1_500 }, 1);
    const { session, user } = await visitor.page.evaluate(() => window.keeper.verify());

    assert.deepEqual([session, user.username], ["signed-in", "late"]);
    assert.equal((await visitor.history("held")).at(-1)?.probe, "verify");
    assert.ok((await serverStates(visitor, since)).includes(waking));
    const asked = await platform.requests({ path: "/auth/me" });
    assert.equal(asked.length, 1, "the held check was sent again");

    await visitor.assertNeverSignedOut();
  });

  it("to the app's own requests start a check and decide nothing", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn({ verify: { everyMs: 300_000 } });
    await visitor.platform.fault("/api/tags", { status: 401, headers: html, body: "no" });
    await visitor.platform.forgetRequests();
    const statuses = await visitor.page.evaluate(async () => {
      const answers = [1, 2, 3, 4, 5].map(() => window.keeper.fetch("/api/tags"));
      return (await Promise.all(answers)).map(({ status }) => status);
    });
    assert.deepEqual(statuses, [401, 401, 401, 401, 401]);
    await visitor.until("checked", () => {
      const entries = window.keeper.history();
      const hint = entries.findIndex(({ why }) => why === "hint");
      return hint >= 0 && entries.slice(hint).some(({ code }) => code === "verified");
    });
    const checks = await visitor.platform.requests({ path: "/auth/me" });
    // A 401 that came after the check was sent waits for one that is newer.
    const [first, second, ...more] = checks;
    const tell = `one endpoint that always says 401 is no storm: ${JSON.stringify(checks)}`;
    assert.deepEqual(more, [], tell);
    if (second) assert.ok(second.at - first.at >= CHECK_EVERY_MS - LEEWAY_MS, tell);
    await visitor.assertNeverSignedOut();
  });
});

/** The answer is met and told, nobody is signed out by it, and then the session is proven good. */
async function assertHarmless(visitor, row) {
  const { platform } = visitor;
  await visitor.serverIs("awake");
  const since = { events: (await visitor.events()).length, entries: await told(visitor) };
  const askedAt = await meet(visitor, row);
  if (row.tells) {
    const entry = await visitor.until(`told as ${JSON.stringify(row.tells)}`, entryLike, {
      args: [row.tells, since.entries],
      within: 15_000,
    });
    assert.equal(entry.level, row.tells.level ?? entry.level, `"${entry.text}" is too quiet`);
    if (row.text) assert.match(entry.text, row.text);
  }
  if (row.pausesMs) await assertPause(visitor, row, askedAt);
  const states = await serverStates(visitor, since.events);
  const isAsWanted = row.server ? row.server.every((it) => states.includes(it)) : !states.length;
  if (!isAsWanted) assert.fail(`the server was [${states}]\n${await visitor.story()}`);

  await platform.control("clear");
  if (row.event) await assertOneEventEach(visitor, row);
  if (row.backsOff) await assertBacksOff(visitor, row);
  await assertVerifiedAnew(visitor);
  // A path that fails again while checks are accepted fails alone, and moves nothing.
  if (row.at === "/api/health") await healthIs(visitor, 200);
  await visitor.assertNeverSignedOut();
  assert.deepEqual(await visitor.history("suspect"), []);
}

/** The session is revoked behind the same answer. When it goes away the session is over. */
async function assertOppositeIsMet(visitor, row) {
  await visitor.platform.control("revoke");
  await meet(visitor, row);
  assert.equal((await visitor.snapshot()).session, "signed-in", "refused by what proves nothing");
  await visitor.platform.control("clear");
  await visitor.page.evaluate(() => void window.keeper.verify());
  await assertEndsByRefusals(visitor);
}

/**
 * Brings the answer about until it was given: to a check or, for the health path, to a ping.
 * Gives the moment at which a check was asked for.
 */
async function meet(visitor, { at, answer }) {
  const { page, platform } = visitor;
  const path = at === "*" ? "/auth/me" : at;
  await platform.forgetRequests();
  await platform.fault(at, answer);
  if (path === "/api/health") {
    await until("a ping met it", async () => {
      return (await platform.requests({ path, status: answer.status })).length > 0;
    });
    return healthIs(visitor, answer.status);
  }
  const { signedIn, began, took } = await page.evaluate(async () => {
    const began = Date.now();
    const { signedIn } = await window.keeper.verify();
    return { signedIn, began, took: Date.now() - began };
  });
  assert.equal(signedIn, true);
  assert.ok(took < 20_000, `verify() took ${took} ms`);
  assert.notEqual((await platform.requests({ path })).length, 0, "no check met it");
  return began;
}

/** Waits until the last ping that the keeper saw was answered so. */
async function healthIs(visitor, status) {
  const seen = (status) => {
    const entries = window.keeper.history();
    const last = ({ code, probe }) => code === "answered" && probe === "health";
    return entries.findLast(last)?.status === status;
  };
  await visitor.until(`the keeper saw ${status} of health`, seen, { args: [status] });
}

async function assertVerifiedAnew(visitor) {
  const since = Date.now();
  await visitor.page.evaluate(() => void window.keeper.verify());
  const fact = (since) => {
    const { lastVerifiedAt, server, session } = window.keeper.snapshot;
    return lastVerifiedAt >= since && server === "awake" && session === "signed-in";
  };
  await visitor.until("verified again", fact, { args: [since], within: 15_000 });
}

async function assertEndsByRefusals(visitor) {
  const { reason, at, suspectAt, evidence } = await visitor.signedOut();
  assert.equal(reason, "rejected");
  assert.ok(evidence.refusals.length >= 2, "no evidence");
  for (const { status, grade } of evidence.refusals) {
    assert.deepEqual([status, grade], [401, "strong"]);
  }
  assert.ok(at - suspectAt <= OVER_WITHIN_MS.justStarted, await visitor.story());
}

/** `Retry-After` is a floor for whatever comes next, but for what the app itself asks for. */
async function assertPause(visitor, { pausesMs }, askedAt) {
  const asked = async () => {
    const all = await visitor.platform.requests({ path: "/auth/me" });
    return all.filter(({ at }) => at >= askedAt);
  };
  await until("asked again", async () => (await asked()).length > 1, { within: 5 * pausesMs });
  const [first, next] = await asked();
  assert.ok(next.at - first.at >= pausesMs, `asked again after ${next.at - first.at} ms`);
}

/** Each answer is told once, no more and no less. */
async function assertOneEventEach(visitor, { event, tells }) {
  const { told, events } = await visitor.page.evaluate(
    (event, { why }) => ({
      told: window.keeper.history().filter((entry) => entry.why === why).length,
      events: window.events.filter(({ type }) => type === event).length,
    }),
    event,
    tells,
  );
  assert.ok(events > 0, `no ${event}`);
  assert.equal(events, told);
}

/** It is asked again soon, but after a longer pause each time. */
async function assertBacksOff(visitor, { answer, options = UNHURRIED }) {
  const { status } = answer;
  const met = await visitor.platform.requests({ path: "/auth/me", status });
  const pauses = met.slice(1).map(({ at }, index) => at - met[index].at);
  for (const [index, pause] of pauses.entries()) {
    const least = options.verify.retryDelayMs * 2 ** index - LEEWAY_MS;
    assert.ok(pause >= least, `asked again after ${pauses} ms`);
  }
}

async function serverStates(visitor, since) {
  const events = (await visitor.events()).slice(since);
  return events.filter(({ type }) => type === "server").map(({ state }) => state);
}

async function told(visitor) {
  return (await visitor.history()).at(-1).at;
}

/** In the page: the first entry after `since` with these details, the level left aside. */
function entryLike({ level: _, ...wanted }, since) {
  const fits = (entry) => Object.entries(wanted).every(([key, is]) => entry[key] === is);
  return window.keeper.history().find((entry) => entry.at >= since && fits(entry));
}

/** In the page: the last refusal came this long after the suspicion. */
function refusedForLongerThan(ms) {
  const entries = window.keeper.history();
  const since = entries.find(({ code }) => code === "suspect").at;
  return entries.findLast(({ code }) => code === "rejected").at - since > ms;
}
