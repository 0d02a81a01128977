// What a test drives: a keeper with short intervals, and a record of all it said.
//
// Rule: uses the package as an app does. Nothing starts by itself, so that a test can prepare the
// storage first.

import { createKeeper, KeeperError } from "session-keeper";

const short = {
  health: { everyMs: 500, timeoutMs: 1_500, wakeTimeoutMs: 30_000 },
  verify: { everyMs: 1_000, timeoutMs: 1_500, retries: 3, retryDelayMs: 100 },
};
const told = {
  change: ({ snapshot: { session, server, signedIn } }) => ({ session, server, signedIn }),
  signin: ({ fromOtherTab }) => ({ fromOtherTab }),
  signout: ({ reason, fromOtherTab, evidence }) => ({ reason, fromOtherTab, evidence }),
  forbidden: ({ status }) => ({ status }),
  server: ({ state, since }) => ({ state, since }),
  refresh: () => ({}),
  diagnosis: ({ cause, evidence, docs }) => ({ cause, evidence, docs }),
  log: ({ entry }) => ({ entry }),
};

window.createKeeper = createKeeper;
window.KeeperError = KeeperError;
window.events = [];

/** Makes `window.keeper`; what `options` leaves out is short. Does not start it. */
window.keepSession = ({ health, verify, ...options } = {}) => {
  const keeper = createKeeper({
    ...options,
    health: health === false ? false : { ...short.health, ...health },
    verify: { ...short.verify, ...verify },
  });
  if (keeper === window.keeper) return;
  for (const [type, fields] of Object.entries(told)) {
    keeper.addEventListener(type, (event) => {
      window.events.push({ type, at: Date.now(), ...fields(event) });
    });
  }
  window.keeper = keeper;
};

/** Signs in as the demo's user and hands over the answer as it comes. Returns the token. */
window.signIn = async (base = location.origin) => {
  const response = await fetch(`${base}/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: "demo", password: "demo" }),
  });
  const answer = await response.json();
  await window.keeper.signIn(answer);
  return answer.access_token;
};

/** Adds a tag as an app does. Returns the status and the tags. */
window.addTag = async (name, init = {}) => {
  const response = await window.keeper.fetch("/api/tags", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name }),
    ...init,
  });
  return { status: response.status, ...(await response.json()) };
};

window.ready = true;
