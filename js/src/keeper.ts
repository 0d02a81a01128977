/**
 * One keeper as the app sees it: the core's news as events and snapshots, the app's wishes as
 * calls of the core.
 *
 * Rule: nothing here decides anything about a session. No method throws but for what the caller
 * can fix, with or without a document, a core or a network.
 */

import type { DebugView, Failure, HistoryEntry, SessionKeeper, Snapshot } from "../types.js";
import { now } from "./clock.js";
import { debugView, type Facts } from "./debug.js";
import { type Call, type Host, startEngine, type WasmSource } from "./engine.js";
import { PREFIX } from "./errors.js";
import { Fallback, type News } from "./fallback.js";
import {
  isAllowedOrigin,
  type KeeperInit,
  type Report,
  resolve,
  send,
  type Sender,
} from "./fetch.js";
import { describe, logger, type RawEntry, readDiagnosis, readEntry } from "./log.js";
import type { Options } from "./options.js";
import { readKept, readSignIn } from "./tokens.js";

/** What is known before anything was read: on a server for ever, so that hydration matches. */
const NOTHING: Snapshot = Object.freeze({
  session: "restoring",
  server: "unknown",
  signedIn: undefined,
  user: undefined,
  expiresAt: undefined,
  lastVerifiedAt: undefined,
  signOut: undefined,
  failure: undefined,
});

/** Methods that an app may take off a keeper: `const { signIn } = keeper`. */
const DETACHABLE = [
  "start",
  "signIn",
  "renew",
  "getToken",
  "signOut",
  "verify",
  "fetch",
  "authHeaders",
  "reportResponse",
  "subscribe",
  "debug",
  "history",
  "stop",
  "dispose",
  "addEventListener",
  "removeEventListener",
] as const;

const ENTRIES_MAX = 200;

type Waiters = (() => void)[];

/** Where a keeper stands in its life. */
type Phase = "new" | "running" | "stopped";

/** Only the server can end what a cookie stands for that scripts cannot read. */
const COOKIE_STAYS =
  "signOut.path is not set: the cookie stays, and a reload signs in again unless the app ends it";

export class Keeper extends EventTarget implements Sender, Host, News, SessionKeeper {
  snapshot = NOTHING;
  private reported = NOTHING;
  private phase: Phase = "new";
  private isRead = false;
  private readonly unrestored: Waiters = [];
  private readonly unsettled: Waiters = [];
  private readonly warned = new Set<string>();
  /** What happened since there is no core to remember it. */
  private entries: HistoryEntry[] = [];
  /** None without a document. */
  private call: Call | undefined;
  /** Starts what takes over where there is no core. */
  private readonly takeOver: () => Call;
  /** What the app signed in with, for that. It lives in a closure, so that no keeper prints it. */
  private readonly remember: (token: string) => void;
  /** A trap in a timer or a promise reaches the window alone, and shows at the next call. */
  private readonly onError = () => void setTimeout(() => this.call?.("check"));

  /** `register` is told when it runs and when it no longer does. */
  constructor(
    readonly options: Options & { readonly wasm: WasmSource },
    private readonly register: (keeper: Keeper, isRunning: boolean) => void,
  ) {
    super();
    for (const name of DETACHABLE) {
      const bound = (this[name] as (...given: unknown[]) => unknown).bind(this);
      Object.defineProperty(this, name, { value: bound, configurable: true, writable: true });
    }
    let token = "";
    this.remember = (given) => (token = given);
    this.takeOver = () => {
      const { user, expiresAt } = this.snapshot;
      const fallback = new Fallback(options, this, { token, user, expiresAt });
      token = "";
      return callTo(fallback);
    };
    if (Symbol.dispose) Object.assign(this, { [Symbol.dispose]: this.stop });
    if (options.page === undefined) return;
    this.addEventListener("log", logger(options) as (event: Event) => void);
    const call = startEngine(options, {
      // What a crashed core still says is not to be believed.
      receive: (name, detail) => this.snapshot.failure || this.receive(name, detail),
      ready: () => this.ready(),
      fail: (failure) => this.fail(failure),
    });
    this.call ??= call;
  }

  async start(): Promise<Snapshot> {
    await this.open();
    return this.snapshot;
  }

