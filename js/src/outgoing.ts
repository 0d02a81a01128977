/**
 * One request of the app as it is sent, once or again: its URL, its credential, its redirects.
 *
 * Rule: the credential goes to named origins only, and no redirect carries it to another unless
 * the app allows that for this request. A body is sent again as it was at the call. Decides
 * nothing about waiting.
 */

import { KeeperError } from "./errors.js";
import type { Options } from "./options.js";

export interface KeeperInit extends RequestInit {
  /** Its method may change something, and it may be sent again all the same. */
  retry?: boolean | undefined;
  /** `"follow"`: the browser follows a redirect to another origin. */
  crossOriginRedirects?: "reject" | "follow" | undefined;
  /** Sends each attempt in the place of `fetch`. */
  transport?: typeof fetch | undefined;
}

/** When a request may be sent again, as the core counts: see `Replay` there. */
export const NEVER = 0;
export const AFTER_UNAUTHORIZED = 1;
export const ALWAYS = 2;

/** One of the two. */
export interface Outcome {
  response?: Response;
  error?: unknown;
}

export interface Outgoing {
  readonly url: string;
  readonly method: string;
  readonly signal: AbortSignal | undefined;
  readonly replay: number;
  /** Sends it, with the credential of now. `isBare`: nobody is signed in. */
  attempt(credential: string | undefined, isBare: boolean): Promise<Outcome>;
  /** Whether the app has set a credential of its own. */
  readonly hasOwnCredential: boolean;
}

/** Sends it as it is but for these members of its init. */
type Sent = (over: RequestInit) => Promise<Response>;

/** Methods that change nothing, so that a repeat does no harm. */
const SAFE = ["GET", "HEAD", "OPTIONS"];

/** Redirects are followed on the page's own origin, and lead to an error anywhere else. */
const SAME_ORIGIN_ONLY: RequestInit = { mode: "same-origin", redirect: "follow" };

/** Where a relative URL leads: paths are appended to the API's address. */
export function resolve(url: string, base: string): string {
  if (/^([a-z][a-z\d+.-]*:|\/\/)/i.test(url)) return url;
  return base + (/^[/?]/.test(url) ? "" : "/") + url;
}

/** Whether the URL leads to one of the origins, resolved as a browser does. */
export function isAllowedOrigin(url: string | URL, origins: readonly string[]): boolean {
  const text = String(url);
  // Most do, and behind the slash nothing changes the origin.
  if (origins.some((origin) => text.startsWith(`${origin}/`))) return true;
  try {
    return origins.includes(new URL(text, globalThis.document?.baseURI).origin);
  } catch {
    return false;
  }
}

/** Prepares a request to an origin that may receive the credential. */
export function prepare(
  options: Options,
  target: Request | string,
  { retry, crossOriginRedirects, transport, ...given }: KeeperInit,
): Outgoing {
  const init = withNativeSignal(given);
  const body = init.body ?? undefined;
  const isStream =
    typeof body === "object" && ("getReader" in body || Symbol.asyncIterator in body);
  // What the app may change after the call is copied, as `fetch` does.
  const isMutable = typeof body === "object" && !(body instanceof Blob);
  const needsRequest = typeof target !== "string" || isMutable || !!options.authorize;
  const request = needsRequest ? new Request(target, init) : undefined;
  const method = request?.method ?? (init.method ?? "GET").toUpperCase();
  const isSafe = SAFE.includes(method);
  const url = request?.url ?? (target as string);
  const headers = request?.headers ?? snapshot(init.headers);
  const redirect = request?.redirect ?? init.redirect ?? "follow";
  const source: Source = { request, url, init, headers, isStream, transport };
  const hasOwnCredential = has(headers, "authorization");
  return {
    url,
    method,
    signal: request?.signal ?? init.signal ?? undefined,
    replay: isStream ? NEVER : isSafe || retry ? ALWAYS : AFTER_UNAUTHORIZED,
    hasOwnCredential,
    attempt: async (credential, isBare) => {
      const { auth, authorize, csrf, origin, page } = options;
      if (auth === "cookie") {
        const send = async (extra: Extra) =>
          (await open(source, extra, undefined))({ credentials: "include" });
        const isChange = csrf && !isSafe && isAllowedOrigin(url, [origin]);
        return settle(isChange ? csrf.send(send, { isOnce: isStream, isBare }) : send(undefined));
      }
      const isOwn = hasOwnCredential || !credential;
      const sent = await open(source, isOwn ? undefined : { Authorization: credential }, authorize);
      const isPlain = !authorize && !credential;
      const isCareless = crossOriginRedirects === "follow";
      if (isPlain || isCareless || redirect !== "follow") return reach(sent, {});
      return reachWithin(sent, isSafe, !!page && isAllowedOrigin(url, [page]));
    },
  };
}

