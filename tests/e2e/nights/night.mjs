// What the tests of nights share: a tab in front, a thread that stands still, a refusal on its
// way, and what a page lived through.
//
// Rule: a page that cannot run is brought about as a browser does it, and shown by the page's own
// timers to have stood still.

import assert from "node:assert/strict";
import http from "node:http";
import { until } from "../harness.mjs";

/** A page that writes down what it lives through (pages/night-witness.js). */
export const NIGHT_PAGE = "/night.html";
/** Of the design: in a visible page the first request after a return is spread over 5 s. */
const SPREAD_MS = 5_000;
/** From that request to the answer of the verification after it, on a busy machine. */
const ROUND_TRIPS_MS = 3_000;
export const BACK_WITHIN_MS = SPREAD_MS + ROUND_TRIPS_MS;

/** When a refusal on its way comes: late enough that the page cannot run by then. */
const LATE_MS = 3_000;
const TICK_MS = 100;

/** Puts another tab in front, so that the visitor's is really hidden. Gives that tab. */
export async function hide(visitor) {
  const front = await visitor.page.browserContext().newPage();
  await front.goto(visitor.platform.demo + NIGHT_PAGE);
  await front.bringToFront();
  const isHidden = () => document.visibilityState === "hidden";
  await visitor.until("the tab is hidden", isHidden);
  return front;
}

/** Puts the visitor's tab in front again. */
export async function show(visitor) {
  await visitor.page.bringToFront();
  await visitor.until("the tab is visible", () => document.visibilityState === "visible");
}

/** Waits until the tab shows a page of which `fact` holds; on the way there it shows none. */
export async function arrivesAt({ page }, what, fact, tell) {
  await until(`${what} is there`, () => page.evaluate(fact).catch(() => false), {
    within: 20_000,
    tell,
  });
}

/** The page's own record, or a part of it. */
export async function lived(page, part) {
  const all = await page.evaluate(() => window.lived);
  return part ? all[part] : all;
}

/** The last event of that type that the page saw. */
export async function lastSeen(page, type) {
  const events = await lived(page, "events");
  const event = events.findLast((event) => event.type === type);
  assert.ok(event, `the page saw no ${type}: ${JSON.stringify(events)}`);
  return event;
}

/** Waits until the timer of a page that can run has ticked so often again. */
export async function ticksGoOn(page, more = 20) {
  const count = async () => (await lived(page, "ticks")).length;
  const enough = (await count()) + more;
  await until(`${more} more ticks`, async () => (await count()) >= enough);
}

/** Lets the next verification be refused, but only after a while. Returns when it is under way. */
export async function refusalUnderWay(visitor) {
  const { platform } = visitor;
  const headers = { "Content-Type": "application/json" };
  const answer = { status: 401, headers, body: '{"error":"late"}', headersAfterMs: LATE_MS };
  await platform.forgetRequests();
  await platform.fault("/auth/me", answer, 1);
  await until("a verification is under way", async () => {
    const [first] = await platform.requests({ path: "/auth/me", status: null });
    return first;
  });
}

/** Waits until the server has given the refusal to whoever may still listen. */
export async function refusalIsGiven({ platform }) {
  const given = async () => (await platform.requests({ path: "/auth/me", status: 401 })).length > 0;
  await until("the refusal is given", given);
}

/** Fails unless the request was aborted that `refusalUnderWay` left; `page` can run meanwhile. */
export async function assertNobodyListens({ platform }, page) {
  await ticksGoOn(page, (LATE_MS + 1_000) / TICK_MS);
  const given = await platform.requests({ path: "/auth/me", status: 401 });
  assert.deepEqual(given, [], "the request was not aborted");
}

/** Fails unless every refusal that ended the session was given after that moment. */
export function assertRefusedAfter(end, moment) {
  assert.equal(end.reason, "rejected");
  assert.ok(end.evidence.refusals.length >= 2, "no evidence");
  for (const { at } of end.evidence.refusals) assert.ok(at >= moment, "a refusal from before");
}

/**
 * A server whose answer a page can wait for without running: a page that asks it synchronously
 * has no timers, no answers and no events until it is answered, as in a machine that sleeps.
 */
export async function startGate(test) {
  let held;
  const server = http.createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    held = response;
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    holds: () => until("the page stands still", () => held),
    open: () => held.end(),
  };
}
