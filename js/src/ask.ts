/**
 * One request of the fallback, and what its answer says. The core has a table of its own, which
 * tells more apart.
 *
 * Rule: only the API itself can say no. A network error, a page, a redirect, a limit and a 5xx
 * say nothing, whatever `fetch` rejects with and however long it takes.
 */

import { join, originOf } from "./addresses.js";
import { now } from "./clock.js";
import type { Csrf } from "./csrf.js";
import type { Options } from "./options.js";

/** What the options say of how the API is asked. */
export interface Api {
  readonly base: string;
  /** The page's origin. */
  readonly page: string | undefined;
  readonly verifyPath: string;
  readonly auth: unknown;
  readonly authorize: ((request: Request) => Request | Promise<Request>) | undefined;
  /** Before the token; none where something else than a token proves the user. */
  readonly scheme: string | undefined;
  readonly csrf: Csrf | undefined;
  /** As long as an answer may take. */
  readonly wakeTimeoutMs: number;
}

export type Answer =
  | { readonly kind: "accepted"; readonly user: unknown }
  | { readonly kind: "rejected"; readonly status: number; readonly grade: "strong" | "weak" }
  /** The API answered, and showed no user. */
  | { readonly kind: "other"; readonly status: number }
  /** Somebody answered who may not be the API. */
  | { readonly kind: "unproven" }
  /** Nobody answered, or one that is too busy or too broken for it. */
  | { readonly kind: "none"; readonly isNetwork: boolean; readonly retryMs: number }
  /** The app's own function gave no request to send. */
  | { readonly kind: "not-sent" };

interface Received {
  readonly response: Response;
  readonly isPage: boolean;
  readonly isJson: boolean;
  readonly body: unknown;
}

export const NOT_SENT = "not-sent";
/** Nothing: no answer. */
type Exchanged = Received | typeof NOT_SENT | undefined;

const UNPROVEN: Answer = { kind: "unproven" };
/** No answer about anybody, as every 5xx is none: too slow, misdirected, too early, too many. */
const NOT_NOW = [408, 421, 425, 429];
/** Walls in front of the API, and refusals that are not about the session. */
const NOT_OURS = /\b(basic|digest|negotiate|ntlm|use_dpop_nonce|insufficient_\w+)\b/i;

/** Whether the token is good. */
export async function askVerify(options: Options, token: string | undefined): Promise<Answer> {
  const received = await askWho(options, token);
  if (received === NOT_SENT) return { kind: NOT_SENT };
  if (!received) return { kind: "none", isNetwork: true, retryMs: 0 };
  const answer = read(options, received);
  const { csrf } = options;
  if (answer.kind === "accepted")
    csrf?.learn(answer.user, received.response.headers.get(csrf.header));
  const isWeak = answer.kind === "rejected" && answer.grade === "weak" && options.health;
  return isWeak && !(await isAwake(options)) ? UNPROVEN : answer;
}

/** The CSRF token of the session, from whoever has it: nothing where nobody says who is signed in. */
export async function askCsrf(api: Api): Promise<Received | undefined> {
  const received = await askWho(api, undefined);
  return received && received !== NOT_SENT && received.response.ok ? received : undefined;
}

function askWho(api: Api, token: string | undefined): Promise<Exchanged> {
  const headers: Record<string, string> = { Accept: "application/json" };
  // Elsewhere it would cost a preflight of its own.
  const url = join(api.base, api.verifyPath);
  if (originOf(url, "") === api.page) headers["X-Background"] = "1";
  return send(api, url, token, { headers });
}

/** Whether the server took note of a sign-out; the status of another answer. */
export interface Delivery {
  readonly isTold: boolean;
  readonly status?: number;
}

/** Tells the server of a sign-out. */
export async function askSignOut(options: Options, token: string | undefined): Promise<Delivery> {
  const { base, signOutPath } = options;
  const headers: Record<string, string> = { Accept: "application/json" };
  // The app's next page must not abort it.
  const init = { method: "POST", headers, keepalive: true };
  const received = await send(options, join(base, signOutPath!), token, init);
  if (!received || received === NOT_SENT) return { isTold: false };
  const { response, isPage, body } = received;
  const { status } = response;
  // Where the token is refused there is nothing left to end.
  const isTold = response.ok ? !isError(body) : status === 401 && !isWall(response);
  return isTold && !isPage ? { isTold } : { isTold: false, status };
}

