/**
 * session-keeper: your users stay signed in until the server really says no.
 *
 * These declarations are written by hand and are the package's whole public face.
 * Times are milliseconds since 1970 (UTC) and durations are milliseconds, unless a name says
 * otherwise.
 */

/** What is known of the server. Never changes by itself whether the user is signed in. */
export type ServerState = "unknown" | "awake" | "waking" | "unreachable" | "offline";

/**
 * What is known of the session.
 * `restoring`: nothing has been read yet (also the constant state on a server);
 * `unverified`: a token is there and could not be checked yet;
 * `suspect`: a 401 has been seen and is being confirmed. `unverified` and `suspect` count as signed
 * in.
 */
export type SessionState = "restoring" | "signed-out" | "unverified" | "signed-in" | "suspect";

/** Why a session ended. */
export type SignOutReason = "rejected" | "expired" | "user" | "idle" | "age";

/** One refusal that counted, as it stands in the evidence of a sign-out. No secret, no URL. */
export interface Refusal {
  /** When the answer came. */
  readonly at: number;
  /** The answer's HTTP status. */
  readonly status: number;
  /** `strong`: JSON or `error="invalid_token"`; `weak`: empty, text, HTML, a bare challenge. */
  readonly grade: "strong" | "weak";
  /** The instance that refused, where the backend names itself. */
  readonly instance?: string;
  /** The boot id under which it refused, where the backend names it. */
  readonly boot?: string;
}

/** Why the refusals were believed. Empty for a sign-out by the user. */
export interface Evidence {
  /**
   * `instances`: every instance seen in the last 10 min refused twice over, 6 s apart;
   * `chance`: the chance below fell under `confirm.maxFalseLogout`; `limit`: the time limit of a
   * suspicion was reached (60 s, or 120 s for a backend that was caught contradicting itself);
   * `immediate`: the app asked for the usual rule; `expired`: the token had run out and was refused
   * twice.
   */
  readonly rule?: "instances" | "chance" | "limit" | "immediate" | "expired";
  /**
   * How likely a good token would have been refused so often, 0 to 1. None where the instances
   * decided or the app asked for no confirmation.
   */
  readonly chance?: number;
  /** The refusals that counted, oldest first, at most 16. */
  readonly refusals: readonly Refusal[];
}

/** A sign-out on record. */
export interface SignOut {
  readonly reason: SignOutReason;
  readonly at: number;
  /** True when another tab ended the session. */
  readonly elsewhere: boolean;
  readonly evidence: Evidence;
}

/**
 * What keeps the keeper from working. The page's other code runs on, and `fetch` still sends the
 * credential.
 */
export interface Failure {
  /**
   * `wasm-blocked`: the page's Content-Security-Policy (or the engine) refuses WebAssembly;
   * `crashed`: a bug in this library.
   */
  readonly code: "wasm-blocked" | "crashed";
  /** One sentence that says what to do. */
  readonly message: string;
}

/** What is known at one moment. Frozen; the same object until something changed. */
export interface Snapshot<User = unknown> {
  readonly session: SessionState;
  readonly server: ServerState;
  /**
   * `undefined` while `restoring`, so that no route guard sends a signed-in user to the login form.
   */
  readonly signedIn: boolean | undefined;
  /** What `signIn` was given, replaced by each verified body. Not stored. */
  readonly user: User | undefined;
  /**
   * When the token runs out by what is known of it. Informs only: the local clock ends no session.
   */
  readonly expiresAt: number | undefined;
  readonly lastVerifiedAt: number | undefined;
  readonly lastAwakeAt: number | undefined;
  /** The last sign-out, with its reason; kept over a reload, gone at the next sign-in. */
  readonly signOut: SignOut | undefined;
  readonly failure: Failure | undefined;
}

/** One thing that happened. Holds no token, no body, no query string, no user. */
export interface HistoryEntry {
  readonly at: number;
  /** What happened, e.g. `verified`, `refused`, `server`, `signed-out`. */
  readonly code: string;
  readonly level: "debug" | "info" | "warn" | "error";
  /** The same as a sentence. */
  readonly text: string;
  /** Details by code: `probe`, `request`, `status`, `instance`, `boot`, `reason`, `ms`, … */
  readonly [detail: string]: string | number | boolean | undefined;
}

