// How often a valid token is thrown away on servers that others wrote, by the usual rule (the
// first 401 ends the session) and by the keeper; and how soon a revoked one is found out.
//
// Rule: every number is counted from what happened. Each worker has its own tokens, the connection
// decides who is asked, and each keeper is a browser of its own to the server: a host name of its
// own, so that it shares neither connections nor what it learnt.

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { until } from "../e2e/harness.mjs";
import { measureDispatch } from "./dispatch.mjs";
import { install } from "./install.mjs";
import { startServer } from "./servers.mjs";
import { aligned } from "./table.mjs";
import { launch } from "./visitor.mjs";

const SERVERS = [
  { kind: "uvicorn", workers: 1 },
  { kind: "uvicorn", workers: 2 },
  { kind: "uvicorn", workers: 4 },
  { kind: "uvicorn", workers: 8 },
  { kind: "gunicorn sync", workers: 4 },
  { kind: "gunicorn gthread", workers: 4 },
  { kind: "node cluster", workers: 4 },
];
const DISPATCH = [
  { kind: "uvicorn", workers: 4 },
  { kind: "uvicorn", workers: 8 },
];
/** One each 15 minutes, which is what a day in an open tab is at the usual interval or less. */
const PER_USER_DAY = 96;
/** Longer than uvicorn and Node keep a connection, so that each verification is dispatched again. */
const VERIFY_EVERY_MS = 6_000;
/** The longest that a revocation may take to be met, and then a margin to notice it. */
const REVOCATION_MS = 140_000;
const PROGRESS_MS = 30_000;
/** Starting and measuring who answers take one, the revocations more than two. */
const LEAST_MINUTES = 5;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    keepers: { type: "string", default: "12" },
  },
});
const began = performance.now();
const deadline = began + Number(values.minutes) * 60_000;

async function main(keepers) {
  await install(say);
  const { browser, close } = await launch(["--host-resolver-rules=MAP *.localhost 127.0.0.1"]);
  const servers = [];
  try {
    say("measuring who answers");
    const dispatch = [];
    for (const each of DISPATCH) dispatch.push(...(await measureDispatch(each)));
    print("\nWho answers (each request on a connection of its own)", dispatch);

    for (const each of SERVERS) {
      const server = await startServer({ ...each, tokens: "memory" });
      servers.push({ ...each, server, frames: [], before: await server.workers() });
    }
    say(`${servers.length} servers, ${keepers} keepers on each`);
    const opened = servers.map(async (each) => {
      each.frames = await openKeepers(browser, each.server, keepers);
    });
    await Promise.all(opened);
    say("all have signed in");
    await whileValid(servers);
    for (const each of servers) each.tallies = await inAll(each.frames, () => window.tally);
    await whileRevoked(servers);
    for (const each of servers) await tellOfReplaced(each);
    print("\nTokens in each worker's memory", servers.map(row));
  } finally {
    await close();
    for (const { server } of servers) await server.end();
  }
}

/** A worker that was replaced has lost its tokens, and what it refuses then is rightly refused. */
async function tellOfReplaced({ kind, server, before }) {
  const now = await server.workers();
  const lost = now.length - before.length;
  if (lost > 0) say(`${kind}: ${lost} workers were replaced, with their tokens: do not count it`);
}

/** One page, and in it a frame for each keeper. */
async function openKeepers(browser, server, count) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(`${server.origin}/keeper.html`);
  const { port } = new URL(server.origin);
  const frames = [];
  for (let i = 0; i < count; i += 1) {
    const url = `http://keeper-${i}.localhost:${port}/keeper.html`;
    const element = await page.evaluateHandle((url) => {
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.src = url;
      return frame;
    }, url);
    const frame = await element.contentFrame();
    const isReady = () => frame.evaluate(() => window.ready).catch(() => false);
    await until(`${url} is there`, isReady, { within: 60_000 });
    await frame.evaluate(startKeeper, VERIFY_EVERY_MS, (i / count) * VERIFY_EVERY_MS);
    frames.push(frame);
  }
  return frames;
}

