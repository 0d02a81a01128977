// Tokens that live 6 s, on our backend with refresh tokens: nobody is signed out because one ran
// out, and whoever was signed out by the server is.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, OVER_WITHIN_MS, until, useBrowser } from "./harness.mjs";

const SHORT_LIVED = ["--refresh", "--access-seconds", "6"];
const REFRESH = { refresh: { path: "/auth/refresh" } };
/** A margin, a refresh and a request on a busy machine. */
const REFRESHED_WITHIN_MS = 15_000;

describe("tokens of six seconds", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("are refreshed five times without a 401 that the app sees", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED });
    await visitor.signIn(REFRESH);
    await useTheApi(visitor);
    await refreshed(visitor, 5, 5 * REFRESHED_WITHIN_MS);

    const statuses = await visitor.page.evaluate(() => window.statuses);
    assert.ok(statuses.length > 50, `${statuses.length} requests`);
    assert.deepEqual([...new Set(statuses)], [200]);
    assert.equal((await visitor.events("signin")).length, 1);
    assert.equal((await visitor.snapshot()).user.username, "demo");
    await visitor.assertNeverSignedOut();

    await visitor.platform.control("revoke");
    const end = await visitor.signedOut();
    assert.ok(["rejected", "expired"].includes(end.reason), end.reason);
    assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  });

  it("end with the refresh token that was revoked, within 8 s and with the reason", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED });
    // Nothing but the refresh meets it.
    await visitor.signIn({ ...REFRESH, verify: { everyMs: 300_000 } });
    await visitor.serverIsReady();
    await visitor.platform.control("revoke");
    const end = await visitor.signedOut();
    assert.equal(end.evidence.rule, "refresh-rejected");
    assert.deepEqual(
      end.evidence.refusals.map(({ status }) => status),
      [400, 400],
    );
    const [first] = await visitor.history("refresh-rejected");
    const took = end.at - first.at;
    assert.ok(took <= OVER_WITHIN_MS.known, `over ${took} ms after the first rejection`);
  });

  it("outlive a server that is away while one runs out", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED });
    const { boot } = await visitor.signIn(REFRESH);
    await visitor.platform.control("stop");
    const hasRunOut = () => !window.keeper.debug().token_info.is_valid;
    await visitor.until("the token has run out", hasRunOut, { within: REFRESHED_WITHIN_MS });
    const asked = visitor.page.evaluate(async () => {
      return (await window.keeper.fetch("/api/tags")).status;
    });
    await visitor.platform.control("wake");

    assert.equal(await asked, 200, "a request waits for the token that follows");
    await visitor.verified({ after: boot, within: 30_000 });
    await refreshed(visitor, 1, REFRESHED_WITHIN_MS);
    await visitor.assertNeverSignedOut();
    await visitor.platform.control("revoke");
    assert.ok((await visitor.signedOut(60_000)).evidence.refusals.length >= 2);
  });

  it("outlive answers of a refresh that are lost: the attempt is repeated", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED, prepare: loseTwoRefreshes });
    await visitor.signIn(REFRESH);
    await refreshed(visitor, 2, 3 * REFRESHED_WITHIN_MS);
    const { lost, attempts } = await visitor.page.evaluate(() => window.refreshes);
    assert.equal(lost, 2);
    assert.equal(new Set(attempts.slice(0, 3)).size, 1, "one attempt, sent three times");
    await visitor.assertNeverSignedOut();
    await visitor.platform.control("revoke");
    assert.ok((await visitor.signedOut(60_000)).evidence.refusals.length >= 2);
  });

  it("are refreshed by a function of the app, whatever it returns before", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED });
    await visitor.page.evaluate(() => {
      const calls = (window.calls = []);
      const refresh = ({ refreshToken, attempt }) => {
        calls.push(attempt);
        if (calls.length === 1) throw new TypeError("offline");
        const body = JSON.stringify({ refresh_token: refreshToken, attempt });
        const headers = { "Content-Type": "application/json" };
        return fetch("/auth/refresh", { method: "POST", headers, body });
      };
      window.keepSession({ refresh });
      return window.keeper.start();
    });
    await visitor.page.evaluate(() => window.signIn());
    await visitor.verified();
    await refreshed(visitor, 2, 3 * REFRESHED_WITHIN_MS);
    const calls = await visitor.page.evaluate(() => window.calls);
    assert.equal(calls[0], calls[1]);
    await visitor.assertNeverSignedOut();
  });

  it("are handed out for what cannot use fetch, good for as long as was asked for", async (t) => {
    const visitor = await arrive(t, { backend: ["--refresh", "--access-seconds", "60"] });
    const { token } = await visitor.signIn(REFRESH);
    const [same, newer, stored] = await visitor.page.evaluate(async () => {
      const { getToken } = window.keeper;
      const found = [await getToken(), await getToken({ minValidMs: 3_600_000 })];
      return [...found, JSON.stringify({ ...localStorage })];
    });
    assert.equal(same, token);
    assert.notEqual(newer, token);
    assert.ok(stored.includes(newer), "the newer token is stored");
    assert.equal((await visitor.events("refresh")).length, 1);
  });

  it("that the server hands out by itself are the same session", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const answer = await visitor.page.evaluate(async () => {
      const response = await fetch("/auth/login", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ username: "demo", password: "demo" }),
      });
      const answer = await response.json();
      const snapshot = await window.keeper.renew(answer);
      return { snapshot, sent: window.keeper.authHeaders("/auth/me"), token: answer.access_token };
    });
    assert.equal(answer.sent.Authorization, `Bearer ${answer.token}`);
    assert.equal(answer.snapshot.user.username, "demo");
    assert.equal((await visitor.events("signin")).length, 1);
    assert.equal((await visitor.events("refresh")).length, 1);
  });
});