/** Keeps the record of the session. May answer at once or with a promise (bounded: 2 s). */
export interface StorageAdapter {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): void | Promise<void>;
  remove(key: string): void | Promise<void>;
}

/** Adds the credential to a request of the keeper or of `keeper.fetch`. Called for each attempt. */
export type Authorize = (request: Request) => Request | Promise<Request>;

/**
 * Reads an answer of the verify path for backends that speak otherwise. Nothing: the usual table
 * decides.
 */
export type Classify = (
  response: Response,
  body: unknown,
) => "valid" | "rejected" | undefined | null | void;

export interface HealthOptions {
  /** Appended to `baseUrl`. @default "/api/health" */
  path?: string;
  /** Between pings, ±10 %. At least 250. @default 30_000 */
  everyMs?: number;
  /**
   * After this long without an answer the server counts as waking; the request stays open. At least
   * 250. @default 10_000
   */
  timeoutMs?: number;
  /**
   * The longest that a request is held open while the server wakes up. At least `timeoutMs`.
   * @default 90_000
   */
  wakeTimeoutMs?: number;
  /** What happens to pings while the page is hidden. @default "ping" */
  whenHidden?: "ping" | "pause" | "always";
  /** How long a hidden page goes on with `"ping"`. @default 600_000 */
  hiddenForMs?: number;
}

export interface VerifyOptions {
  /** Appended to `baseUrl`. @default "/auth/me" */
  path?: string;
  /** Between verifications, ±10 %. At least 250. @default 300_000 */
  everyMs?: number;
  /** As for health. @default 10_000 */
  timeoutMs?: number;
  /** Repeats after the first attempt when there was no answer of the app: 0 to 10. @default 3 */
  retries?: number;
  /**
   * The shortest delay before a repeat; the longest is four times it. At least 50. @default 2_000
   */
  retryDelayMs?: number;
  classify?: Classify;
  /** No periodic verification when nobody has touched the page this long. @default never stops */
  whenIdleMs?: number;
}

export interface KeeperOptions {
  /** An http(s) URL, or a path on the page's origin, to which paths are appended. @default "/" */
  baseUrl?: string | URL;
  /** @default "bearer" */
  auth?: "bearer" | "cookie" | Authorize;
  /** The word before the token in `Authorization`. @default "Bearer" */
  scheme?: string;
  /** `false`: no pings; verification is the only probe. */
  health?: HealthOptions | false;
  verify?: VerifyOptions;
  /**
   * How likely a good token may be signed out where the backend names no instances, 0 to 1 (for a
   * whole day, once it was caught contradicting itself); or the first 401 is believed. @default
   * 0.001
   */
  confirm?: { maxFalseLogout?: number } | "immediate";
  /** POSTed with the credential at `signOut()`, so that the server forgets. @default none */
  signOut?: { path?: string };
  fetch?: {
    /** Origins besides the API's own that may receive the credential. @default [] */
    origins?: readonly string[];
    /** How long a request waits out a wake-up, from its first failure on. @default 90_000 */
    waitMs?: number;
    /** How many may wait at once. @default 100 */
    maxWaiting?: number;
    /**
     * What happens to a 401 for the current token. `"settle"`: it is held, at most `waitMs`, until
     * a verification has decided. Where the token is accepted, a request that may be repeated is
     * sent once more, and the answer of any other is handed out; where the session is over, the 401
     * is handed out after `signout`. `"pass"`: it is handed out at once. @default "settle"
     */
    on401?: "settle" | "pass";
  };
  /** Cookie mode: the cookie whose value goes into this header of unsafe requests to the API. */
  csrf?: { cookie: string; header: string };
  /** @default "local" */
  persist?: "local" | "session" | "memory" | StorageAdapter;
  /** @default "warn" */
  log?: "silent" | "warn" | "info" | "debug" | ((entry: HistoryEntry) => void);
  /**
   * Storage key and channel, 1 to 64 of `A-Z a-z 0-9 . _ : / -`. @default made from the API's
   * origin
   */
  name?: string;
}