/** In the page: keeps a session, counts, and signs in again after each false sign-out. */
function startKeeper(everyMs, afterMs) {
  const tally = {
    ...{ verifications: 0, naive: 0, suspicions: 0, checks: 0 },
    ...{ falseFirst: 0, falseLater: 0, chances: [] },
  };
  let suspect = false;
  let contradicted = false;
  const entries = {
    answered({ probe, status }) {
      if (probe !== "verify") return;
      if (suspect) tally.checks += 1;
      else tally.verifications += 1;
      if (!suspect && status === 401) tally.naive += 1;
    },
    suspect() {
      suspect = true;
      tally.suspicions += 1;
    },
    refuted() {
      suspect = false;
      contradicted = true;
    },
  };
  const login = async () => {
    suspect = false;
    window.token = await window.signIn();
  };
  window.tally = tally;
  window.keepSession({
    health: { everyMs: 30_000, timeoutMs: 10_000 },
    verify: { everyMs, timeoutMs: 10_000 },
    log: "silent",
  });
  window.keeper.addEventListener("log", ({ entry }) => entries[entry.code]?.(entry));
  window.keeper.addEventListener("signout", ({ evidence }) => {
    window.endedAt = Date.now();
    if (window.revokedAt) return;
    tally[contradicted ? "falseLater" : "falseFirst"] += 1;
    tally.chances.push(evidence.chance);
    login();
  });
  setTimeout(async () => {
    await window.keeper.start();
    await login();
  }, afterMs);
}

/** All tokens are good until there is only time for the revocations. */
async function whileValid(servers) {
  const end = deadline - REVOCATION_MS;
  while (performance.now() < end) {
    await delay(Math.min(PROGRESS_MS, end - performance.now()));
    const tallies = (await Promise.all(servers.map(({ frames }) => talliesOf(frames)))).flat();
    const verifications = sum(tallies, "verifications");
    const lost = sum(tallies, "falseFirst") + sum(tallies, "falseLater");
    say(`${verifications} verifications, ${sum(tallies, "naive")} refused first, ${lost} lost`);
  }
}

/** Every token is revoked, and every session has to end. */
async function whileRevoked(servers) {
  say("revoking every token");
  const revoke = async () => {
    // Signing in again after a false sign-out may be under way.
    while (!window.keeper.snapshot.signedIn) await new Promise((done) => setTimeout(done, 50));
    const headers = { Authorization: `Bearer ${window.token}` };
    window.revokedAt = Date.now();
    window.endedAt = undefined;
    await fetch("/auth/logout", { method: "POST", headers });
  };
  await Promise.all(servers.map(({ frames }) => inAll(frames, revoke)));
  const took = () => (window.endedAt ? (window.endedAt - window.revokedAt) / 1000 : undefined);
  const over = async () => {
    for (const each of servers) each.seconds = await inAll(each.frames, took);
    return servers.every(({ seconds }) => seconds.every((second) => second !== undefined));
  };
  await until("every session ended", over, { within: deadline - performance.now() }).catch(() =>
    say("some sessions did not end in time"),
  );
}

const inAll = (frames, work) => Promise.all(frames.map((frame) => frame.evaluate(work)));
const talliesOf = (frames) => inAll(frames, () => window.tally);
const sum = (tallies, field) => tallies.reduce((total, tally) => total + tally[field], 0);

function row({ kind, workers, frames, tallies, seconds }) {
  const total = sum(tallies, "verifications");
  const [first, later] = [sum(tallies, "falseFirst"), sum(tallies, "falseLater")];
  const [naive, lost] = [sum(tallies, "naive"), first + later];
  const suspicions = sum(tallies, "suspicions");
  const chances = tallies.flatMap((tally) => tally.chances).filter((chance) => chance >= 0);
  const ended = seconds.filter((second) => second !== undefined).sort((a, b) => a - b);
  return {
    kind,
    workers,
    keepers: frames.length,
    verifications: total,
    "naive false": naive,
    "/verif.": rate(naive, total),
    "/day": rate(naive * PER_USER_DAY, total),
    "keeper false": lost,
    "of them first": first,
    "/verif. ": rate(lost, total),
    "/day ": rate(lost * PER_USER_DAY, total),
    "keeper/naive": naive ? rate(lost, naive) : "-",
    "named chance": chances.length ? mean(chances).toPrecision(2) : "-",
    suspicions,
    "checks/susp.": suspicions ? (sum(tallies, "checks") / suspicions).toFixed(1) : "-",
    "end p50 s": quantile(ended, 0.5),
    "end p99 s": quantile(ended, 0.99),
    "not ended": seconds.length - ended.length,
  };
}

/** Where nothing was counted, what it is below with 95 % confidence: three in as many. */
function rate(count, total) {
  if (total === 0) return "-";
  return count === 0 ? `<${(3 / total).toPrecision(1)}` : (count / total).toPrecision(2);
}

const mean = (numbers) => numbers.reduce((total, number) => total + number, 0) / numbers.length;

function quantile(sorted, q) {
  if (sorted.length === 0) return "-";
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(1);
}

function print(title, rows) {
  console.log(`${title}\n${aligned(rows)}\n`);
}

function say(line) {
  const seconds = Math.round((performance.now() - began) / 1000);
  console.error(`[${String(seconds).padStart(3)} s] ${line}`);
}

if (!(Number(values.minutes) >= LEAST_MINUTES)) {
  throw new Error(`--minutes is a number, at least ${LEAST_MINUTES}`);
}
await main(Number(values.keepers));