describe("cookies of six seconds", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("are refreshed without a token in the body", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED });
    const csrf = { cookie: "__Host-csrf", header: "X-CSRF-Token" };
    await visitor.keep({ auth: "cookie", csrf, ...REFRESH });
    await visitor.page.evaluate(async () => {
      const response = await fetch("/auth/login", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ username: "demo", password: "demo", cookie: true }),
      });
      await window.keeper.signIn(await response.json());
    });
    await visitor.verified();
    await useTheApi(visitor);
    await refreshed(visitor, 3, 2 * REFRESHED_WITHIN_MS);
    const statuses = await visitor.page.evaluate(() => window.statuses);
    assert.deepEqual([...new Set(statuses)], [200]);
    await visitor.assertNeverSignedOut();
  });
});

/** Waits until the session has got that many newer tokens. */
async function refreshed(visitor, times, within) {
  const many = async () => (await visitor.events("refresh")).length >= times;
  const tell = async () =>
    JSON.stringify((await visitor.history()).filter(({ code }) => code.startsWith("refresh")));
  await until(`${times} refreshes`, many, { within, tell });
}

/** An app that asks four times a second, and remembers what it got. */
function useTheApi({ page }) {
  return page.evaluate(() => {
    const statuses = (window.statuses = []);
    setInterval(async () => {
      if (!window.keeper.snapshot.signedIn) return;
      const response = await window.keeper.fetch("/api/tags");
      if (window.keeper.snapshot.signedIn) statuses.push(response.status);
    }, 250);
  });
}

/** The server answers, and the page does not get it: twice. Runs in the page, before its scripts. */
function loseTwoRefreshes() {
  const refreshes = (window.refreshes = { lost: 0, attempts: [] });
  const real = window.fetch;
  window.fetch = async (input, init) => {
    const url = String(input?.url ?? input);
    if (!url.endsWith("/auth/refresh")) return real(input, init);
    const { attempt } = await input.clone().json();
    refreshes.attempts.push(attempt);
    const response = await real(input, init);
    if (refreshes.lost === 2) return response;
    refreshes.lost += 1;
    throw new TypeError("the answer was lost");
  };
}
