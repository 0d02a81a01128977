/**
 * `keeper.fetch`: adds the credential, waits out a wake-up, hints at a 401.
 *
 * Rule: the credential goes to named origins only and no redirect carries it to another. A request
 * is repeated only where that is harmless and only after the server has proven itself awake since
 * it failed; every wait has an end. Knows nothing of sessions.
 */

import type { Snapshot } from "../types.js";
import { KeeperError } from "./errors.js";
import type { Options } from "./options.js";

/** What a request needs of its keeper, which tells `change` and `stop`. */
export interface Sender extends EventTarget {
  readonly options: Options;
  readonly snapshot: Snapshot;
  /** Whether there is a core that learns when the server is back. */
  readonly watches: boolean;
  /** How many requests wait. */
  waiting: number;
  credential(): string | undefined;
  refused(): void;
  unanswered(): void;
}

export interface KeeperInit extends RequestInit {
  repeat?: boolean;
}

/** Methods that change nothing, so that a repeat does no harm. */
const SAFE = ["GET", "HEAD", "OPTIONS"];
/** What platforms answer while they start an app. */
const WAKING = [502, 503, 504];
const REPEATS = 3;

export async function send(
  keeper: Sender,
  input: RequestInfo | URL,
  init?: KeeperInit,
): Promise<Response> {
  const { origin, origins, base } = keeper.options;
  const target = isRequest(input) ? input : resolve(String(input), base);
  if (!isNamed(isRequest(target) ? target.url : target, origins)) return fetch(target, init);
  const request = new Request(target, init);
  const isRepeatable =
    SAFE.includes(request.method) || (init?.repeat && !(init.body instanceof ReadableStream));
  // How another origin fares is not what the health path says.
  const isInsistent = isRepeatable && isNamed(request.url, [origin]);
  const { response, error } = await (isInsistent ? insist : attempt)(keeper, request);
  if (!response) throw error;
  if (response.status === 401) keeper.refused();
  return response;
}

/** Where a relative URL leads: paths are appended to the API's address. */
export function resolve(url: string, base: string): string {
  if (/^([a-z][a-z\d+.-]*:|\/\/)/i.test(url)) return url;
  return base + (/^[/?]/.test(url) ? "" : "/") + url;
}

/** Whether the URL leads to one of the origins, resolved as a browser does. */
export function isNamed(url: string | URL, origins: string[]): boolean {
  try {
    return origins.includes(new URL(url, globalThis.document?.baseURI).origin);
  } catch {
    return false;
  }
}

/** One of the two. */
interface Outcome {
  response?: Response;
  error?: unknown;
}

/** Repeats what got no answer of the app, once the server has proven itself awake. */
async function insist(keeper: Sender, request: Request): Promise<Outcome> {
  const over = new AbortController();
  const end = () => over.abort();
  let timer: ReturnType<typeof setTimeout> | undefined;
  keeper.addEventListener("stop", end, { signal: over.signal });
  request.signal.addEventListener("abort", end, { signal: over.signal });
  try {
    for (let repeats = REPEATS; ; repeats--) {
      const outcome = await attempt(keeper, request.clone());
      if (!isLost(outcome) || repeats <= 0 || !keeper.watches) return outcome;
      timer ??= setTimeout(end, keeper.options.waitMs);
      const was = await proof(keeper, over.signal);
      if (request.signal.aborted) throw reason(request.signal);
      if (!was) return outcome;
      // A server that was awake all along fails by itself: once more, and the app is told.
      if (was === "awake") repeats = 1;
      outcome.response?.body?.cancel();
    }
  } finally {
    clearTimeout(timer);
    end();
  }
}

