// The app's own requests by `keeper.fetch`: what waits, what is repeated, where a redirect leads,
// and that nothing of it ever ends a session by itself.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

const html = { "content-type": "text/html" };
const page = { headers: html, body: "<html><title>Please wait</title></html>" };
const SELDOM = { verify: { everyMs: 300_000 } };
/** What a wait with an end may take beyond it, on a busy machine. */
const LEEWAY_MS = 3_000;

/**
 * What three requests come to when the server sleeps: a GET, a POST, and a POST that the app allows
 * to be repeated. Words are errors.
 */
const whileWaking = {
  hold: { come: [200, 201, 201], adds: ["plain", "again"] },
  refuse: { come: [200, "TypeError", 201], adds: ["again"] },
  "bad-gateway": { come: [200, 502, 201], adds: ["again"] },
  unavailable: { come: [200, 503, 201], adds: ["again"] },
  // An answer is an answer: a page with 200 is for the app.
  splash: { come: [200, 200, 200], adds: [] },
  // A page with 401 is settled: the GET and what may be sent again are asked once more.
  "unauthorized-page": { come: [200, 401, 201], adds: ["again"] },
};

describe("requests of the app", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("that others send are reported: a 401 starts one check, and decides nothing", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { page, platform } = visitor;
    await visitor.signIn({ ...SELDOM, health: { timeoutMs: 10_000 } });
    await platform.forgetRequests();
    const report = (...reports) =>
      page.evaluate(
        (reports) => reports.forEach((it) => window.keeper.reportResponse(it)),
        reports,
      );
    const url = "/api/tags";
    await report({ url: `${platform.api}/api/tags`, status: 401 });
    await report({ url, status: 403 }, { url, status: 500 }, { url: "http://[", status: 401 });
    await page.evaluate(() => window.keeper.fetch("/api/tags"));
    assert.deepEqual(await platform.requests({ path: "/auth/me" }), [], "a check for nothing");

    await report({ url, status: 401 }, { url, status: 401 }, { url, status: 401 });
    await visitor.until("checked", () => {
      const entries = window.keeper.history();
      const hint = entries.findIndex(({ why }) => why === "hint");
      return hint >= 0 && entries.slice(hint).some(({ code }) => code === "verified");
    });
    assert.equal((await platform.requests({ path: "/auth/me" })).length, 1);
    await visitor.assertNeverSignedOut();

    await platform.control("revoke");
    await visitor.until(
      "a report starts a check again",
      () => {
        window.keeper.reportResponse({ url: "/api/tags", status: 401 });
        return window.keeper.snapshot.session === "suspect";
      },
      { within: 15_000 },
    );
    const end = await visitor.signedOut();
    assert.equal(end.reason, "rejected");
    assert.ok(end.at - end.suspectAt <= OVER_WITHIN_MS.known);
  });

  it("that waited out a wake-up start the check when the token is refused then", async (t) => {
    const visitor = await arrive(t, { prepare });
    await visitor.platform.control("configure", { whileWaking: "bad-gateway" });
    await visitor.signIn(SELDOM);
    await visitor.platform.control("sleep");
    await assertRefusalEndsIt(visitor);
  });

  for (const [mode, { come, adds }] of Object.entries(whileWaking)) {
    const adding = adds.length ? `add ${adds.join(" and ")}` : "add nothing";
    it(`while ${mode} is what they meet give ${come.join(", ")} and ${adding}`, async (t) => {
      const visitor = await arrive(t, { prepare });
      const { platform } = visitor;
      await platform.control("configure", { whileWaking: mode, retryAfterSeconds: 1 });
      const { boot } = await visitor.signIn(SELDOM);
      await platform.control("sleep");
      const came = await visitor.page.evaluate(async () => {
        const adding = (name, init) => ({
          method: "POST",
          body: JSON.stringify({ name }),
          ...init,
        });
        return Promise.all([
          window.outcome("/api/tags"),
          window.outcome("/api/tags", adding("plain")),
          window.outcome("/api/tags", adding("again", { retry: true })),
        ]);
      });

      assert.deepEqual(came.map(gist), come, JSON.stringify(came));
      await visitor.verified({ after: boot, within: 20_000 });
      const { tags } = await json(visitor, "/api/tags");
      assert.deepEqual(tags.sort(), adds.sort());
      await visitor.assertNeverSignedOut();
    });
  }

  it("give the app each answer once, but for those of a server that starts", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn({ ...SELDOM, health: { timeoutMs: 10_000 } });
    const post = { method: "POST", body: '{"name":"one"}' };
    const rows = [
      ...[400, 403, 404, 429, 500, 501, 204].map((status) => [{ status }, {}, status, 1]),
      [{ ...page, status: 200 }, {}, 200, 1],
      ...[502, 503, 504].map((status) => [{ status }, {}, status, 2]),
      [{ status: 503 }, post, 503, 1],
      [{ status: 503 }, { ...post, retry: true }, 503, 2],
    ];
    for (const [answer, init, status, asked] of rows) {
      const name = `${init.method ?? "GET"} ${status}`;
      await platform.fault("/api/tags", answer);
      await platform.forgetRequests();
      const outcome = await visitor.page.evaluate(askFor, "/api/tags", init);
      assert.equal(gist(outcome), status, `${name}: ${JSON.stringify(outcome)}`);
      assert.equal((await platform.requests({ path: "/api/tags" })).length, asked, name);
    }
    await platform.fault("/api/tags", { status: 503 }, 1);
    const once = await visitor.page.evaluate(askFor, "/api/tags", {});
    assert.equal(once.status, 200, "the repeat was not given to the app");
    await platform.control("clear");
    assert.deepEqual(await json(visitor, "/api/tags"), { tags: [] });
    await visitor.assertNeverSignedOut();
  });

  it("prove the server awake where its health path fails alone", async (t) => {
    const visitor = await arrive(t, { prepare });
    await visitor.signIn(SELDOM);
    await visitor.platform.fault("/api/health", { status: 503 });
    await visitor.serverIs("waking");
    const server = await visitor.page.evaluate(async () => {
      await window.keeper.fetch("/api/tags");
      return window.keeper.snapshot.server;
    });
    assert.equal(server, "awake");
    await visitor.assertNeverSignedOut();
  });

  it("end with the app's signal where head or body never comes", async (t) => {
    const visitor = await arrive(t, { prepare });
    await visitor.signIn(SELDOM);
    const body = '{"tags":[]}';
    const answers = [
      { status: 200, body, headersAfterMs: 600_000 },
      { status: 200, body, stallAfterBytes: 4 },
      { status: 200, body, endless: true },
    ];
    for (const answer of answers) {
      await visitor.platform.fault("/api/tags", answer);
      const { name, ms } = await visitor.page.evaluate(async () => {
        const began = performance.now();
        const signal = AbortSignal.timeout(500);
        const reading = window.keeper
          .fetch("/api/tags", { signal })
          .then((answer) => answer.text());
        const name = await reading.then(
          () => "read",
          (error) => error.name,
        );
        return { name, ms: performance.now() - began };
      });
      assert.match(name, /^(Timeout|Abort)Error$/);
      assert.ok(ms >= 500 && ms < 500 + LEEWAY_MS, `after ${ms} ms`);
    }
    await visitor.platform.control("clear");
    assert.deepEqual(await json(visitor, "/api/tags"), { tags: [] });
    await visitor.assertNeverSignedOut();
  });

  it("wait for the server in bounds: so many, so long, and until the app gives up", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await platform.control("configure", { whileWaking: "bad-gateway" });
    await visitor.signIn({ ...SELDOM, fetch: { maxWaiting: 2, waitMs: 1_500 } });
    await platform.control("stop");
    await visitor.serverIs("waking");

    const three = await visitor.page.evaluate(() => {
      return Promise.all([1, 2, 3].map(() => window.outcome("/api/tags")));
    });
    const refused = three.filter(({ code }) => code === "too-many-waiting");
    assert.equal(refused.length, 1, JSON.stringify(three));
    assert.equal(refused[0].name, "KeeperError");
    assert.match(refused[0].message, /2 requests wait/);
    assert.ok(refused[0].ms < 1_000, "refused late");
    const waited = three.filter(({ status }) => status === 502);
    assert.equal(waited.length, 2);
    for (const { ms } of waited) assert.ok(ms >= 1_500 && ms < 1_500 + LEEWAY_MS, `${ms} ms`);

    await platform.control("configure", { whileWaking: "refuse" });
    const none = await visitor.page.evaluate(() => window.outcome("/api/tags"));
    assert.equal(none.name, "TypeError");
    assert.ok(none.ms >= 1_500 && none.ms < 1_500 + LEEWAY_MS, `${none.ms} ms`);
    const aborted = await visitor.page.evaluate(() => {
      return window.outcome("/api/tags", { signal: AbortSignal.timeout(300) });
    });
    assert.match(aborted.name, /^(Timeout|Abort)Error$/);
    assert.ok(aborted.ms < 1_500, "the app's signal did not end the wait");

    await platform.control("configure", { whileWaking: "bad-gateway" });
    await visitor.page.evaluate(() => void (window.last = window.outcome("/api/tags")));
    await until("it was turned away", async () => {
      return (await platform.requests({ path: "/api/tags", status: 502 })).length >= 3;
    });
    const last = await visitor.page.evaluate(() => {
      window.keeper.stop();
      return window.last;
    });
    assert.equal(last.status, 502);
    assert.ok(last.ms < 1_500, "stop() did not end the wait");

    await platform.control("wake");
    await visitor.page.evaluate(() => window.keeper.start());
    await visitor.serverIs("awake", 15_000);
    assert.deepEqual(await json(visitor, "/api/tags"), { tags: [] });
    await visitor.assertNeverSignedOut();
  });

  it("follow a redirect within the page's origin, with the credential", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    for (const status of [301, 302, 303, 307, 308]) {
      await platform.fault("/api/old", { status, headers: { location: "/api/tags" } });
      assert.equal(gist(await visitor.page.evaluate(askFor, "/api/old", {})), 200, `${status}`);
    }
    for (const status of [307, 308]) {
      await platform.fault("/api/old", { status, headers: { location: "/api/tags" } });
      const post = { method: "POST", body: `{"name":"${status}"}` };
      const added = await visitor.page.evaluate(askFor, "/api/old", post);
      assert.equal(gist(added), 201, `${status}: ${JSON.stringify(added)}`);
    }
    assert.deepEqual(await json(visitor, "/api/old"), { tags: ["307", "308"] });
    const manual = await visitor.page.evaluate(askFor, "/api/old", { redirect: "manual" });
    assert.deepEqual([manual.status, manual.type], [0, "opaqueredirect"]);
    const error = await visitor.page.evaluate(askFor, "/api/old", { redirect: "error" });
    assert.equal(error.name, "TypeError");
    await visitor.assertNeverSignedOut();
    await visitor.platform.fault("/api/old", { status: 307, headers: { location: "/api/tags" } });
    await assertRefusalEndsIt(visitor, "/api/old");
  });

  it("follow no redirect to another origin with the credential, and say so", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    const away = (status) => ({ status, headers: { location: `${platform.api}/api/away` } });
    await platform.fault("/api/away", { status: 200, cors: true, body: "{}" });
    await platform.fault("/api/old", { status: 302, headers: { location: "/api/older" } });
    for (const status of [301, 302, 303, 307, 308]) {
      await platform.fault("/api/older", away(status));
      for (const path of ["/api/older", "/api/old"]) {
        const { name, code, message } = await visitor.page.evaluate(askFor, path, {});
        assert.deepEqual([name, code], ["KeeperError", "redirected"], `${path} ${status}`);
        assert.ok(message.length > 20, "no sentence");
      }
      const post = { method: "POST", body: '{"name":"one"}', retry: true };
      const moved = await visitor.page.evaluate(askFor, "/api/older", post);
      assert.notEqual(moved.name, undefined, `POST ${status}: ${JSON.stringify(moved)}`);
    }
    const seen = await platform.requests({ path: "/api/away" });
    assert.deepEqual(
      seen.filter(({ credential, method }) => credential || method === "OPTIONS"),
      [],
      "the credential went, or was about to go, to another origin",
    );
    await visitor.assertNeverSignedOut();
  });

  it("follow a redirect to a store where the app allows it, without the token", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn(SELDOM);
    const cors = { cors: true, body: "a file" };
    await platform.fault("/api/signed", { status: 200, ...cors });
    for (const status of [301, 302, 303, 307, 308]) {
      const headers = { location: `${platform.api}/api/signed?signature=1` };
      await platform.fault("/api/download", { status, headers });
      const allowed = { crossOriginRedirects: "follow" };
      const outcome = await visitor.page.evaluate(askFor, "/api/download", allowed);
      assert.equal(outcome.status, 200, `${status}: ${JSON.stringify(outcome)}`);
    }
    const asked = await platform.requests({ path: "/api/download" });
    assert.ok(asked.every(({ credential }) => credential));
    const seen = await platform.requests({ path: "/api/signed", method: "GET" });
    assert.equal(seen.length, 5);
    assert.deepEqual(
      seen.filter(({ credential }) => credential),
      [],
      "this browser carries the token to another origin",
    );
    await visitor.assertNeverSignedOut();
  });

  it("to an API of another origin follow no redirect at all", async (t) => {
    const visitor = await arrive(t, { prepare });
    const { platform } = visitor;
    await visitor.signIn({ ...SELDOM, baseUrl: platform.api });
    const moved = { status: 302, cors: true, headers: { location: "/api/tags" } };
    await platform.fault("/api/old", moved);
    const { name, code } = await visitor.page.evaluate(askFor, "/api/old", {});
    assert.deepEqual([name, code], ["KeeperError", "redirected"]);
    assert.equal((await visitor.page.evaluate(askFor, "/api/tags", {})).status, 200);
    await visitor.assertNeverSignedOut();
  });
});

