/**
 * The debug view: seconds and spelling as the backend's `/api/debug/token`, and never the token.
 */

import type { DebugView, Snapshot } from "../types.js";
import { now } from "./clock.js";

/** What the core adds to the snapshot, where there is any. Waits are milliseconds. */
export interface Facts {
  nextPing?: number;
  nextVerification?: number;
  nextRefresh?: number;
  leader?: boolean;
  runOut?: boolean;
  boot?: string;
  instances?: string[];
  tokenId?: string;
  storage?: DebugView["storage"];
  savedAt?: number;
  lastAwakeAt?: number;
}

export function debugView(snapshot: Snapshot, facts: Facts = {}): DebugView {
  const { session, server, expiresAt } = snapshot;
  const { boot = null, instances = [], tokenId = null, storage = "memory" } = facts;
  const { leader = false } = facts;
  const hasToken = tokenId !== null;
  return {
    status: session,
    token_available: hasToken,
    token_info: {
      has_token: hasToken,
      is_valid: hasToken && !facts.runOut && session !== "suspect",
      expires_in: seconds(expiresAt && Math.max(0, expiresAt - now())),
      expiry_time: iso(expiresAt),
      saved_at: iso(facts.savedAt),
      token_id: tokenId,
    },
    server,
    last_awake_at: iso(facts.lastAwakeAt),
    boot,
    instances,
    next_ping_in: seconds(facts.nextPing),
    next_verification_in: seconds(facts.nextVerification),
    next_refresh_in: seconds(facts.nextRefresh),
    storage,
    leader,
  };
}

const seconds = (ms?: number) => (ms === undefined ? null : Math.round(ms / 1000));

/** A stored record may claim any number, and `toISOString` throws beyond what a date can hold. */
const iso = (at = Infinity) => (at <= 8.64e15 ? new Date(at).toISOString() : null);
