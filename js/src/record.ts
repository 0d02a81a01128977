/**
 * The record of a session as `docs/formats.md` has it, for the fallback. The core has a reader of
 * its own, in `src/record.rs`; fixtures in `tests/formats/` hold both to the same format.
 *
 * Rule: what is no record of this version and this origin is told apart here, and trusted nowhere
 * else.
 */

import type { Evidence, SignOut, SignOutReason } from "../types.js";
import { isToken } from "./tokens.js";

const VERSION = 1;
const GENERATION_MAX = 2 ** 31;
const REASONS = ["rejected", "expired", "user", "idle", "age"];

/** Which session it is about. */
export interface Generation {
  readonly generation: number;
  readonly token_id: string;
}

/** What is not known here is kept: a newer version may have written it. */
export interface Live extends Generation {
  readonly token?: string;
  readonly saved_at?: number;
  readonly expires_at?: number;
  readonly verified_at?: number;
  readonly refresh_token?: string;
  readonly refresh_attempt?: string;
  readonly lifetime?: number;
}

export interface Tombstone extends Generation {
  readonly signOut: SignOut;
  readonly undelivered: boolean;
}

export type Stored =
  | { readonly kind: "live"; readonly live: Live }
  | { readonly kind: "tombstone"; readonly tombstone: Tombstone }
  | { readonly kind: "absent" | "corrupt" | "foreign" | "unreadable" };

type Fields = Readonly<Record<string, unknown>>;

/** Reads what a store holds for a keeper of `origin`. */
export function readRecord(stored: unknown, origin: string, needsToken: boolean): Stored {
  if (typeof stored !== "string") return { kind: "absent" };
  const fields = parse(stored);
  if (!fields) return { kind: "corrupt" };
  const { v, origin: named, generation, token_id, signed_out, token } = fields;
  const isOfAnother = typeof named === "string" && named !== origin;
  if (isOfAnother || (isCount(v) && v > VERSION)) return { kind: "foreign" };
  const isNamed = isCount(generation) && generation >= 1 && generation <= GENERATION_MAX;
  const hasId = typeof token_id === "string" && /^[\da-f]{16}$/.test(token_id);
  if (!isCount(v) || typeof named !== "string" || !isNamed || !hasId) return { kind: "corrupt" };
  const of = { generation, token_id };
  if (typeof signed_out === "object" && signed_out) {
    const signOut = readSignOut(signed_out as Fields);
    if (!signOut) return { kind: "corrupt" };
    return { kind: "tombstone", tombstone: { ...of, signOut, undelivered: !!fields.undelivered } };
  }
  if (needsToken && !isToken(token)) return { kind: "corrupt" };
  return { kind: "live", live: { ...readTimes(fields), ...of } };
}

export const writeLive = (origin: string, live: Live): string =>
  JSON.stringify({ ...live, v: VERSION, origin });

export function writeTombstone(origin: string, tombstone: Tombstone): string {
  const { generation, token_id, undelivered } = tombstone;
  const { reason, at, evidence } = tombstone.signOut;
  return JSON.stringify({
    v: VERSION,
    origin,
    generation,
    token_id,
    signed_out: { reason, at, ...evidence },
    ...(undelivered && { undelivered }),
  });
}

/** 64 random bits as 16 hex digits: names a token without telling it. */
export function newTokenId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The number after the highest that was seen. */
export const nextGeneration = (newest: number): number => Math.min(newest + 1, GENERATION_MAX);

/** Without the moments that are none. */
function readTimes(fields: Fields): Fields {
  const moments = ["saved_at", "expires_at", "verified_at"];
  const isSound = ([key, value]: [string, unknown]) => !moments.includes(key) || isCount(value);
  return Object.fromEntries(Object.entries(fields).filter(isSound));
}

function readSignOut({ reason, at, rule, chance, refusals }: Fields): SignOut | undefined {
  if (!REASONS.includes(reason as string) || !isCount(at)) return undefined;
  const evidence = {
    ...(typeof rule === "string" && { rule }),
    ...(typeof chance === "number" && { chance }),
    refusals: Array.isArray(refusals) ? refusals.slice(0, 16) : [],
  } as Evidence;
  return { reason: reason as SignOutReason, at, fromOtherTab: false, evidence };
}

function parse(stored: string): Fields | undefined {
  try {
    const value = JSON.parse(stored);
    return typeof value === "object" && value ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A whole number that is not negative and that a double holds exactly. */
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