/** A token as a backend hands it out. */
export interface SignInToken<User = unknown> {
  token: string;
  /** Milliseconds, a Date, or ISO 8601 with a zone. Without it a JWT's `exp` is read. */
  expiresAt?: number | Date | string;
  refreshToken?: string;
  user?: User;
}

/** An OAuth answer as it comes (RFC 6749 section 5.1). `expires_in` is seconds. */
export interface OAuthAnswer<User = unknown> {
  access_token: string;
  token_type?: string;
  expires_in?: number;
  refresh_token?: string;
  user?: User;
}

/** Cookie mode: the server has set its cookie; there is no token to hand over. */
export interface CookieSignIn<User = unknown> {
  user?: User;
}

/** The debug view: seconds and spelling as the backend's `/api/debug/token`, never the token. */
export interface DebugView {
  readonly status: SessionState;
  readonly token_available: boolean;
  readonly token_info: {
    readonly has_token: boolean;
    /** Not known to have run out and not refused. */
    readonly is_valid: boolean;
    /** Seconds, or null where the token does not say. */
    readonly expires_in: number | null;
    /** ISO 8601 UTC. */
    readonly expiry_time: string | null;
    readonly saved_at: string | null;
    /** Random, made at sign-in: the same id after a restart is the same token. */
    readonly token_id: string | null;
  };
  readonly server: ServerState;
  /** The boot id of the last proven answer. */
  readonly boot: string | null;
  /** Instances seen in the last 10 min. */
  readonly instances: readonly string[];
  /** Seconds until the next ping, or null when none is due. */
  readonly next_ping_in: number | null;
  /** Seconds until the next verification, or null when none is due. */
  readonly next_verification_in: number | null;
  /** Where the record is kept. `memory` also when storage is blocked or full. */
  readonly storage: "local" | "session" | "memory" | "adapter";
  readonly leader: boolean;
}

export interface KeeperEventMap<User = unknown> {
  change: ChangeEvent<User>;
  signin: SignInEvent;
  signout: SignOutEvent;
  forbidden: ForbiddenEvent;
  server: ServerEvent;
  diagnosis: DiagnosisEvent;
  log: LogEvent;
}

/** Something in the snapshot changed. */
export interface ChangeEvent<User = unknown> extends Event {
  readonly snapshot: Snapshot<User>;
}
/** A session began. */
export interface SignInEvent extends Event {
  readonly elsewhere: boolean;
}
/** A session ended. */
export interface SignOutEvent extends Event, SignOut {}
/** The server answered 403 to a verification: the session is kept. */
export interface ForbiddenEvent extends Event {
  readonly status: number;
}
/** The server's state changed. */
export interface ServerEvent extends Event {
  readonly state: ServerState;
  readonly since: number;
}
/** What is wrong on the server, or between. */
export type Cause =
  | ("workers-disagree" | "server-sleeps" | "tokens-lost" | "signing-key-changed")
  | ("restart-loop" | "clock-skew" | "wrong-path" | "blocked-by-cors" | "slow-health");

/** The evidence for a cause; what does not apply is left out. */
export interface DiagnosisEvidence {
  /** Refusals, wake-ups, restarts or answers. */
  readonly count?: number;
  /** How long the wake-up or all the restarts took, or how far the clock is off. */
  readonly ms?: number;
  readonly status?: number;
  readonly probe?: "health" | "verify";
}

/** A cause was found: told once for a page, or each time right before a sign-out it explains. */
export interface DiagnosisEvent extends Event {
  readonly cause: Cause;
  readonly evidence: DiagnosisEvidence;
  /** The page that says how to check and mend it, within the package. */
  readonly docs: string;
}
/** One entry of the history, as it is written, whatever `log` says. */
export interface LogEvent extends Event {
  readonly entry: HistoryEntry;
}

