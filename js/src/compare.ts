/**
 * What a stored record means to a fallback that already knows something.
 *
 * Rule: what is older than what is known changes nothing, and what comes late undoes no sign-in
 * and no sign-out of this page, whatever its number.
 */

import type { Live, Stored, Tombstone } from "./record.js";

/** What this page has done last; each is an object of its own. */
export interface Decision {
  readonly kind: "sign-in" | "sign-out";
}

export interface Held {
  readonly live: Live | undefined;
  /** The highest generation that was seen. */
  readonly newest: number;
  /** The store has told nothing before, so that `newest` says nothing about it. */
  readonly isBlind: boolean;
  readonly isRestoring: boolean;
  readonly isCookie: boolean;
  /** What this page has done since the record was asked for. */
  readonly decided: Decision["kind"] | undefined;
}

/**
 * `stale`: nothing. `lost`: ours is to be written again, or what nobody can read erased.
 * `outnumbered`: ours stays, and is to be written above its number. `session`: it is ours now.
 * `ended`: it is what the user has signed out of here. `sign-out`: ours is over. `owed`: that,
 * and the server does not know of it yet.
 */
export type Meaning = "stale" | "lost" | "outnumbered" | "session" | "ended" | "sign-out" | "owed";

/** After these all is as it was. */
export const NO_NEWS: readonly Meaning[] = ["stale", "lost", "outnumbered"];

export function compare(stored: Stored, held: Held): Meaning {
  const { kind } = stored;
  if (kind === "live") return compareLive(stored.live, held);
  if (kind === "tombstone") return compareTombstone(stored.tombstone, held);
  // A record of this page was written over it meanwhile.
  const isErasable = kind === "corrupt" && !held.decided;
  const isLost = held.live && (kind === "absent" || kind === "corrupt");
  return isLost || isErasable ? "lost" : "stale";
}

/** 0 where there is none. */
export function generationOf(stored: Stored): number {
  if (stored.kind === "live") return stored.live.generation;
  return stored.kind === "tombstone" ? stored.tombstone.generation : 0;
}

function compareLive(found: Live, { live, newest, isBlind, decided }: Held): Meaning {
  const isNewer = live
    ? found.token_id !== live.token_id && found.generation >= live.generation
    : isBlind || found.generation > newest;
  if (!isNewer) return "stale";
  if (!decided) return "session";
  if (live) return "outnumbered";
  return decided === "sign-out" ? "ended" : "stale";
}

function compareTombstone(tombstone: Tombstone, held: Held): Meaning {
  const { live, isBlind, isRestoring, isCookie, decided } = held;
  const isFirst = !decided && (isBlind || isRestoring);
  if (isFirst && isCookie && tombstone.undelivered) return "owed";
  if (!live) return isFirst ? "sign-out" : "stale";
  if (!isFirst && !isOver(live, tombstone)) return "stale";
  // With a cookie the server itself has let the user in since.
  return decided || (isFirst && isCookie) ? "outnumbered" : "sign-out";
}

/** Whether the tombstone ends this session. */
const isOver = (live: Live, { generation, token_id }: Tombstone): boolean =>
  generation > live.generation || (generation === live.generation && token_id === live.token_id);
