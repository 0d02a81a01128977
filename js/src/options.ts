/**
 * What the app chose, checked and made complete: the one place that knows the options, their
 * ranges and their defaults. The core is handed the result as it is.
 */

import type { Authorize, Classify, HistoryEntry, KeeperOptions, StorageAdapter } from "../types.js";
import { functionOr, object, optional, text, whole, word } from "./checks.js";
import { refuse } from "./errors.js";

const HEALTH_TIMEOUT = 10_000;
const WAKE_TIMEOUT = 90_000;

const ADDRESS = "must be a path or an http(s) URL without credentials, query or hash";

const path = (usual?: string) => text(/^\/[^\s#]*$/, "must be a path that starts with /", usual);
// RFC 9110 section 5.6.2: what may stand as a header's name or before a credential.
const token = (usual?: string) =>
  text(/^[\w!#$%&'*+.^`|~-]+$/, "must be a word without spaces", usual);

const health = object({
  path: path("/api/health"),
  everyMs: whole(250, 30_000),
  timeoutMs: whole(250, HEALTH_TIMEOUT),
  wakeTimeoutMs: optional(whole(250)),
  whenHidden: word("ping", "pause", "always"),
  hiddenForMs: whole(0, 600_000),
});

const checkOptions = object({
  baseUrl: (value, option) =>
    text(/^/, ADDRESS, "/")(value instanceof URL ? value.href : value, option),
  auth: functionOr<Authorize, "bearer" | "cookie">(word("bearer", "cookie")),
  scheme: token("Bearer"),
  health: (value, option) => value !== false && health(value, option),
  verify: object({
    path: path("/auth/me"),
    everyMs: whole(250, 300_000),
    timeoutMs: whole(250, 10_000),
    retries: whole(0, 3, 10),
    retryDelayMs: whole(50, 2_000),
    classify: optional(
      functionOr<Classify, never>((_, option) => refuse(option, "must be a function")),
    ),
    whenIdleMs: optional(whole(0)),
  }),
  confirm: (value, option) => value === "immediate" || (confirm(value, option), false),
  signOut: object({ path: optional(path()) }),
  fetch: object({
    origins: (value: unknown = [], option): string[] =>
      Array.isArray(value) ? value.map((origin) => readOrigin(origin, option)) : notOrigins(option),
    waitMs: whole(0, 90_000),
    maxWaiting: whole(0, 100),
  }),
  csrf: optional(object({ cookie: token(), header: token() })),
  persist: (value, option): "local" | "session" | "memory" | StorageAdapter =>
    isAdapter(value) ? value : word("local", "session", "memory")(value, option),
  log: functionOr<(entry: HistoryEntry) => void, Loudness>(word("warn", "silent", "info", "debug")),
  name: optional(text(/^[\w.:/-]{1,64}$/, "must be 1 to 64 of A-Z a-z 0-9 . _ : / -")),
});

const confirm = object({
  maxFalseLogout: (value: unknown = 0.001, option) =>
    typeof value === "number" && value > 0 && value < 1
      ? value
      : refuse(option, "must be a number between 0 and 1"),
});

export type Loudness = "warn" | "silent" | "info" | "debug";

/** What holds. The core reads from it what is its own. */
export type Options = ReturnType<typeof readOptions>;

/** Reads the app's options for a page of this origin; a server has no page. */
export function readOptions(given: KeeperOptions | undefined, page: string | undefined) {
  const { baseUrl, health, confirm, signOut, fetch, name, ...rest } = checkOptions(given, "");
  const { base, origin } = readBase(baseUrl, page);
  return {
    ...rest,
    base,
    origin,
    // A server sends no credential anywhere.
    origins: page === undefined ? [] : [origin, ...fetch.origins],
    waitMs: fetch.waitMs,
    maxWaiting: fetch.maxWaiting,
    name: name ?? `session-keeper:${origin}`,
    health: health && { ...health, wakeTimeoutMs: wakeTimeout(health) },
    verifyPath: rest.verify.path,
    classify: rest.verify.classify,
    signOutPath: signOut.path,
    immediate: confirm,
  };
}

/** Origins to which the credential would travel in the clear. */
export function insecureOrigins(options: Options): string[] {
  const isOpen = /^http:\/\/(?!(localhost|[^/:]+\.localhost|127\.0\.0\.1|\[::1\])(:|$))/;
  return options.origins.filter((origin) => isOpen.test(origin));
}

function wakeTimeout({ timeoutMs, wakeTimeoutMs }: ReturnType<typeof health>): number {
  if (wakeTimeoutMs !== undefined && wakeTimeoutMs < timeoutMs) {
    refuse("health.wakeTimeoutMs", "must be at least health.timeoutMs");
  }
  return wakeTimeoutMs ?? Math.max(WAKE_TIMEOUT, timeoutMs);
}

function readBase(address: string, page: string | undefined) {
  const absolute = parse(address);
  // On a server a path has no origin yet, and nothing is sent.
  const url = absolute ?? parse(address, page ?? "http://localhost");
  if (!url || !isPlain(url)) refuse("baseUrl", ADDRESS);
  const { origin, pathname } = url;
  return { base: (absolute || page ? origin : "") + pathname.replace(/\/+$/, ""), origin };
}

function readOrigin(given: unknown, option: string): string {
  const url = typeof given === "string" && parse(given);
  return url && isPlain(url) && url.pathname === "/" ? url.origin : notOrigins(option);
}

const notOrigins = (option: string): never =>
  refuse(option, "must list origins such as https://files.example.com");

/** Neither credentials nor query nor hash, not even empty ones. */
const isPlain = (url: URL) =>
  /^https?:/.test(url.protocol) && url.href === url.origin + url.pathname;

function isAdapter(value: unknown): value is StorageAdapter {
  const methods = ["get", "set", "remove"] as const;
  return (
    typeof value === "object" &&
    methods.every((method) => typeof (value as StorageAdapter | null)?.[method] === "function")
  );
}

function parse(address: string, base?: string): URL | undefined {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
}