  async signIn(input?: unknown): Promise<Snapshot> {
    const { token, expiresAt, user } = readSignIn(input, this.options.auth === "bearer");
    const opening = this.open();
    // Nothing is awaited in vain, so that a request right after it has the credential.
    if (opening) await opening;
    this.remember(token);
    this.options.csrf?.begin(input);
    // The core keeps this object and makes the record of it.
    const record = { ...(token && { token }), ...readKept(input, !!this.options.refresh) };
    this.step((call) => call("sign_in", record, user, expiresAt ?? NaN));
    return this.afterStep();
  }

  async renew(input?: unknown): Promise<Snapshot> {
    const { token, expiresAt } = readSignIn(input, this.options.auth === "bearer");
    const kept = readKept(input, !!this.options.refresh);
    const opening = this.open();
    if (opening) await opening;
    this.remember(token);
    this.options.csrf?.learn({ ...Object(input) });
    const record = {
      ...(token && { token }),
      ...kept,
      ...(expiresAt !== undefined && { expires_at: expiresAt }),
    };
    this.step((call) => call("renew", record));
    return this.afterStep();
  }

  async getToken({ minValidMs = 0 } = {}): Promise<string | undefined> {
    const opening = this.phase === "stopped" ? undefined : this.open();
    if (opening) await opening;
    const isShort = () => Number(this.call?.("refreshable_for")) <= minValidMs;
    if (this.isActive && isShort()) await this.newerToken();
    return this.credential()?.replace(/^\S+ /, "");
  }

  async signOut(): Promise<Snapshot> {
    const { auth, signOutPath, complain } = this.options;
    if (auth === "cookie" && !signOutPath) complain(COOKIE_STAYS);
    const opening = this.open();
    if (opening) await opening;
    this.step((call) => call("sign_out"));
    return this.afterStep();
  }

  async verify(): Promise<Snapshot> {
    if (this.phase !== "stopped") await this.open();
    if (this.call && this.phase === "running") {
      await new Promise<void>((resolve) => {
        this.unsettled.push(resolve);
        this.step((call) => call("verify"));
      });
    }
    return this.snapshot;
  }

  async fetch(input: RequestInfo | URL, init?: KeeperInit): Promise<Response> {
    const opening = this.phase === "stopped" ? undefined : this.open();
    if (opening) await opening;
    return send(this, input, init);
  }

  authHeaders(url: string | URL): Record<string, string> {
    const credential = this.isNamed(url) && this.credential();
    return credential ? { Authorization: credential } : {};
  }

  reportResponse({ url, status }: { url: string | URL; status: number }): void {
    if (status === 401 && this.isNamed(url)) this.refused();
  }

  subscribe(onChange: (snapshot: Snapshot) => void): () => void {
    const listener = () => onChange(this.snapshot);
    this.addEventListener("change", listener);
    return () => this.removeEventListener("change", listener);
  }

  debug(): DebugView {
    const facts = this.call?.("debug") as Facts;
    return debugView(this.snapshot, facts);
  }

  history(): HistoryEntry[] {
    const entries = (this.call?.("history") as RawEntry[] | undefined) ?? [];
    return [...entries.map((entry) => readEntry(entry, this.options)), ...this.entries];
  }

  stop(): void {
    this.phase = "stopped";
    this.register(this, false);
    this.emit("stop", {});
    for (const type of ERRORS) globalThis.removeEventListener?.(type, this.onError);
    this.call?.("stop");
    release(this.unsettled);
    release(this.unrestored);
  }

  dispose(): void {
    this.stop();
  }

  get isActive(): boolean {
    return !!this.call && this.phase === "running" && !this.snapshot.failure;
  }

  credential(): string | undefined {
    return this.call?.("credential");
  }

  refused(): void {
    this.call?.("report", 401);
  }

  admit(): number {
    return (this.isActive && this.call?.("admit")) || 0;
  }

  proveAwake(): void {
    this.call?.("app_proof");
  }

  reportRequest: Report = (...facts) => this.call?.("report_request", ...facts);

  receive(name: string, detail: object = {}): void {
    if (name === "log") {
      const entry = readEntry(detail as RawEntry, this.options);
      this.emit(name, { entry });
      const diagnosis = readDiagnosis(entry);
      if (diagnosis) this.emit(entry.code, diagnosis);
    } else {
      this.look();
      this.isRead ||= name === "restored";
      if (name === "signout") this.remember("");
      if (name === "change" || name === "settled") this.report();
      else if (name !== "restored") this.emit(name, detail);
    }
    if (name === "settled") release(this.unsettled);
    if (this.isRestored()) release(this.unrestored);
  }

