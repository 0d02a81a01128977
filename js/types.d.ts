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
  /**
   * `strong`: JSON or `error="invalid_token"`; `weak`: empty, text, HTML, a bare challenge;
   * `password`: a challenge that asks a person for a password.
   */
  readonly grade: "strong" | "weak" | "password";
  /** The instance that rejected, where the backend names itself. */
  readonly instance?: string;
  /** The boot id under which it rejected, where the backend names it. */
  readonly boot?: string;
}

/**
 * Why the refusals were believed. Without a rule where the fallback decided, and without refusals
 * for a sign-out by the user.
 */
export interface Evidence {
  /**
   * `instances`: every instance seen in the last 10 min rejected twice over, 6 s apart;
   * `chance`: the chance below fell under `confirm.maxFalseSignOut`; `limit`: the time limit of a
   * suspicion was reached (60 s, or 120 s for a backend that was caught contradicting itself);
   * `immediate`: the app asked for the usual rule; `expired`: the token had run out and was rejected
   * twice; `refresh-rejected`: the server rejected the refresh twice, 6 s apart.
   */
  readonly rule?: "instances" | "chance" | "limit" | "immediate" | "expired" | "refresh-rejected";
  /**
   * How likely a good token would have been rejected so often, 0 to 1. None where the instances
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
  readonly fromOtherTab: boolean;
  readonly evidence: Evidence;
}

/**
 * What keeps the core from working. A plain fallback goes on in its place: it stores and sends the
 * token, verifies at start and each `verify.everyMs`, and believes a 401 after two refusals 6 s
 * apart. It has no pings, no statistics and no diagnoses.
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

/** What is known at one moment, whoever is signed in. */
interface Known {
  readonly server: ServerState;
  /**
   * When the token runs out by what is known of it. Informs only: the local clock ends no session.
   */
  readonly expiresAt: number | undefined;
  readonly lastVerifiedAt: number | undefined;
  /** The last sign-out, with its reason; kept over a reload, gone at the next sign-in. */
  readonly signOut: SignOut | undefined;
  readonly failure: Failure | undefined;
}

/** Nothing has been read yet, so that no route guard sends a signed-in user to the login form. */
export interface Restoring extends Known {
  readonly session: "restoring";
  readonly signedIn: undefined;
  readonly user: undefined;
}

export interface SignedOut extends Known {
  readonly session: "signed-out";
  readonly signedIn: false;
  readonly user: undefined;
}

/** A token is there, and the server has not accepted it yet, or has just rejected it. */
export interface Unconfirmed<User> extends Known {
  readonly session: "unverified" | "suspect";
  readonly signedIn: true;
  /** What `signIn` was given or the last verification brought. Not stored. */
  readonly user: User | undefined;
}

export interface SignedIn<User> extends Known {
  readonly session: "signed-in";
  readonly signedIn: true;
  /** The body of the last accepted verification. Not stored. */
  readonly user: User;
}

/**
 * What is known at one moment; `session` tells what `signedIn` and `user` are. Frozen; the same
 * object until something changed.
 */
export type Snapshot<User = unknown> = Restoring | SignedOut | Unconfirmed<User> | SignedIn<User>;

/** One thing that happened. Holds no token, no body, no query string, no user. */
export interface HistoryEntry {
  readonly at: number;
  /** What happened, e.g. `verified`, `rejected`, `server`, `signed-out`. */
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
  /** Appended to `baseUrl`, or a whole URL. Gets no token. @default "/api/health" */
  path?: string | undefined;
  /** Between pings, ±10 %. At least 250. @default 30_000 */
  everyMs?: number | undefined;
  /**
   * After this long without an answer the server counts as waking; the request stays open. At least
   * 250. @default 10_000
   */
  timeoutMs?: number | undefined;
  /**
   * The longest that a request is held open while the server wakes up. At least `timeoutMs`.
   * @default 90_000
   */
  wakeTimeoutMs?: number | undefined;
  /** What happens to pings while the page is hidden. @default "ping" */
  whenHidden?: "ping" | "pause" | "always" | undefined;
  /** How long a hidden page goes on with `"ping"`. @default 600_000 */
  hiddenForMs?: number | undefined;
  /**
   * Whether pings carry cookies, as for `fetch`. In cookie mode they carry none, so that they keep
   * no idle session alive. @default "same-origin", in cookie mode "omit"
   */
  credentials?: "omit" | "same-origin" | "include" | undefined;
}

export interface VerifyOptions {
  /**
   * Appended to `baseUrl`, or a whole URL, whose origin gets the credential. @default "/auth/me"
   */
  path?: string | undefined;
  /** Between verifications, ±10 %. At least 250. @default 300_000 */
  everyMs?: number | undefined;
  /** As for health. @default 10_000 */
  timeoutMs?: number | undefined;
  /** Repeats after the first attempt when there was no answer of the app: 0 to 10. @default 3 */
  retries?: number | undefined;
  /**
   * The shortest delay before a repeat; the longest is four times it. At least 50. @default 2_000
   */
  retryDelayMs?: number | undefined;
  classify?: Classify | undefined;
  /** No periodic verification when nobody has touched the page this long. @default never stops */
  whenIdleMs?: number | undefined;
}

/** Of the requests of the app, by `keeper.fetch`. */
export interface FetchOptions {
  /** Origins besides the API's own that may receive the credential. @default [] */
  origins?: readonly string[] | undefined;
  /** How long a request waits out a wake-up, from its first failure on. @default 90_000 */
  waitMs?: number | undefined;
  /** How many may wait at once. @default 100 */
  maxWaiting?: number | undefined;
  /**
   * What happens to a 401 for the current token. `"settle"`: it is held, at most `waitMs`, until
   * a verification has decided. Where the token is accepted, a request that may be repeated is
   * sent once more, and the answer of any other is handed out; where the session is over, the 401
   * is handed out after `signout`. `"pass"`: it is handed out at once. @default "settle"
   */
  on401?: "settle" | "pass" | undefined;
}

/** What a refresh function gets. */
export interface RefreshRequest {
  /** None in cookie mode, and where no refresh token came along. */
  readonly refreshToken: string | undefined;
  /**
   * 16 characters that stay the same until a newer token is there, also after a reload: a server
   * that remembers it can answer a repeated attempt with the same successor.
   */
  readonly attempt: string;
  /** Aborted when the answer is of no more use, after 90 s at the latest. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Gets a newer token. Answers with what the server answers, with its `Response`, or with `null`
 * where the server rejects the refresh token. What it throws is no answer: the session is kept,
 * and it is called again.
 */
export type Refresh = (current: RefreshRequest) => RefreshResult | Promise<RefreshResult>;

/** What `acquire` gets. */
export interface AcquireRequest {
  /** Aborted when the answer is of no more use, after 90 s at the latest. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Gets a token without the user: of a device, of an anonymous session. Answers as a
 * refresh function does; `null` means that there is none: nobody is signed in. What it throws is
 * no answer: it is called again, at most once in 10 s.
 */
export type Acquire = (current: AcquireRequest) => RefreshResult | Promise<RefreshResult>;

type RefreshResult =
  string | SignInToken | OAuthAnswer | TokenAnswer | CookieSignIn | Response | null;

export interface RefreshOptions {
  /**
   * POSTed: `{ refresh_token, attempt }`, in cookie mode `{ attempt }`, or a form. Appended to
   * `baseUrl`, or a whole URL. Answered by a newer token in any of the spellings that `signIn`
   * takes. 401, and 400 with `invalid_grant`, are rejections; anything else is asked again.
   */
  path: string;
  /** `"oauth"`: a form as RFC 6749 section 6 has it. @default "json" */
  format?: "json" | "oauth" | undefined;
  /** `client_id` of the form. */
  clientId?: string | undefined;
  /**
   * How long ahead of its expiry a token is refreshed; at most half of its life. @default a twelfth
   * of its life, at most an hour
   */
  marginMs?: number | undefined;
}

export interface KeeperOptions {
  /** An http(s) URL, or a path on the page's origin, to which paths are appended. @default "/" */
  baseUrl?: string | URL | undefined;
  /** @default "bearer" */
  auth?: "bearer" | "cookie" | Authorize | undefined;
  /** The word before the token in `Authorization`. @default "Bearer" */
  scheme?: string | undefined;
  /** `false`: no pings; verification is the only probe. */
  health?: HealthOptions | false | undefined;
  verify?: VerifyOptions | undefined;
  /**
   * How likely a good token may be signed out where the backend names no instances, 0 to 1 (for a
   * whole day, once it was caught contradicting itself); or the first 401 is believed. @default
   * 0.001
   */
  confirm?: { maxFalseSignOut?: number | undefined } | "immediate" | undefined;
  /** How a newer token is got before the present one runs out, and after a 401. @default none */
  refresh?: RefreshOptions | Refresh | undefined;
  /**
   * Called where nobody is signed in, and before a session ends that the server has ended. The
   * token begins a session: event `signin`, without a `signout` where it comes within 10 s. Not
   * called after `signOut()`, until the next `signIn`. @default none
   */
  acquire?: Acquire | undefined;
  /** POSTed with the credential at `signOut()`, so that the server forgets. @default none */
  signOut?: { path?: string | undefined } | undefined;
  fetch?: FetchOptions | undefined;
  /**
   * Cookie mode: unsafe requests to the API carry the CSRF token in this header. It is read from
   * the cookie where the page can read that, else from `csrf_token` or `csrfToken` in the answer
   * given to `signIn()`, in those of `verify.path` and `refresh.path`, and in this header of them
   * and of a 403. It is kept in memory. @default none
   */
  csrf?: { cookie?: string | undefined; header: string } | undefined;
  /** @default "local" */
  persist?: "local" | "session" | "memory" | StorageAdapter | undefined;
  /** @default "warn" */
  log?: "silent" | "warn" | "info" | "debug" | ((entry: HistoryEntry) => void) | undefined;
  /**
   * Storage key and channel, 1 to 64 of `A-Z a-z 0-9 . _ : / -`. @default `session-keeper:` and
   * the API's address, so that two APIs of one origin do not share a session
   */
  name?: string | undefined;
}

/** A token, and what is known of it. A refresh token is stored only where `refresh` is set. */
export interface SignInToken<User = unknown> {
  token: string;
  /** Milliseconds, a Date, or ISO 8601 with a zone. Without it a JWT's `exp` is read. */
  expiresAt?: number | Date | string | null | undefined;
  refreshToken?: string | null | undefined;
  user?: User | null | undefined;
}

/** What a backend's answer may say beside the token. */
interface AnswerDetails<User> {
  token_type?: string | null | undefined;
  /** Seconds, also as text. */
  expires_in?: number | string | null | undefined;
  /** Seconds, also as text. */
  expiresIn?: number | string | null | undefined;
  /** Seconds or milliseconds since 1970, or ISO 8601 with a zone. */
  expires_at?: number | string | null | undefined;
  /** Seconds or milliseconds since 1970, or ISO 8601 with a zone. */
  expiry?: number | string | null | undefined;
  refresh_token?: string | null | undefined;
  refreshToken?: string | null | undefined;
  refresh?: string | null | undefined;
  user?: User | null | undefined;
}

/** An OAuth answer as it comes (RFC 6749 section 5.1). */
export interface OAuthAnswer<User = unknown> extends AnswerDetails<User> {
  access_token: string;
}

/** The answer of a backend that calls the token otherwise, as it comes. */
export type TokenAnswer<User = unknown> = AnswerDetails<User> &
  ({ accessToken: string } | { access: string } | { token: string } | { key: string });

/** Cookie mode: the server has set its cookie; there is no token to hand over. */
export interface CookieSignIn<User = unknown> {
  user?: User | null | undefined;
}

/** The debug view: seconds and spelling as the backend's `/api/debug/token`, never the token. */
export interface DebugView {
  readonly status: SessionState;
  readonly token_available: boolean;
  readonly token_info: {
    readonly has_token: boolean;
    /** Not known to have run out and not rejected. */
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
  /** When the server last proved itself awake, ISO 8601 UTC. It moves with every ping. */
  readonly last_awake_at: string | null;
  /** The boot id of the last proven answer. */
  readonly boot: string | null;
  /** Instances seen in the last 10 min. */
  readonly instances: readonly string[];
  /** Seconds until the next ping, or null when none is due. */
  readonly next_ping_in: number | null;
  /** Seconds until the next verification, or null when none is due. */
  readonly next_verification_in: number | null;
  /** Seconds until the token is refreshed, or null when it is not going to be. */
  readonly next_refresh_in: number | null;
  /** Where the record is kept. `memory` also when storage is blocked or full. */
  readonly storage: "local" | "session" | "memory" | "adapter";
  /** Whether this tab asks the server for all tabs that share the session. */
  readonly leader: boolean;
}

export interface KeeperEventMap<User = unknown> {
  change: ChangeEvent<User>;
  signin: SignInEvent;
  signout: SignOutEvent;
  refresh: RefreshEvent;
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
  /** True when another tab began it. */
  readonly fromOtherTab: boolean;
}
/** A session ended. */
export interface SignOutEvent extends Event, SignOut {}
/** The session goes on with a newer token: `snapshot.expiresAt` follows, the user stays. */
export type RefreshEvent = Event;
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
  | ("restart-loop" | "clock-skew" | "wrong-path" | "blocked-by-cors" | "slow-health")
  | ("health-blocked" | "login-redirect" | "unclear-rejection" | "gateway" | "stale-answers");

/** The evidence for a cause; what does not apply is left out. */
export interface DiagnosisEvidence {
  /** Refusals, wake-ups, restarts or answers. */
  readonly count?: number;
  /** How long the wake-up or all the restarts took, or how far the clock is off. */
  readonly ms?: number;
  readonly status?: number;
  readonly probe?: "health" | "verify";
  /** A usual path that answers as the verify path should. */
  readonly candidate?: string;
}

/** A cause was found: told once for a page, or each time right before a sign-out it explains. */
export interface DiagnosisEvent extends Event {
  readonly cause: Cause;
  readonly evidence: DiagnosisEvidence;
  /** The page that says how to check and fix it, within the package. */
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
  /**
   * Sends each attempt in the place of `fetch`, with the arguments of `fetch`: the `fetch` of a
   * framework, or a client of another kind that answers with a `Response`. What follows redirects
   * by itself, as XMLHttpRequest does, cannot be kept from it.
   */
  transport?: typeof fetch | undefined;
}

/** Keeps one session. Made by `createKeeper`. Its methods may be detached from it. */
export interface SessionKeeper<User = unknown> extends EventTarget {
  /** The same frozen object until something changed. */
  readonly snapshot: Snapshot<User>;
  /** Restores the session and starts to keep it. Does not wait for the network. Twice is once. */
  start(this: void): Promise<Snapshot<User>>;
  /**
   * Begins a session; starts a keeper that does not run. Takes a token, or the answer of the
   * server as it comes; in cookie mode nothing, or the user. Resolves at once, with that user and
   * before the server was asked. Rejects with `KeeperError` for what is no token.
   */
  signIn(
    this: void,
    token?: string | SignInToken<User> | OAuthAnswer<User> | TokenAnswer<User> | CookieSignIn<User>,
  ): Promise<Snapshot<User>>;
  /**
   * The same session with a newer token that the server handed out by itself, such as in a header
   * of an answer: no `signin`, and the user stays. Takes what `signIn` takes. Without a session
   * nothing happens.
   */
  renew(
    this: void,
    token?: string | SignInToken<User> | OAuthAnswer<User> | TokenAnswer<User> | CookieSignIn<User>,
  ): Promise<Snapshot<User>>;
  /**
   * The token itself, for what cannot use `fetch`: WebSocket, EventSource, upload libraries. Where
   * it is good for `minValidMs` or less and can be refreshed, it is refreshed first, within
   * `fetch.waitMs`. No origins apply here: where it is sent is up to the app. Nothing in cookie
   * mode. @default minValidMs 0
   */
  getToken(this: void, options?: { minValidMs?: number | undefined }): Promise<string | undefined>;
  /** Ends the session here and at once, also offline. */
  signOut(this: void): Promise<Snapshot<User>>;
  /** Checks now. Resolves when there is an answer or the retries are used up. */
  verify(this: void): Promise<Snapshot<User>>;
  /**
   * `fetch` with the credential, for named origins only; waits out a wake-up; a 401 starts the
   * check. A path is appended to `baseUrl`.
   */
  fetch(this: void, input: RequestInfo | URL, init?: KeeperRequestInit): Promise<Response>;
  /**
   * The credential for a URL, for other clients: an empty object for origins that were not named,
   * and in cookie mode. A path is appended to `baseUrl`, as in `fetch`.
   */
  authHeaders(this: void, url: string | URL): Record<string, string>;
  /**
   * A response that another client got: a 401 starts the check and is never evidence itself. Takes
   * a `Response`, too.
   */
  reportResponse(
    this: void,
    response: { readonly url: string | URL; readonly status: number },
  ): void;
  /** Calls back after each change, not at once. Returns the way to stop. */
  subscribe(this: void, onChange: (snapshot: Snapshot<User>) => void): () => void;
  debug(this: void): DebugView;
  /** What happened, newest last, at most 200 entries. */
  history(this: void): HistoryEntry[];
  /** Stops pings and verifications; the session stays where it is stored. */
  stop(this: void): void;
  /** The same as `stop()`. Also under `Symbol.dispose` where that exists. */
  dispose(this: void): void;

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

/** What the caller can fix. */
export class KeeperError extends Error {
  readonly name: "KeeperError";
  readonly code: KeeperErrorCode;
  /** The option that is wrong, e.g. `health.everyMs`. */
  readonly option: string | undefined;
}

/**
 * Makes a keeper. Synchronous; throws `KeeperError` for a wrong option.
 * Two calls of one name in a page return the same keeper, and warn where the options differ.
 * Without a document every method is harmless.
 */
export function createKeeper<User = unknown>(options?: KeeperOptions): SessionKeeper<User>;
