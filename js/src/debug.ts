/**
 * The debug view: seconds and spelling as the backend's `/api/debug/token`, and never the token.
 */

import type { DebugView, Snapshot } from "../types.js";
import { now } from "./clock.js";

/** What the core adds to the snapshot. Waits are milliseconds. */
export interface Facts {
  nextPing: number | null;
  nextVerification: number | null;
  runOut: boolean;
  boot: string | null;
  instances: string[];
  tokenId: string | null;
  storage: DebugView["storage"];
  savedAt: number | undefined;
}

const NOTHING: Facts = {
  nextPing: null,
  nextVerification: null,
  runOut: false,
  boot: null,
  instances: [],
  tokenId: null,
  storage: "memory",
  savedAt: undefined,
};

export function debugView(snapshot: Snapshot, leader: boolean, facts = NOTHING): DebugView {
  const { session, server, expiresAt } = snapshot;
  const hasToken = facts.tokenId !== null;
  const left = expiresAt === undefined ? null : Math.max(0, expiresAt - now());
  return {
    status: session,
    token_available: hasToken,
    token_info: {
      has_token: hasToken,
      is_valid: hasToken && !facts.runOut && session !== "suspect",
      expires_in: seconds(left),
      expiry_time: iso(expiresAt),
      saved_at: iso(facts.savedAt),
      token_id: facts.tokenId,
    },
    server,
    boot: facts.boot,
    instances: facts.instances,
    next_ping_in: seconds(facts.nextPing),
    next_verification_in: seconds(facts.nextVerification),
    storage: facts.storage,
    leader,
  };
}

const seconds = (ms: number | null) => (ms === null ? null : Math.round(ms / 1000));

/** A stored record may claim any number, and `toISOString` throws beyond what a date can hold. */
const iso = (at = Infinity) => (at <= 8.64e15 ? new Date(at).toISOString() : null);
