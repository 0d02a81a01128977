/**
 * One request of the fallback, and what its answer says. The core has a table of its own, which
 * tells more apart.
 *
 * Rule: only the API itself can say no. A network error, a page, a redirect and a 5xx say
 * nothing, whatever `fetch` rejects with and however long it takes.
 */

import { join, originOf } from "./addresses.js";
import { type Options, wakeTimeout } from "./options.js";

export type Answer =
  | { readonly kind: "accepted"; readonly user: unknown }
  | { readonly kind: "rejected"; readonly status: number; readonly grade: "strong" | "weak" }
  /** The API answered, and showed no user. */
  | { readonly kind: "other"; readonly status: number }
  /** Nobody of the API answered. */
  | { readonly kind: "none"; readonly isNetwork: boolean };

interface Received {
  readonly response: Response;
  readonly isPage: boolean;
  readonly isJson: boolean;
  readonly body: unknown;
}

const NONE: Answer = { kind: "none", isNetwork: false };
/** Walls in front of the API, and refusals that are not about the session. */
const NOT_OURS = /\b(basic|digest|negotiate|ntlm|use_dpop_nonce|insufficient_\w+)\b/i;

/** Whether the token is good. */
export async function askVerify(options: Options, token: string | undefined): Promise<Answer> {
  const headers: Record<string, string> = { Accept: "application/json" };
  // Elsewhere it would cost a preflight of its own.
  const url = join(options.base, options.verifyPath);
  if (originOf(url, "") === options.page) headers["X-Background"] = "1";
  const received = await send(options, url, token, { headers });
  if (!received) return { kind: "none", isNetwork: true };
  const answer = read(options, received);
  const isWeak = answer.kind === "rejected" && answer.grade === "weak" && options.health;
  return isWeak && !(await isAwake(options)) ? NONE : answer;
}

/** Whether the server took note of a sign-out; the status of another answer. */
export interface Delivery {
  readonly isTold: boolean;
  readonly status?: number;
}

/** Tells the server of a sign-out. */
export async function askSignOut(options: Options, token: string | undefined): Promise<Delivery> {
  const { auth, base, csrf, csrfHeader, signOutPath } = options;
  const headers: Record<string, string> = { Accept: "application/json" };
  const value = auth === "cookie" && csrf?.();
  if (value) headers[csrfHeader!] = value;
  // The app's next page must not abort it.
  const init = { method: "POST", headers, keepalive: true };
  const received = await send(options, join(base, signOutPath!), token, init);
  if (!received) return { isTold: false };
  const { response, isPage } = received;
  // Where the token is refused there is nothing left to end.
  if (!isPage && (response.ok || response.status === 401)) return { isTold: true };
  return { isTold: false, status: response.status };
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
  return !!received && received.response.ok && !received.isPage;
}

function send(
  options: Options,
  url: string,
  token: string | undefined,
  init: RequestInit & { headers: Record<string, string> },
): Promise<Received | undefined> {
  const { auth, authorize, scheme } = options;
  if (scheme && token) init.headers.Authorization = `${scheme} ${token}`;
  return exchange(options, async (signal) => {
    const request = new Request(url, {
      ...init,
      cache: "no-store",
      // Following one could carry the credential away.
      redirect: "manual",
      credentials: auth === "cookie" ? "include" : "same-origin",
      signal,
    });
    return fetch(authorize ? await authorize(request) : request);
  });
}

/** Bounded from the first byte to the last. */
async function exchange(
  { health }: Options,
  step: (signal: AbortSignal) => Promise<Response>,
): Promise<Received | undefined> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve(undefined);
    }, wakeTimeout(health));
  });
  const received = async () => {
    const response = await step(controller.signal);
    return recognize(response, await response.text());
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
  if (isPage || status >= 500) return NONE;
  if (response.ok && isUser(body)) return { kind: "accepted", user: body };
  if (status !== 401) return isJson || status === 204 ? { kind: "other", status } : NONE;
  const challenge = response.headers.get("www-authenticate") ?? "";
  if (NOT_OURS.test(challenge)) return NONE;
  const isStrong = isJson || /error="?invalid_token/.test(challenge);
  return { kind: "rejected", status, grade: isStrong ? "strong" : "weak" };
}

/** A JSON object, unless it has the shape of an error. */
function isUser(body: unknown): boolean {
  if (typeof body !== "object" || !body || Array.isArray(body)) return false;
  const { code, error, success, authenticated } = body as Record<string, unknown>;
  const isError = !!error || success === false || authenticated === false;
  return !isError && !(Number(code) >= 400);
}
