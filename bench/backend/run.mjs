// The reference backend beside gunicorn and Flask on the same stores: `npm run bench:backend`.
//
// Rule: prints what was measured and judges nothing. Whoever is measured has one core for itself,
// and the load and the stores have the others; servers take turns, so that what else the machine
// does hits them alike. `--only memory,redis`, `--rounds N` and `--seconds N` make it shorter.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs, promisify } from "node:util";
import { leftOut, startService } from "../../tests/e2e/services.mjs";
import { install } from "./install.mjs";
import { load, median, residentMb } from "./load.mjs";
import { measureHealth } from "./outage.mjs";
import { TOKENS, built, gunicornKinds, startFlask, startOurs } from "./servers.mjs";
import { row, table } from "./table.mjs";

const CONNECTIONS = 32;
const STORES = ["memory", "sqlite", "redis", "postgres"];
const OTHERS = ["jwt", "million", "outage"];
const isService = (store) => store === "redis" || store === "postgres";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: [...STORES, ...OTHERS].join() },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
  },
});
const wanted = values.only.split(",");
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const round = { seconds, connections: CONNECTIONS };

goBefore(-5);
const versions = await install();
console.log(
  `\n/auth/me: ${rounds} rounds of ${seconds} s in turn, ${CONNECTIONS} connections kept alive, ` +
    `${TOKENS} tokens\nEach server alone on one core; wrk and the stores on the others\n` +
    `${versions}; "per CPU s" is requests for each second of processor time\n`,
);
for (const store of STORES.filter((store) => wanted.includes(store))) await compareOn(store);
if (wanted.includes("jwt")) await compareTokens();
if (wanted.includes("million")) await weigh();
if (wanted.includes("outage")) await breakStores();

/** What else the machine does waits a little more for all that is started from here. */
function goBefore(nice) {
  try {
    // Linux gives sessions their shares before it looks at what is in them.
    writeFileSync("/proc/self/autogroup", `${nice}`);
  } catch {
    // Only root may, and not everywhere.
  }
}

/** Both on one store. */
async function compareOn(store) {
  if (isService(store) && leftOut(store)) return console.log(`${store}: ${leftOut(store)}\n`);
  const service = isService(store) ? await startService(store) : undefined;
  const where = service?.url ?? store;
  const kind = await fasterKind(where, service ? Object.keys(gunicornKinds) : alone());
  const servers = {
    "session-keeper-backend": await startOurs(where),
    "the same, --log-level warn": await startOurs(where, ["--log-level", "warn"]),
    [`Flask, gunicorn ${kind}`]: await startFlask(where, kind),
  };
  const [ours, warn, flask] = await inTurn(servers);
  const names = Object.keys(servers);
  const rows = [ours, warn, flask].map((figures, index) => row(names[index], figures, flask));
  console.log(table(store, rows));
  await endAll(servers, service);
}

/** Several workers would each have a table of their own in memory, and more are no faster there. */
function alone() {
  return Object.keys(gunicornKinds).filter((kind) => !kind.includes("workers"));
}

/** Which way to run gunicorn answers more requests here. */
async function fasterKind(where, kinds) {
  const rates = [];
  for (const kind of kinds) {
    const server = await startFlask(where, kind);
    await load(server, "/auth/me", { ...round, seconds: 1 });
    rates.push({ kind, ...(await load(server, "/auth/me", { ...round, seconds: 3 })) });
    await server.end();
  }
  const shown = rates.map(({ kind, rate }) => `${kind}: ${Math.round(rate)}/s`);
  console.log(`  gunicorn tried as ${shown.join("; ")}`);
  return rates.reduce((best, one) => (one.rate > best.rate ? one : best)).kind;
}

/** A B C A B C …, after a second each to get warm. */
async function inTurn(servers) {
  const runs = Object.values(servers).map((server) => ({ server, measured: [] }));
  for (const { server } of runs) await load(server, "/auth/me", { ...round, seconds: 1 });
  for (let turn = 0; turn < rounds; turn += 1) {
    for (const { server, measured } of runs) measured.push(await load(server, "/auth/me", round));
  }
  return runs.map(({ measured }) => median(measured));
}

/** What a signature costs. */
async function compareTokens() {
  const servers = {
    "opaque tokens": await startOurs("memory"),
    "--jwt hs256": await startOurs("memory", ["--jwt", "hs256"]),
    "--jwt eddsa": await startOurs("memory", ["--jwt", "eddsa"]),
  };
  const figures = await inTurn(servers);
  const rows = Object.keys(servers).map((name, index) => row(name, figures[index], figures[0]));
  console.log(table("memory, by the kind of token", rows));
  await endAll(servers);
}

async function weigh() {
  const idle = await startOurs("memory");
  const empty = await residentMb(idle.pid);
  await idle.end();
  const { stdout } = await promisify(execFile)(built("examples/million"));
  const told = JSON.parse(stdout);
  const mb = (kib) => `${(kib / 1024).toFixed(0)} MB`;
  const us = (ns) => `${(ns / 1000).toFixed(1)} µs`;
  console.log(`a million live tokens in memory: ${mb(told.kib)} resident`);
  console.log(`  (the tokens' own: ${mb(told.kib - told.kibBefore)})`);
  console.log(`  a server that has just signed in ${TOKENS}: ${empty.toFixed(0)} MB resident`);
  console.log(`  find   p50 ${us(told.findNs)}, p99 ${us(told.findP99Ns)}`);
  console.log(`  insert p50 ${us(told.insertNs)}, p99 ${us(told.insertP99Ns)}\n`);
}

async function breakStores() {
  // Others spoil a percentile sooner than a ratio, and this does not take long.
  goBefore(-20);
  for (const store of ["redis", "postgres"]) {
    if (leftOut(store)) console.log(`${store}: ${leftOut(store)}\n`);
    else console.log(await measureHealth(store, { seconds, connections: CONNECTIONS }));
  }
}

async function endAll(servers, service) {
  for (const server of Object.values(servers)) await server.end();
  await service?.end();
}
