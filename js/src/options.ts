/**
 * What the app chose, checked and made complete: the one place that knows the options, their
 * ranges and their defaults.
 */

import type { Authorize, Classify, HistoryEntry, KeeperOptions, StorageAdapter } from "../types.js";
import { functionOr, object, optional, text, whole, word } from "./checks.js";
import { refuse } from "./errors.js";

const HEALTH_TIMEOUT = 10_000;
const WAKE_TIMEOUT = 90_000;
/** In the order of the core's numbers for them. */
const WHEN_HIDDEN = ["ping", "pause", "always"] as const;
const ON_401 = ["settle", "pass"] as const;

const ADDRESS = "must be a path or an http(s) URL without credentials, query or hash";

const path = (usual?: string) => text(/^\/[^\s#]*$/, "must be a path that starts with /", usual);
// RFC 9110 section 5.6.2: what may stand as a header's name or before a credential.
const token = (usual?: string) =>
  text(/^[\w!#$%&'*+.^`|~-]+$/, "must be a word without spaces", usual);

/** The core counts with the first five, in this order. */
const health = object({
  everyMs: whole(250, 30_000),
  timeoutMs: whole(250, HEALTH_TIMEOUT),
  wakeTimeoutMs: optional(whole(250)),
  hiddenForMs: whole(0, 600_000),
  whenHidden: (value, option) => WHEN_HIDDEN.indexOf(word(...WHEN_HIDDEN)(value, option)),
  path: path("/api/health"),
});

/** The core counts with the first five, in this order. */
const verify = object({
  everyMs: whole(250, 300_000),
  timeoutMs: whole(250, 10_000),
  retries: whole(0, 3, 10),
  retryDelayMs: whole(50, 2_000),
  whenIdleMs: optional(whole(0)),
  path: path("/auth/me"),
  classify: optional(
    functionOr<Classify, never>((_, option) => refuse(option, "must be a function")),
  ),
});

const checkOptions = object({
  baseUrl: (value, option) =>
    text(/^/, ADDRESS, "/")(value instanceof URL ? value.href : value, option),
  auth: functionOr<Authorize, "bearer" | "cookie">(word("bearer", "cookie")),
  scheme: token("Bearer"),
  health: (value, option) => value !== false && health(value, option),
  verify,
  /** 0 stands for "immediate". */
  confirm: (value, option) => (value === "immediate" ? 0 : confirm(value, option).maxFalseLogout),
  signOut: object({ path: optional(path()) }),
  fetch: object({
    origins: (value: unknown = [], option): string[] =>
      Array.isArray(value) ? value.map((origin) => readOrigin(origin, option)) : notOrigins(option),
    waitMs: whole(0, 90_000),
    maxWaiting: whole(0, 100),
    on401: word(...ON_401),
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

type Checked = ReturnType<typeof checkOptions>;

/** What holds. */
export type Options = ReturnType<typeof readOptions>;

/**
 * Reads the app's options for a page of this origin; a server has no page. `src/export.rs` takes
 * from the result what is the core's.
 */
export function readOptions(given: KeeperOptions | undefined, page: string | undefined) {
  const { baseUrl, auth, scheme, health, verify, confirm, signOut, fetch, ...rest } = checkOptions(
    given,
    "",
  );
  const { base, origin } = readBase(baseUrl, page);
  const { csrf, persist, log, name } = rest;
  const isAdapter = typeof persist === "object";
  return {
    base,
    origin,
    // A server sends no credential anywhere.
    origins: page === undefined ? [] : [origin, ...fetch.origins],
    maxWaiting: fetch.maxWaiting,
    name: name ?? `session-keeper:${origin}`,
    auth,
    authorize: typeof auth === "function" ? auth : undefined,
    scheme: auth === "bearer" ? scheme : undefined,
    health,
    healthPath: health ? health.path : undefined,
    verify,
    verifyPath: verify.path,
    classify: verify.classify,
    signOutPath: signOut.path,
    csrfHeader: csrf?.header,
    csrf: csrf && (() => readCookie(csrf.cookie)),
    persist: isAdapter ? undefined : persist,
    adapter: isAdapter ? persist : undefined,
    log,
    numbers: toNumbers(health, verify, confirm, fetch),
  };
}

/** Origins to which the credential would travel in the clear. */
export function insecureOrigins(options: Options): string[] {
  const isOpen = /^http:\/\/(?!(localhost|[^/:]+\.localhost|127\.0\.0\.1|\[::1\])(:|$))/;
  return options.origins.filter((origin) => isOpen.test(origin));
}

/** In the order in which `src/export.rs` reads them; NaN where the choice is none. */
function toNumbers(
  health: Checked["health"],
  verify: Checked["verify"],
  maxFalseLogout: number,
  { waitMs, maxWaiting, on401 }: Checked["fetch"],
): number[] {
  const pings = health ? Object.values({ ...health, wakeTimeoutMs: wakeTimeout(health) }) : [];
  const five = (values: unknown[]) => Array.from({ ...values, length: 5 });
  const requests = [waitMs, maxWaiting, ON_401.indexOf(on401)];
  const choices = [...five(pings), ...five(Object.values(verify)), maxFalseLogout, ...requests];
  return choices.map(Number);
}

function wakeTimeout({ timeoutMs, wakeTimeoutMs }: ReturnType<typeof health>): number {
  const wake = wakeTimeoutMs ?? Math.max(WAKE_TIMEOUT, timeoutMs);
  if (wake < timeoutMs) refuse("health.wakeTimeoutMs", "must be at least health.timeoutMs");
  return wake;
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

/** An empty one where there is none, because a header needs a text. */
function readCookie(name: string): string {
  const start = `${name}=`;
  const pair = document.cookie.split("; ").find((pair) => pair.startsWith(start));
  return pair?.slice(start.length) ?? "";
}

function parse(address: string, base?: string): URL | undefined {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
}
