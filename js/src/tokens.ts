/**
 * What `signIn` is given, in its several spellings, made into one.
 *
 * Rule: a token is refused here or fits into a header, and no message repeats it. A refresh token
 * is kept only where `refresh` uses it: what is not stored cannot be stolen.
 */

import { now } from "./clock.js";
import { KeeperError } from "./errors.js";

export interface SignIn {
  /** Empty where the session is not proven by a token of ours. */
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined;
  readonly user: unknown;
}

/** The union of what backends send: `null` stands for what they have not. */
type Given = Readonly<Record<string, unknown>>;

/** OAuth 2 (RFC 6749), camel case, Simple JWT, ours and Django REST framework, dj-rest-auth. */
const TOKENS = ["access_token", "accessToken", "access", "token", "key"];

const REFRESH_TOKENS = ["refresh_token", "refreshToken", "refresh"];

const LIFETIMES = ["expires_in", "expiresIn"];

/** Milliseconds that early are in 1973, when nobody issued tokens; seconds reach it in 5138. */
const SECONDS = 1e11;

/** `needsToken`: in bearer mode there is no session without one. */
export function readSignIn(input: unknown, needsToken: boolean): SignIn {
  const given = (typeof input === "object" ? (input ?? {}) : { token: input }) as Given;
  const token = first(given, TOKENS);
  const isAbsent = token === undefined && !needsToken;
  if (!isAbsent && !isToken(token)) {
    const message =
      "the token must be a string of visible ASCII without spaces, " +
      `by itself or as ${TOKENS.join(", ")}`;
    throw new KeeperError("invalid-token", message);
  }
  return {
    token: needsToken ? String(token) : "",
    expiresAt: readExpiry(given) ?? readExp(token),
    user: given.user ?? undefined,
  };
}

/** What the core stores with a token, in the record's spelling. */
export interface Kept {
  refresh_token?: string;
  /** Milliseconds from when it was handed over; needs no clock of the server. */
  lifetime?: number;
}

/** `refreshes`: the refresh token is of use. */
export function readKept(input: unknown, refreshes: boolean): Kept {
  const given = (typeof input === "object" ? (input ?? {}) : { token: input }) as Given;
  const refreshToken = first(given, REFRESH_TOKENS);
  const { exp, iat } = readClaims(first(given, TOKENS));
  const life = readNumber(first(given, LIFETIMES) ?? (exp as number) - (iat as number));
  return {
    ...(refreshes && isToken(refreshToken) && { refresh_token: refreshToken }),
    ...(life >= 0 && isTime(life * 1000) && { lifetime: Math.round(life * 1000) }),
  };
}

/**
 * What the answer of a refresh or of `acquire` holds, as `src/refresh.rs` reads it. `refreshes`:
 * the refresh token is of use.
 */
export function readRefreshed(
  body: unknown,
  old: Stored = {},
  needsToken: boolean,
  refreshes = needsToken,
): Refreshed {
  const { error, code, user } = (body ?? {}) as Given;
  const record = readRecord(body, needsToken, refreshes);
  // A server that hands out no other one means the present one (RFC 6749 section 6).
  const refresh_token = record?.refresh_token ?? old.refresh_token;
  return {
    record: record && { ...record, ...(refresh_token && { refresh_token }) },
    isSame: !!record?.token && record.token === old.token,
    isInvalidGrant: [error, code].includes("invalid_grant"),
    user: user ?? undefined,
  };
}

interface Stored extends Kept {
  token?: string;
}

interface Refreshed {
  record: Stored | undefined;
  isSame: boolean;
  isInvalidGrant: boolean;
  /** Of whom an acquired token is. */
  user: unknown;
}

/**
 * The record that an answer makes; nothing where it has no token. An expiry that is none says
 * nothing: the server has used up the old token, and the new one is good.
 */
function readRecord(answer: unknown, needsToken: boolean, refreshes: boolean): Stored | undefined {
  if (typeof answer !== "object" && needsToken) return undefined;
  for (const input of [answer, without(answer, ["expiresAt", ...LIFETIMES])]) {
    try {
      const { token, expiresAt } = readSignIn(input, needsToken);
      return {
        ...(token && { token }),
        ...(expiresAt !== undefined && { expires_at: expiresAt }),
        ...readKept(input, refreshes),
      };
    } catch {
      continue;
    }
  }
  return undefined;
}

const without = (answer: unknown, names: string[]): unknown =>
  typeof answer === "object" && answer
    ? Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)))
    : answer;

/** What a header takes as a credential. */
export const isToken = (value: unknown): value is string =>
  typeof value === "string" && /^[!-~]+$/.test(value);

/** The first of these members that is there. */
const first = (given: Given, names: string[]): unknown =>
  names.map((name) => given[name]).find((value) => value != null);

function readExpiry(given: Given): number | undefined {
  const { expiresAt } = given;
  if (expiresAt != null) {
    const at = typeof expiresAt === "string" ? readIso(expiresAt) : Number(expiresAt);
    if (at < SECONDS) invalid("expiresAt is in seconds: multiply it by 1000");
    return isTime(at)
      ? Math.round(at)
      : invalid("expiresAt must be milliseconds, a Date or ISO 8601 with a zone");
  }
  const life = first(given, LIFETIMES);
  if (life !== undefined) {
    const seconds = readNumber(life);
    const at = seconds >= 0 ? now() + seconds * 1000 : NaN;
    return isTime(at) ? Math.round(at) : invalid("expires_in must be seconds, 0 or more");
  }
  return readInstant(first(given, ["expires_at", "expiry"]));
}

/**
 * A server's own spelling of an instant: seconds as in a JWT, milliseconds or ISO 8601. It only
 * informs, so what is none of them says nothing rather than refuse a good token.
 */
function readInstant(value: unknown): number | undefined {
  const number = readNumber(value);
  const iso = typeof value === "string" ? readIso(value) : NaN;
  const at = Number.isNaN(number) ? iso : number < SECONDS ? number * 1000 : number;
  return isTime(at) ? Math.round(at) : undefined;
}

/** A number, also as the text that PHP and some gateways make of it. */
const readNumber = (value: unknown): number =>
  typeof value === "number" || /^\d+(\.\d+)?$/.test(String(value)) ? Number(value) : NaN;

/** Without a zone the same text is another time in each country. */
const readIso = (text: string): number =>
  /^\d{4}-.*(Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : NaN;

/** RFC 7519 section 4.1.4, unverified: it informs and ends nothing. Garbage says nothing. */
function readExp(token: unknown): number | undefined {
  const { exp } = readClaims(token);
  return typeof exp === "number" && exp > 0 && exp < SECONDS ? Math.round(exp * 1000) : undefined;
}

function readClaims(token: unknown): { exp?: unknown; iat?: unknown } {
  try {
    const payload = String(token).split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload)) ?? {};
  } catch {
    return {};
  }
}

/** Times that a `Date` can hold; `NaN` is none. */
const isTime = (at: number): boolean => at >= 0 && at <= 8.64e15;

function invalid(message: string): never {
  throw new KeeperError("invalid-expiry", message);
}
