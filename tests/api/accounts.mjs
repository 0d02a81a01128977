// Whether an answer tells that a name exists.
//
// Rule: a name that exists and one that does not get the same bytes for the same wrong password,
// but for the date. How long the answers take is `backend/tests/it/sessions.rs`'s.

import assert from "node:assert/strict";
import http from "node:http";
import { PASSWORD, USERS } from "./backend.mjs";

const PAIRS = 1_000;
/** The server checks as many passwords at once as there are cores. */
const AT_ONCE = 8;

/** Returns how often it asked. */
export async function askForAccounts(server) {
  // Otherwise everything below could be one and the same refusal.
  for (const name of USERS) {
    const answer = await signIn(server, name, PASSWORD);
    assert.equal(answer.status, 200, `${name} cannot sign in`);
  }
  const dice = diceOf(1);
  const pairs = Array.from({ length: PAIRS }, (_, index) => makePair(index, dice));
  await forEach(pairs, async ({ existing, other, password }) => {
    const [one, two] = [
      await signIn(server, existing, password),
      await signIn(server, other, password),
    ];
    const asked = JSON.stringify({ existing, other, password });
    assert.equal(one.status, 401, asked);
    assert.deepEqual(two, one, asked);
  });
  return 2 * PAIRS;
}

/** A name that nobody has is counted and limited like one that somebody has. */
export async function askUntilLimited(server) {
  const seen = {};
  for (const name of ["ada", "nobody-of-this-name"]) {
    seen[name] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const answer = await signIn(server, name, `wrong ${turn}`);
      // How long there is to wait is a matter of when it was asked.
      const { "retry-after": wait, ...headers } = answer.headers;
      seen[name].push({ ...answer, headers: { ...headers, waits: wait !== undefined } });
    }
  }
  const [existing, other] = Object.values(seen);
  assert.deepEqual(other, existing);
  const statuses = existing.map(({ status }) => status);
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
  // For the log to have one, as it must.
  assert.equal((await signIn(server, "Zoë", PASSWORD)).status, 200);
}

function makePair(index, dice) {
  const existing = USERS[index % USERS.length];
  const others = [
    () => word(dice),
    () => existing + [...word(dice)].slice(0, 3).join("") + "x",
    () => ` ${existing}`,
    () => `${existing}\u0000`,
    () => existing.toUpperCase() + "\u0130",
    () => existing.normalize("NFD") + "\u0301",
    () => "x".repeat(101 + dice(5_000)),
    () => "",
  ];
  return {
    existing,
    other: others[dice(others.length)](),
    password: dice(20) === 0 ? "" : word(dice) + word(dice),
  };
}

/** Letters, controls, accents, signs of other scripts. */
function word(dice) {
  const ranges = [
    [0x20, 0x7e],
    [0x00, 0x1f],
    [0xa0, 0x24f],
    [0x300, 0x36f],
    [0x4e00, 0x4eff],
    [0x1f600, 0x1f64f],
  ];
  const one = () => {
    const [from, to] = ranges[dice(4) ? 0 : dice(ranges.length)];
    return String.fromCodePoint(from + dice(to - from + 1));
  };
  return Array.from({ length: 1 + dice(20) }, one).join("");
}

/** Numbers below a bound, the same in each run. */
function diceOf(seed) {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

async function forEach(items, work) {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

function signIn({ origin }, username, password) {
  const body = JSON.stringify({ username, password });
  const headers = { "content-type": "application/json", connection: "close" };
  return new Promise((resolve, reject) => {
    const request = http.request(`${origin}/auth/login`, { method: "POST", headers });
    request.once("error", reject);
    request.once("response", async (response) => {
      const chunks = await response.toArray();
      const { date, "x-request-id": id, ...others } = response.headers;
      const text = Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode, headers: others, body: text });
    });
    request.end(body);
  });
}