/** In the page, before its scripts: what becomes of a request of the app, and when. */
function prepare() {
  window.outcome = async (path, { ...init } = {}) => {
    if (init.body) init.headers = { "Content-Type": "application/json" };
    const began = performance.now();
    const ms = () => performance.now() - began;
    try {
      const { status, type } = await window.keeper.fetch(path, init);
      return { status, type, ms: ms() };
    } catch ({ name, code, message }) {
      return { name, code, message, ms: ms() };
    }
  };
}

/** In the page. */
const askFor = (path, init) => window.outcome(path, init);

/** The session is revoked, which a request of the app meets first: a check of it decides. */
async function assertRefusalEndsIt(visitor, path = "/api/tags") {
  await visitor.platform.control("revoke");
  await visitor.platform.forgetRequests();
  const { status } = await visitor.page.evaluate(askFor, path, {});
  assert.equal(status, 401, "not the server's own answer");
  const met = Date.now();
  const end = await visitor.signedOut();
  assert.equal(end.reason, "rejected");
  assert.ok(end.at - met <= OVER_WITHIN_MS.justStarted, await visitor.story());
  const checks = await visitor.platform.requests({ path: "/auth/me", status: 401 });
  assert.ok(checks.length >= 2, "signed out by the app's request");
}

/** What the app has in its hands: a status, or the name of an error. */
const gist = ({ status, name }) => name ?? status;

const json = (visitor, path) =>
  visitor.page.evaluate(async (path) => (await window.keeper.fetch(path)).json(), path);