async function attempt(keeper: Sender, request: Request): Promise<Outcome> {
  const [sent, init] = await authorize(keeper, request);
  let outcome = await reach(sent, init);
  if (outcome.response?.type === "opaqueredirect" && request.redirect !== "manual") {
    const isOwn = isNamed(request.url, [globalThis.origin]);
    outcome = isOwn ? await reach(sent, WITHIN) : {};
    if (!outcome.response && !request.signal.aborted) {
      throw new KeeperError(
        "redirected",
        "a redirect to another origin is not followed with a credential: use its target",
      );
    }
  }
  const { response, error } = outcome;
  if (!response && request.signal.aborted) throw error ?? reason(request.signal);
  const isOurs = isNamed(request.url, [keeper.options.origin]);
  if (isLost(outcome) && isOurs) keeper.unanswered();
  return outcome;
}

const reach = (sent: Request, init: RequestInit): Promise<Outcome> =>
  fetch(sent, init).then(
    (response) => ({ response }),
    (error) => ({ error }),
  );

const isLost = ({ response }: Outcome): boolean => !response || WAKING.includes(response.status);

async function authorize(
  keeper: Sender,
  request: Request,
): Promise<[sent: Request, init: RequestInit]> {
  const { auth, authorize, csrf, csrfHeader, origin } = keeper.options;
  const { headers, method, url } = request;
  if (auth === "cookie") {
    const value = !SAFE.includes(method) && isNamed(url, [origin]) && csrf?.();
    if (value) headers.set(csrfHeader!, value);
    return [request, { credentials: "include" }];
  }
  const credential = keeper.credential();
  if (credential && !headers.has("Authorization")) headers.set("Authorization", credential);
  const sent = authorize ? await authorize(request) : request;
  const isBare = !authorize && !credential;
  if (isBare || request.redirect !== "follow") return [sent, {}];
  // What changes nothing is asked again where the redirect leads; a second POST would be one more.
  const mayAskAgain = SAFE.includes(method) || !isNamed(url, [globalThis.origin]);
  return [sent, mayAskAgain ? { redirect: "manual" } : WITHIN];
}

/** Redirects are followed on the page's own origin, and lead to an error anywhere else. */
const WITHIN: RequestInit = { mode: "same-origin", redirect: "follow" };

/**
 * Waits until the server is proven awake: `"woken"` out of a bad spell, `"awake"` where there was
 * none. Nothing when it is over first, or when no answer came that could be waited for.
 */
async function proof(keeper: Sender, over: AbortSignal): Promise<"woken" | "awake" | undefined> {
  const { maxWaiting, health, verify } = keeper.options;
  if (keeper.waiting >= maxWaiting) {
    throw new KeeperError("too-many-waiting", `${maxWaiting} requests wait for the server already`);
  }
  if (over.aborted) return undefined;
  keeper.waiting++;
  const before = keeper.snapshot.lastAwakeAt;
  let wasAway = isAway(keeper);
  let patience: ReturnType<typeof setTimeout> | undefined;
  const was = await new Promise<"woken" | "awake" | undefined>((resolve) => {
    const giveUp = () => resolve(undefined);
    const look = () => {
      const { server, lastAwakeAt } = keeper.snapshot;
      wasAway ||= isAway(keeper);
      if (server === "awake" && lastAwakeAt !== before) resolve(wasAway ? "woken" : "awake");
    };
    keeper.addEventListener("change", look, { signal: over });
    over.addEventListener("abort", giveUp);
    // By then the server has answered, or counts as away.
    patience = setTimeout(() => wasAway || giveUp(), (health || verify).timeoutMs + 1_000);
  });
  clearTimeout(patience);
  keeper.waiting--;
  return was;
}

const isAway = ({ snapshot }: Sender): boolean =>
  ["waking", "unreachable", "offline"].includes(snapshot.server);

// Chromium 97 and Safari before 15.4 give none.
const reason = (signal: AbortSignal): unknown =>
  signal.reason ?? new DOMException("aborted", "AbortError");

const isRequest = (input: RequestInfo | URL): input is Request =>
  typeof input === "object" && "url" in input;
