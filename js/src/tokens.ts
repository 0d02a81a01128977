/**
 * What `signIn` is given, in its several spellings, made into one.
 *
 * Rule: a token is refused here or fits into a header, and no message repeats it.
 */

import type { SignInToken } from "../types.js";
import { now } from "./clock.js";
import { KeeperError } from "./errors.js";

export interface SignIn {
  /** Empty where the session is not proven by a token of ours. */
  readonly token: string;
  readonly refresh: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined;
  readonly user: unknown;
}

/** The union of what backends send: `null` stands for what they have not. */
type Given = Partial<Record<keyof SignInToken | `${"access" | "refresh"}_token`, unknown>> & {
  expires_in?: unknown;
};

/** Milliseconds that early are in 1973, when nobody issued tokens; seconds reach it in 5138. */
const SECONDS = 1e11;

/** `needsToken`: in bearer mode there is no session without one. */
export function readSignIn(input: unknown, needsToken: boolean): SignIn {
  const given: Given = typeof input === "object" ? (input ?? {}) : { token: input };
  const token = given.token ?? given.access_token;
  const refresh = given.refreshToken ?? given.refresh_token ?? undefined;
  const isAbsent = token === undefined && !needsToken;
  if (!(isAbsent || isToken(token)) || !(refresh === undefined || isToken(refresh))) {
    const message = "the token must be a string of visible ASCII without spaces";
    throw new KeeperError("invalid-token", message);
  }
  return {
    token: needsToken ? String(token) : "",
    refresh: needsToken ? refresh : undefined,
    expiresAt: readExpiry(given) ?? readExp(token),
    user: given.user,
  };
}

/** What a header takes as a credential. */
export const isToken = (value: unknown): value is string =>
  typeof value === "string" && /^[!-~]+$/.test(value);

function readExpiry({ expiresAt, expires_in }: Given): number | undefined {
  if (expiresAt != null) {
    const at = typeof expiresAt === "string" ? readIso(expiresAt) : Number(expiresAt);
    if (at < SECONDS) invalid("expiresAt is in seconds: multiply it by 1000");
    return isTime(at)
      ? Math.round(at)
      : invalid("expiresAt must be milliseconds, a Date or ISO 8601 with a zone");
  }
  if (expires_in == null) return undefined;
  const at = typeof expires_in === "number" && expires_in >= 0 ? now() + expires_in * 1000 : NaN;
  return isTime(at) ? Math.round(at) : invalid("expires_in must be seconds, 0 or more");
}

/** Without a zone the same text is another time in each country. */
const readIso = (text: string): number =>
  /^\d{4}-.*(Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : NaN;

/** RFC 7519 section 4.1.4, unverified: it informs and ends nothing. Garbage says nothing. */
function readExp(token: unknown): number | undefined {
  try {
    const payload = String(token).split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const { exp } = JSON.parse(atob(payload));
    return typeof exp === "number" && exp > 0 && exp < SECONDS ? Math.round(exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}

/** Times that a `Date` can hold; `NaN` is none. */
const isTime = (at: number): boolean => at >= 0 && at <= 8.64e15;

function invalid(message: string): never {
  throw new KeeperError("invalid-expiry", message);
}
