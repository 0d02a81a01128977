/**
 * What the app chose, checked and made complete: the one place that knows the options, their
 * ranges and their defaults.
 */

import type {
  Acquire,
  Authorize,
  Classify,
  HistoryEntry,
  KeeperOptions,
  Refresh,
  StorageAdapter,
} from "../types.js";
import { originOf, origins, path, readBase } from "./addresses.js";
import { type Api, askCsrf } from "./ask.js";
import { complainer, guardAuthorize, guardClassify } from "./callbacks.js";
import { functionOr, object, optional, text, whole, word } from "./checks.js";
import { csrfOf } from "./csrf.js";
import { refuse } from "./errors.js";
import { attemptAt, attemptBy, runner } from "./refresh.js";
import { readRefreshed } from "./tokens.js";

const refuseNoFunction = (_: unknown, option: string) => refuse(option, "must be a function");

const HEALTH_TIMEOUT = 10_000;
const WAKE_TIMEOUT = 90_000;
const WHEN_HIDDEN = ["ping", "pause", "always"] as const;
const ON_401 = ["settle", "pass"] as const;
const CREDENTIALS = ["omit", "same-origin", "include"] as const;

// RFC 9110 section 5.6.2: what may stand as a header's name or before a credential.
const token = (defaultValue?: string) =>
  text(/^[\w!#$%&'*+.^`|~-]+$/, "must be a word without spaces", defaultValue);

const checkHealth = object({
  everyMs: whole(250, 30_000),
  timeoutMs: whole(250, HEALTH_TIMEOUT),
  wakeTimeoutMs: optional(whole(250)),
  hiddenForMs: whole(0, 600_000),
  whenHidden: word(WHEN_HIDDEN),
  path: path("/api/health"),
  credentials: optional(word(CREDENTIALS)),
});

const checkVerify = object({
  everyMs: whole(250, 300_000),
  timeoutMs: whole(250, 10_000),
  retries: whole(0, 3, 10),
  retryDelayMs: whole(50, 2_000),
  whenIdleMs: optional(whole(0)),
  path: path("/auth/me"),
  classify: optional(functionOr<Classify, never>(refuseNoFunction)),
});

const checkRefresh = object({
  path: path(),
  format: word(["json", "oauth"]),
  clientId: optional(text(/^[ -~]+$/, "must be visible ASCII")),
  marginMs: optional(whole(0)),
});

const checkOptions = object({
  baseUrl: (value) => value,
  auth: functionOr<Authorize, "bearer" | "cookie">(word(["bearer", "cookie"], " or a function")),
  scheme: token("Bearer"),
  health: (value, option) => (value === false ? undefined : checkHealth(value, option)),
  verify: checkVerify,
  /** None stands for "immediate". */
  confirm: (value, option) =>
    value === "immediate" ? undefined : checkConfirm(value, option).maxFalseSignOut,
  signOut: object({ path: optional(path()) }),
  refresh: optional(functionOr<Refresh, ReturnType<typeof checkRefresh>>(checkRefresh)),
  acquire: optional(functionOr<Acquire, never>(refuseNoFunction)),
  fetch: object({
    origins,
    waitMs: whole(0, 90_000),
    maxWaiting: whole(0, 100),
    on401: word(ON_401),
  }),
  csrf: optional(object({ cookie: optional(token()), header: token() })),
  persist: (value, option): "local" | "session" | "memory" | StorageAdapter =>
    isAdapter(value) ? value : word(["local", "session", "memory"], ADAPTER)(value, option),
  log: functionOr<(entry: HistoryEntry) => void, Loudness>(
    word(["warn", "silent", "info", "debug"], " or a function"),
  ),
  name: optional(text(/^[\w.:/-]{1,64}$/, "must be 1 to 64 of A-Z a-z 0-9 . _ : / -")),
});

const ADAPTER = " or an object with the methods get, set and remove";

const checkConfirm = object({
  maxFalseSignOut: (value: unknown = 0.001, option) =>
    typeof value === "number" && value > 0 && value < 1
      ? value
      : refuse(option, "must be a number between 0 and 1"),
});

export type Loudness = "warn" | "silent" | "info" | "debug";

type Checked = ReturnType<typeof checkOptions>;

/** What holds. */
export type Options = ReturnType<typeof readOptions>;

/**
 * Reads the app's options for a page of this origin; a server has no page. `src/npm_options.rs`
 * reads by name what the core and the shell need of the result.
 */
export function readOptions(given: KeeperOptions | undefined, page: string | undefined) {
  const checked = checkOptions(given, "");
  const { auth, verify, fetch, csrf, persist, log, refresh, acquire } = checked;
  const { base, origin, isUnknown } = readBase(checked.baseUrl, "baseUrl", page);
  const isInert = page === undefined || isUnknown;
  const complain = complainer(log === "silent" || isInert);
  const isAdapter = typeof persist === "object";
  const wakeTimeoutMs = wakeTimeout(checked.health);
  const health = checked.health && {
    ...checked.health,
    wakeTimeoutMs,
    credentials: checked.health.credentials ?? pingCredentials(auth),
  };
  const asked: Omit<Api, "csrf"> = {
    base,
    // Where a keeper can work in it.
    page: isInert ? undefined : page,
    verifyPath: verify.path,
    auth,
    authorize: typeof auth === "function" ? guardAuthorize(auth, complain) : undefined,
    scheme: auth === "bearer" ? checked.scheme : undefined,
    wakeTimeoutMs,
  };
  const ask = () => askCsrf({ ...asked, csrf: undefined });
  const api: Api = { ...asked, csrf: csrf && csrfOf(csrf, ask, complain) };
  const reader = (refreshes: boolean) => (body: unknown, old?: object, csrf?: string) => {
    api.csrf?.learn(body, csrf);
    return readRefreshed(body, old, auth === "bearer", refreshes);
  };
  return {
    ...api,
    auth,
    origin,
    // A server sends no credential anywhere.
    origins: isInert ? [] : [origin, originOf(verify.path, origin), ...fetch.origins],
    waitMs: fetch.waitMs,
    maxWaiting: fetch.maxWaiting,
    on401: fetch.on401,
    name: checked.name ?? `session-keeper:${base.startsWith("/") ? "" : base}`,
    health,
    healthPath: health?.path,
    verify: { ...verify, classify: verify.classify && guardClassify(verify.classify, complain) },
    signOutPath: checked.signOut.path,
    complain,
    refresh: refresh && {
      run: runner(
        typeof refresh === "function"
          ? attemptBy("refresh", refresh, complain)
          : attemptAt(refresh, api),
      ),
      needsToken: typeof refresh === "object" && auth === "bearer",
      marginMs: typeof refresh === "object" ? refresh.marginMs : undefined,
      read: reader(auth === "bearer"),
    },
    acquire: acquire && {
      run: runner(attemptBy("acquire", acquire, complain)),
      read: reader(!!refresh),
    },
    maxFalseSignOut: checked.confirm,
    persist: isAdapter ? undefined : persist,
    adapter: isAdapter ? persist : undefined,
    log,
    /** What the app chose, to compare: functions by their text. */
    fingerprint: fingerprint({ ...checked, ...(isAdapter && { persist: Object.keys(persist) }) }),
  };
}

const fingerprint = (checked: object): string =>
  JSON.stringify(checked, (_, value) => (typeof value === "function" ? String(value) : value));

const pingCredentials = (auth: Checked["auth"]) =>
  auth === "cookie" ? ("omit" as const) : ("same-origin" as const);

/** Origins to which the credential would travel in the clear. */
export function insecureOrigins(options: Options): string[] {
  const isOpen = /^http:\/\/(?!(localhost|[^/:]+\.localhost|127\.0\.0\.1|\[::1\])(:|$))/;
  return [...new Set(options.origins)].filter((origin) => isOpen.test(origin));
}

/** As long as platforms take to wake up, and never shorter than an answer may take. */
function wakeTimeout(health: Checked["health"]): number {
  const { timeoutMs = 0, wakeTimeoutMs } = health ?? {};
  const wake = wakeTimeoutMs ?? Math.max(WAKE_TIMEOUT, timeoutMs);
  if (wake < timeoutMs) refuse("health.wakeTimeoutMs", "must be at least health.timeoutMs");
  return wake;
}

function isAdapter(value: unknown): value is StorageAdapter {
  const methods = ["get", "set", "remove"] as const;
  return (
    typeof value === "object" &&
    methods.every((method) => typeof (value as StorageAdapter | null)?.[method] === "function")
  );
}
