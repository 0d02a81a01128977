// The health path while the store is away: stopped in order, and hanging.
//
// Rule: nobody may be refused meanwhile; what `/auth/me` answers is counted by status.

import { startService } from "../../tests/e2e/services.mjs";
import { load } from "./load.mjs";
import { startOurs } from "./servers.mjs";
import { statuses, table, time } from "./table.mjs";

/** So many ask the health path at the same time. */
const ASKING_HEALTH = 4;

/** The table of one kind of store. */
export async function measureHealth(store, { seconds, connections }) {
  const service = await startService(store);
  const server = await startOurs(service.url);
  const rows = [];
  const measure = async (state) => {
    const health = { seconds, connections: ASKING_HEALTH, counted: true };
    rows.push(shown(`${state}, nothing beside`, await load(server, "/api/health", health)));
    const hammered = load(server, "/auth/me", { seconds: seconds + 1, connections, counted: true });
    const beside = await load(server, "/api/health", health);
    rows.push(shown(`${state}, ${connections} on /auth/me`, beside, await hammered));
  };
  await measure("there");
  await service.stop();
  await measure("stopped");
  await service.start();
  await service.pause();
  await measure("hangs");
  await service.resume();
  await server.end();
  await service.end();
  return table(`/api/health with ${store}`, rows);
}

function shown(state, health, me) {
  return {
    store: state,
    "health/s": Math.round(health.rate),
    p50: time(health.p50),
    p99: time(health.p99),
    "health answers": statuses(health.statuses),
    "/auth/me answers": me ? statuses(me.statuses) : "",
  };
}
