// A machine that sleeps for a day while its token runs out, and clocks that are hours off: the
// token is refreshed, and the app sees no 401. The same on servers of others: tests/servers/.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "../harness.mjs";
import { movableClock } from "./clocks.mjs";
import { BACK_WITHIN_MS, startGate } from "./night.mjs";

const HOUR_MS = 3_600_000;
const SHORT_LIVED = ["--refresh", "--access-seconds", "6"];
const REFRESH = { refresh: { path: "/auth/refresh" } };
/** Six seconds, a refresh and a request, on a busy machine. */
const REFRESHED_WITHIN_MS = 15_000;

describe("tokens of six seconds and the clocks", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("a machine asleep for a day has its token refreshed, and the session goes on", async (t) => {
    const visitor = await arrive(t, { backend: SHORT_LIVED, prepare: movableClock });
    const { token } = await visitor.signIn(REFRESH);
    const gate = await startGate(t);
    const sleeping = visitor.page.evaluate(
      (gate, ms) => window.clock.sleep(gate, ms),
      ...[gate.address, 24 * HOUR_MS],
    );
    await gate.holds();
    const headers = { Authorization: `Bearer ${token}` };
    const isRefused = async () =>
      (await fetch(`${visitor.platform.demo}/auth/me`, { headers })).status === 401;
    await until("the server refuses the token", isRefused, { within: REFRESHED_WITHIN_MS });
    gate.open();
    await sleeping;
    const asked = visitor.page.evaluate(
      async () => (await window.keeper.fetch("/api/tags")).status,
    );
    assert.equal(await asked, 200);
    await refreshed(visitor, 2, BACK_WITHIN_MS + 2 * REFRESHED_WITHIN_MS);
    assert.equal((await visitor.history("slept")).length, 1);
    await visitor.assertNeverSignedOut();
    await visitor.platform.control("revoke");
    assert.ok((await visitor.signedOut(60_000)).evidence.refusals.length >= 2);
  });

  for (const hours of [-2, 2]) {
    it(`a clock ${hours} h off refreshes as often as any other`, async (t) => {
      const visitor = await arrive(t, { backend: SHORT_LIVED, prepare: movableClock });
      await visitor.page.evaluate((by) => window.clock.set(by), hours * HOUR_MS);
      await visitor.signIn(REFRESH);
      const before = (await visitor.events("refresh")).length;
      await refreshed(visitor, before + 2, 2 * REFRESHED_WITHIN_MS);
      const [first, second] = (await visitor.events("refresh")).map(({ at }) => at);
      assert.ok(second - first > 4_000, `refreshed after ${second - first} ms`);
      await visitor.assertNeverSignedOut();
    });
  }
});

async function refreshed(visitor, times, within) {
  const many = async () => (await visitor.events("refresh")).length >= times;
  await until(`${times} refreshes`, many, { within, tell: () => visitor.story() });
}