/** What `keeper.fetch` takes beside the init of `fetch`. */
export interface KeeperRequestInit extends RequestInit {
  /**
   * Whether the request may be sent again where its method may change something; GET, HEAD and
   * OPTIONS always are, up to three times in a wake-up. A body that is a stream is sent once.
   * @default false
   */
  retry?: boolean | undefined;
  /**
   * `"follow"`: a redirect to another origin is followed, as downloads from a store behind signed
   * addresses need it. The browser removes `Authorization` there since Chromium 119, Firefox 111
   * and Safari 16.1; older ones send it on. `"reject"`: the request rejects with `KeeperError`
   * `redirected`. @default "reject"
   */
  crossOriginRedirects?: "reject" | "follow" | undefined;
}

/** Keeps one session. Made by `createKeeper`. */
export interface SessionKeeper<User = unknown> extends EventTarget {
  /** The same frozen object until something changed. */
  readonly snapshot: Snapshot<User>;
  /** Restores the session and starts to keep it. Does not wait for the network. Twice is once. */
  start(): Promise<Snapshot<User>>;
  /**
   * Begins a session. In cookie mode without a token. Rejects with `KeeperError` for what is no
   * token.
   */
  signIn(
    token: string | SignInToken<User> | OAuthAnswer<User> | CookieSignIn<User>,
  ): Promise<Snapshot<User>>;
  /** Ends the session here and at once, also offline; every tab follows. */
  signOut(): Promise<Snapshot<User>>;
  /** Checks now. Resolves when there is an answer or the retries are used up. */
  verify(): Promise<Snapshot<User>>;
  /**
   * `fetch` with the credential, for named origins only; waits out a wake-up; a 401 starts the
   * check.
   */
  fetch(input: RequestInfo | URL, init?: KeeperRequestInit): Promise<Response>;
  /**
   * The credential for a URL: an empty object for origins that were not named. A relative URL is
   * the page's, as for `XMLHttpRequest`.
   */
  headers(url: string | URL): Record<string, string>;
  /** An answer seen elsewhere: a 401 starts the check and is never evidence itself. */
  report(answer: { url: string | URL; status: number }): void;
  /** Calls back after each change, not at once. Bound. Returns the way to stop. */
  subscribe(onChange: (snapshot: Snapshot<User>) => void): () => void;
  debug(): DebugView;
  /** What happened, newest last, at most 200 entries. */
  history(): HistoryEntry[];
  /** Stops pings and verifications; the session stays where it is stored. */
  stop(): void;
  /** The same as `stop()`. Also under `Symbol.dispose` where that exists. */
  dispose(): void;

  addEventListener<K extends keyof KeeperEventMap>(
    type: K,
    listener: Listener<User, K>,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof KeeperEventMap>(
    type: K,
    listener: Listener<User, K>,
    options?: boolean | EventListenerOptions,
  ): void;
}

type Listener<User, K extends keyof KeeperEventMap> =
  | ((this: SessionKeeper<User>, event: KeeperEventMap<User>[K]) => unknown)
  | { handleEvent(event: KeeperEventMap<User>[K]): unknown }
  | null;

export type KeeperErrorCode =
  /** An option of `createKeeper` is wrong; `option` names it. */
  | "invalid-option"
  /** `signIn` was given no usable token. */
  | "invalid-token"
  /** `expiresAt` is no time, or can only be seconds. */
  | "invalid-expiry"
  /** A redirect would have carried the credential away. */
  | "redirected"
  /** More than `fetch.maxWaiting` requests wait for the server already. */
  | "too-many-waiting";

/** What the caller can mend. */
export class KeeperError extends Error {
  readonly name: "KeeperError";
  readonly code: KeeperErrorCode;
  /** The option that is wrong, e.g. `health.everyMs`. */
  readonly option: string | undefined;
}

/**
 * Makes a keeper. Synchronous; throws `KeeperError` for a wrong option.
 * Two calls of one name in a page return the same keeper. Without a document every method is
 * harmless.
 */
export function createKeeper<User = unknown>(options?: KeeperOptions): SessionKeeper<User>;