/** A 401 without a body may be a proxy's: it counts where the health path proves the API awake. */
async function isAwake(options: Options): Promise<boolean> {
  const { path, credentials } = options.health!;
  const received = await exchange(options, (signal) =>
    fetch(join(options.base, path), {
      cache: "no-store",
      redirect: "manual",
      credentials,
      signal,
    }),
  );
  return !!received && received !== NOT_SENT && received.response.ok && !received.isPage;
}

function send(
  api: Api,
  url: string,
  token: string | undefined,
  init: RequestInit & { headers: Record<string, string> },
): Promise<Exchanged> {
  const { auth, authorize, scheme, csrf } = api;
  if (scheme && token) init.headers.Authorization = `${scheme} ${token}`;
  return exchange(api, async (signal) => {
    const request = new Request(url, {
      ...init,
      cache: "no-store",
      // Following one could carry the credential away.
      redirect: "manual",
      credentials: auth === "cookie" ? "include" : "same-origin",
      signal,
    });
    const isChange = auth === "cookie" && request.method !== "GET";
    if (csrf && isChange) return csrf.sendRequest(request);
    if (!authorize) return fetch(request);
    // What it threw is on the console already.
    const authorized = await Promise.resolve(authorize(request)).catch(() => undefined);
    return authorized && fetch(authorized);
  });
}

/** Bounded from the first byte to the last. */
export async function exchange(
  { wakeTimeoutMs }: Pick<Api, "wakeTimeoutMs">,
  step: (signal: AbortSignal) => Promise<Response | undefined>,
): Promise<Exchanged> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve(undefined);
    }, wakeTimeoutMs);
  });
  const received = async () => {
    const response = await step(controller.signal);
    return response ? recognize(response, await response.text()) : NOT_SENT;
  };
  try {
    return await Promise.race([received(), late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function recognize(response: Response, text: string): Received {
  const type = response.headers.get("content-type") ?? "";
  const isOpaque = response.type.startsWith("opaque");
  const isPage = isOpaque || response.redirected || /html/i.test(type) || /^\s*</.test(text);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { response, isPage, isJson: false, body };
  }
  return { response, isPage, isJson: true, body };
}

function read({ verify }: Options, { response, isPage, isJson, body }: Received): Answer {
  const { status } = response;
  const said = verify.classify?.(response, body);
  if (said === "valid") return { kind: "accepted", user: body };
  if (said === "rejected") return { kind: "rejected", status, grade: "strong" };
  if (status >= 500 || NOT_NOW.includes(status))
    return { kind: "none", isNetwork: false, retryMs: readRetryAfter(response) };
  if (isPage) return UNPROVEN;
  if (response.ok && isUser(body)) return { kind: "accepted", user: body };
  if (status !== 401) return isJson || status === 204 ? { kind: "other", status } : UNPROVEN;
  if (isWall(response)) return UNPROVEN;
  const isStrong = isJson || /error="?invalid_token/.test(challengeOf(response));
  return { kind: "rejected", status, grade: isStrong ? "strong" : "weak" };
}

const challengeOf = ({ headers }: Response): string => headers.get("www-authenticate") ?? "";
export const isWall = (response: Response): boolean => NOT_OURS.test(challengeOf(response));

/** RFC 9110 section 10.2.3: seconds or a date; 0 where it says nothing of use. */
function readRetryAfter({ headers }: Response): number {
  const value = headers.get("retry-after") ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now();
  return ms > 0 ? ms : 0;
}

type Fields = Readonly<Record<string, unknown>>;

/** A JSON object that has not the shape of an error: what else shows nobody, `classify` says. */
const isUser = (body: unknown): boolean =>
  typeof body === "object" && !!body && !Array.isArray(body) && !isError(body);

/**
 * The ways in which backends say with a 200 that something went wrong: the rule of `is_error` in
 * `src/transport.rs`. A number from 400 is a status by itself, anything else only beside a text:
 * `{ id: 1, code: "1042" }` is a user.
 */
function isError(body: unknown): boolean {
  const fields = Object(body) as Fields;
  const isAny = (keys: string, is: (value: unknown) => unknown) =>
    keys.split(" ").some((key) => is(fields[key]));
  const hasText = isAny("msg message detail", (value) => typeof value === "string");
  const isCode = (value: unknown) => {
    const code = /^\d+$/.test(String(value)) ? Number(value) : 0;
    const isStatus = code >= 400 && code < 600;
    if (!hasText) return isStatus && typeof value === "number";
    return isStatus || (code >= 40_000 && code < 60_000);
  };
  const isDenied = (value: unknown) => value === false;
  return (
    isAny("error errors", Boolean) ||
    isAny("success ok authenticated", isDenied) ||
    isAny("code status statusCode", isCode)
  );
}
