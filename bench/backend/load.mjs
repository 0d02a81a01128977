// The load, by wrk, and what it cost the server in processor time.
//
// Rule: what is asked is the same for every server: connections that are kept, tokens in turn, as
// fast as the answers come. The processor time counts only what the server burnt, so that a
// machine on which others work spoils it less than it spoils a clock.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const script = fileURLToPath(new URL("./wrk.lua", import.meta.url));
/** What Linux counts processor time in (USER_HZ), on all machines. */
const TICKS_PER_SECOND = 100;

/**
 * Asks `resource` for some seconds.
 * @param {{ origin: string, pid: number, tokens: string[] }} server
 */
export async function load(server, resource, { seconds, connections, counted = false }) {
  const before = await ticks(server.pid);
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script];
  const env = { PATH: process.env.PATH };
  if (resource === "/auth/me") env.TOKENS = server.tokens.join(" ");
  if (counted) env.COUNT_STATUSES = "1";
  const { stdout } = await run("wrk", [...args, server.origin + resource], { env });
  const told = JSON.parse(stdout.trim().split("\n").at(-1));
  const burnt = ((await ticks(server.pid)) - before) / TICKS_PER_SECOND;
  return {
    rate: told.requests / (told.us / 1e6),
    perCpu: told.requests / burnt,
    p50: told.p50,
    p99: told.p99,
    bad: told.bad + told.lost,
    statuses: told.statuses,
  };
}

/** The median of each figure; what went wrong is summed. */
export function median(runs) {
  const middle = (name) => {
    const sorted = runs.map((run) => run[name]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  };
  const names = ["rate", "perCpu", "p50", "p99"];
  const bad = runs.reduce((sum, run) => sum + run.bad, 0);
  return { ...Object.fromEntries(names.map((name) => [name, middle(name)])), bad };
}

/** The memory of a process and its children, in MB. */
export async function residentMb(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const own = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  const others = await Promise.all((await children(pid)).map(residentMb));
  return others.reduce((sum, mb) => sum + mb, own);
}

/** The processor time of a process and its children. */
async function ticks(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name before may hold anything, also spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const own = Number(fields[11]) + Number(fields[12]);
  const others = await Promise.all((await children(pid)).map(ticks));
  return others.reduce((sum, burnt) => sum + burnt, own);
}

async function children(pid) {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean);
}