interface Source {
  readonly request: Request | undefined;
  readonly url: string;
  readonly init: RequestInit;
  readonly headers: Fields;
  readonly isStream: boolean;
  readonly transport: typeof fetch | undefined;
}

type Extra = Record<string, string> | undefined;
type Fields = Headers | Record<string, string> | undefined;

function open(source: Source, extra: Extra, authorize: Options["authorize"]): Sent | Promise<Sent> {
  const { request, url, init, headers, isStream, transport = fetch } = source;
  if (!request) {
    const all = merge(headers, extra);
    return (over) => transport(url, { ...init, ...(all && { headers: all }), ...over });
  }
  // A stream is read once, whoever reads it.
  const copy = isStream ? request : request.clone();
  for (const name in extra) copy.headers.set(name, extra[name]!);
  if (!authorize) return (over) => transport(copy, over);
  return Promise.resolve(authorize(copy)).then((sent) => (over) => transport(sent, over));
}

/** As they are at the call. An object is cheaper than `Headers` by several calls of the browser. */
const snapshot = (headers: HeadersInit | undefined): Fields =>
  headers && (isPlain(headers) ? { ...headers } : new Headers(headers));

const isPlain = (headers: HeadersInit): headers is Record<string, string> =>
  Object.getPrototypeOf(headers) === Object.prototype;

const has = (headers: Fields, name: string): boolean =>
  !!headers &&
  (isPlain(headers)
    ? Object.keys(headers).some((key) => key.toLowerCase() === name)
    : headers.has(name));

function merge(headers: Fields, extra: Extra): Fields {
  if (!headers || !extra) return headers ?? extra;
  const names = Object.keys(extra);
  // The same name in another spelling would be sent twice.
  if (isPlain(headers) && !names.some((name) => has(headers, name.toLowerCase()))) {
    return { ...headers, ...extra };
  }
  const all = new Headers(headers);
  for (const name of names) all.set(name, extra[name]!);
  return all;
}

/** Sends a request whose redirects must not carry the credential to another origin. */
async function reachWithin(sent: Sent, isSafe: boolean, isOwn: boolean): Promise<Outcome> {
  // What changes nothing is asked again where the redirect leads; a second POST would be one more.
  if (!isSafe && isOwn) return reach(sent, SAME_ORIGIN_ONLY);
  const outcome = await reach(sent, { redirect: "manual" });
  if (outcome.response?.type !== "opaqueredirect") return outcome;
  const within: Outcome = isOwn ? await reach(sent, SAME_ORIGIN_ONLY) : {};
  if (within.response) return within;
  const error = new KeeperError(
    "redirected",
    "a redirect to another origin is not followed with a credential: use its target",
  );
  return { error };
}

const reach = (sent: Sent, over: RequestInit): Promise<Outcome> => settle(sent(over));

const settle = (answer: Promise<Response>): Promise<Outcome> =>
  answer.then(
    (response) => ({ response }),
    (error) => ({ error }),
  );

/** A signal of another realm or of a polyfill, which `fetch` may refuse, is followed by one. */
function withNativeSignal(init: RequestInit): RequestInit {
  const { signal } = init;
  if (!signal || signal instanceof AbortSignal) return init;
  const controller = new AbortController();
  const follow = () => controller.abort((signal as AbortSignal).reason);
  if ((signal as AbortSignal).aborted) follow();
  else (signal as AbortSignal).addEventListener("abort", follow, { once: true });
  return { ...init, signal: controller.signal };
}
