// How the kernel deals connections among the workers of a server: measured, for the simulation.
//
// Rule: each request has a connection of its own. Knows no keeper.

import { setTimeout as delay } from "node:timers/promises";
import { startServer } from "./servers.mjs";

const CONNECTIONS = 400;
/** Calmer than that a browser is, but the workers sleep in between as they do for a browser. */
const PAUSE_MS = 25;
const BURSTS = 60;
const BURST_PAUSE_MS = 100;

/** Asks one after the other, at once and with pauses, and in bursts of three. */
export async function measureDispatch({ kind, workers }) {
  const server = await startServer({ kind, workers, tokens: "memory" });
  try {
    const ask = async () => (await server.ask("/api/health")).worker;
    const rows = [
      { pace: "one by one", ...summary(await inTurn(ask, 0), workers) },
      { pace: `one each ${PAUSE_MS} ms`, ...summary(await inTurn(ask, PAUSE_MS), workers) },
    ];
    const bursts = await inBursts(ask);
    const met = bursts.reduce((sum, burst) => sum + new Set(burst).size, 0) / bursts.length;
    rows.push({ pace: "bursts of 3", ...summary(bursts.flat(), workers), met: met.toFixed(2) });
    return rows.map((row) => ({ kind, workers, ...row }));
  } finally {
    await server.end();
  }
}

async function inTurn(ask, pause) {
  const answered = [];
  for (let i = 0; i < CONNECTIONS; i += 1) {
    answered.push(await ask());
    if (pause) await delay(pause);
  }
  return answered;
}

async function inBursts(ask) {
  const bursts = [];
  for (let i = 0; i < BURSTS; i += 1) {
    bursts.push(await Promise.all([ask(), ask(), ask()]));
    await delay(BURST_PAUSE_MS);
  }
  return bursts;
}

/** `shares`: of each worker, the largest first. `again`: how often the one before answered. */
function summary(answered, workers) {
  const counts = new Map();
  for (const worker of answered) counts.set(worker, (counts.get(worker) ?? 0) + 1);
  const shares = [...counts.values()].sort((a, b) => b - a).map((count) => count / answered.length);
  while (shares.length < workers) shares.push(0);
  const repeats = answered.filter((worker, i) => i > 0 && worker === answered[i - 1]).length;
  return {
    shares: shares.map((share) => share.toFixed(3)).join(" "),
    again: (repeats / (answered.length - 1)).toFixed(2),
    met: "",
  };
}