  log(code: string, level: HistoryEntry["level"], details?: object): void {
    const entry = describe(code, level, { at: now(), ...details }, this.options);
    this.entries = [...this.entries, entry].slice(-ENTRIES_MAX);
    this.emit("log", { entry });
  }

  /** Tells the developer of the app, unless the app wants silence. */
  warnOnce(text: string): void {
    if (this.options.log === "silent" || this.warned.has(text)) return;
    this.warned.add(text);
    console.warn(PREFIX + text);
  }

  ready(): void {
    if (this.phase === "running") this.call?.("start");
  }

  fail(failure: Failure): void {
    if (this.snapshot.failure) return;
    this.snapshot = Object.freeze({ ...this.snapshot, failure });
    if (this.options.log !== "silent") console.error(PREFIX + failure.message);
    this.isRead = false;
    release(this.unsettled);
    this.call = this.takeOver();
    this.report();
    if (this.phase === "running") this.call("start");
  }

  /** Until there is a newer token or none is to be had; bounded as the requests of the app are. */
  private newerToken(): Promise<void> {
    return new Promise((resolve) => {
      const over = new AbortController();
      const end = () => {
        over.abort();
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, this.options.waitMs);
      for (const type of NEWER) this.addEventListener(type, end, { signal: over.signal });
      this.step((call) => call("refresh"));
    });
  }

  /** Whether the URL, as `fetch` takes it, leads to an origin that may know the credential. */
  private isNamed(url: string | URL): boolean {
    const { base, origins } = this.options;
    return isAllowedOrigin(resolve(String(url), base), origins);
  }

  /** Starts what does not run; waits only while the record is not read. */
  private open(): Promise<void> | undefined {
    if (this.call && this.phase !== "running") {
      this.phase = "running";
      this.register(this, true);
      for (const type of ERRORS) addEventListener(type, this.onError);
      this.call("start");
    }
    if (this.isRestored()) return undefined;
    return new Promise((resolve) => this.unrestored.push(resolve));
  }

  private isRestored(): boolean {
    return this.isRead || !this.call || this.phase !== "running";
  }

  /** Calls the core, and what takes over where the core crashes in it. */
  private step(act: (call: Call) => void): void {
    const { call } = this;
    if (call) act(call);
    if (this.call && call !== this.call) act(this.call);
  }

  /** A call out of a listener is carried out when the step at hand is over. */
  private async afterStep(): Promise<Snapshot> {
    await undefined;
    this.look();
    this.report();
    return this.snapshot;
  }

  private look(): void {
    const seen = this.call?.("snapshot") as Partial<Snapshot> | undefined;
    if (!seen) return;
    const { snapshot } = this;
    const { failure } = snapshot;
    const keys = Object.keys(NOTHING) as (keyof Snapshot)[];
    const pairs = keys.map((key) => [key, seen[key]]);
    const next = { ...Object.fromEntries(pairs), failure } as Snapshot;
    // The core tells each sign-out as an object of its own every time.
    if (next.signOut?.at === snapshot.signOut?.at)
      Object.assign(next, { signOut: snapshot.signOut });
    if (keys.some((key) => next[key] !== snapshot[key])) this.snapshot = Object.freeze(next);
  }

  private report(): void {
    if (this.reported === this.snapshot) return;
    this.reported = this.snapshot;
    this.emit("change", { snapshot: this.reported });
  }

  /** The browser sees to it that a listener which throws harms no other. */
  private emit(name: string, fields: object): void {
    this.dispatchEvent(Object.assign(new Event(name), fields));
  }
}

/** Where a trap in a timer or in a promise comes out. */
const ERRORS = ["error", "unhandledrejection"];

/** How the wait for a newer token ends; the second is told to nobody else. */
const NEWER = ["refresh", "unrefreshed", "signin", "signout", "stop"];

const release = (waiters: Waiters) => waiters.splice(0).forEach((resume) => resume());

/** What has no such method knows nothing of it. */
function callTo(target: object): Call {
  const methods = target as Record<string, ((...given: unknown[]) => never) | undefined>;
  return (method, ...given) => methods[method]?.(...given);
}
