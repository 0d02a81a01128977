/**
 * One keeper as the app sees it: the core's news as events and snapshots, the app's wishes as
 * calls of the core.
 *
 * Rule: nothing here decides anything about a session. No method throws but for what the caller
 * can mend, with or without a document, a core or a network.
 */

import type { DebugView, Failure, HistoryEntry, SessionKeeper, Snapshot } from "../types.js";
import { debugView, type Facts } from "./debug.js";
import { type Call, type Host, startEngine } from "./engine.js";
import { isAllowedOrigin, type KeeperInit, type Report, send, type Sender } from "./fetch.js";
import { PREFIX, logger, type RawEntry, readDiagnosis, readEntry } from "./log.js";
import type { Options } from "./options.js";
import { makeSpare, type Spare } from "./spare.js";
import { readSignIn } from "./tokens.js";

/** What is known before anything was read: on a server for ever, so that hydration matches. */
const NOTHING: Snapshot = Object.freeze({
  session: "restoring",
  server: "unknown",
  signedIn: undefined,
  user: undefined,
  expiresAt: undefined,
  lastVerifiedAt: undefined,
  lastAwakeAt: undefined,
  signOut: undefined,
  failure: undefined,
});

/** What the core logs when the record was read, for a cookie that only the server can judge. */
const READ = ["no-record", "record-corrupt", "record-foreign", "store-failed"];

type Waiters = (() => void)[];

/** Where a keeper stands in its life. One that was stopped is started by `start()` alone. */
type Phase = "new" | "running" | "stopped";

export class Keeper extends EventTarget implements Sender, Host, SessionKeeper {
  snapshot = NOTHING;
  private told = NOTHING;
  private phase: Phase = "new";
  private isRead = false;
  private readonly unrestored: Waiters = [];
  private readonly unsettled: Waiters = [];
  private readonly spare: Spare;
  /** None without a document. */
  private readonly call: Call | undefined;
  /** A trap in a timer or a promise is told to the window alone, and shows at the next call. */
  private readonly onError = () => this.call?.("snapshot");

  /** `register` is told when it runs and when it no longer does. */
  constructor(
    readonly options: Options,
    private readonly register: (keeper: Keeper, isRunning: boolean) => void,
  ) {
    super();
    this.spare = makeSpare(options);
    if (Symbol.dispose) Object.assign(this, { [Symbol.dispose]: () => this.stop() });
    if (!globalThis.document) return;
    this.addEventListener("log", logger(options) as (event: Event) => void);
    this.call = startEngine(options, this);
  }

  async start(): Promise<Snapshot> {
    if (this.phase === "stopped") this.phase = "new";
    await this.open();
    return this.snapshot;
  }

  async signIn(input?: unknown): Promise<Snapshot> {
    const given = readSignIn(input, this.options.auth === "bearer");
    const { token, refresh, expiresAt, user } = given;
    const opening = this.open();
    // Nothing is awaited in vain, so that a request right after it has the credential.
    if (opening) await opening;
    if (this.call) this.spare.keep(token);
    // The core keeps this object and makes the record of it.
    const record = { ...(token && { token }), ...(refresh && { refresh_token: refresh }) };
    this.call?.("sign_in", record, user, expiresAt ?? NaN);
    return this.afterStep();
  }

  async signOut(): Promise<Snapshot> {
    const opening = this.open();
    if (opening) await opening;
    if (this.snapshot.failure) this.spare.erase();
    this.call?.("sign_out");
    return this.afterStep();
  }

  async verify(): Promise<Snapshot> {
    await this.open();
    await new Promise<void>((resolve) => {
      this.unsettled.push(resolve);
      this.call?.("verify");
      if (!this.isActive) resolve();
    });
    return this.snapshot;
  }

  async fetch(input: RequestInfo | URL, init?: KeeperInit): Promise<Response> {
    const opening = this.open();
    if (opening) await opening;
    return send(this, input, init);
  }

  headers(url: string | URL): Record<string, string> {
    const credential = isAllowedOrigin(url, this.options.origins) && this.credential();
    return credential ? { Authorization: credential } : {};
  }

  report({ url, status }: { url: string | URL; status: number }): void {
    if (status === 401 && isAllowedOrigin(url, this.options.origins)) this.refused();
  }

  subscribe = (onChange: (snapshot: Snapshot) => void): (() => void) => {
    const listener = () => onChange(this.snapshot);
    this.addEventListener("change", listener);
    return () => this.removeEventListener("change", listener);
  };

  debug(): DebugView {
    const facts = this.call?.("debug") as Facts;
    return debugView(this.snapshot, this.isActive, facts);
  }

  history(): HistoryEntry[] {
    const entries = (this.call?.("history") as RawEntry[]) ?? [];
    return entries.map((entry) => readEntry(entry, this.options));
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
    if (this.snapshot.failure) return this.spare.credential();
    return this.call?.("credential");
  }

  refused(): void {
    this.call?.("report", 401);
  }

  admit(): number {
    return (this.isActive && this.call?.("admit")) || 0;
  }

  reportRequest: Report = (...facts) => this.call?.("report_request", ...facts);

  receive(name: string, detail: object): void {
    // What a crashed core still says is not to be believed.
    if (this.snapshot.failure) return;
    if (name === "log") {
      const entry = readEntry(detail as RawEntry, this.options);
      this.isRead ||= READ.includes(entry.code);
      this.emit(name, { entry });
      const diagnosis = readDiagnosis(entry);
      if (diagnosis) this.emit(entry.code, diagnosis);
    } else {
      this.look();
      if (name === "signout") this.spare.keep("");
      if (name === "change" || name === "settled") this.tell();
      else this.emit(name, detail);
    }
    if (name === "settled") release(this.unsettled);
    if (this.isRestored()) release(this.unrestored);
  }

  ready(): void {
    if (this.phase === "running") this.call?.("start");
  }

  fail(failure: Failure): void {
    if (this.snapshot.failure) return;
    this.snapshot = Object.freeze({ ...this.snapshot, failure });
    if (this.options.log !== "silent") console.error(PREFIX + failure.message);
    const done = () => {
      this.isRead = true;
      release(this.unrestored);
    };
    const reading = this.spare.open();
    if (reading) reading.then(done);
    else done();
    release(this.unsettled);
    this.tell();
  }

  /** Starts what was never stopped; waits only while the record is not read. */
  private open(): Promise<void> | undefined {
    if (this.call && this.phase === "new") {
      this.phase = "running";
      this.register(this, true);
      for (const type of ERRORS) addEventListener(type, this.onError);
      this.call("start");
    }
    if (this.isRestored()) return undefined;
    return new Promise((resolve) => this.unrestored.push(resolve));
  }

  private isRestored(): boolean {
    const { session, signOut } = this.snapshot;
    const isOpen = this.call && this.phase === "running";
    return !isOpen || this.isRead || session !== "restoring" || !!signOut;
  }

  /** A call out of a listener is carried out when the step at hand is over. */
  private async afterStep(): Promise<Snapshot> {
    await undefined;
    this.look();
    this.tell();
    return this.snapshot;
  }

  private look(): void {
    const seen = this.call?.("snapshot") as Partial<Snapshot>;
    if (!seen) return;
    const next: Snapshot = { ...NOTHING, ...seen };
    const { snapshot } = this;
    // The core tells each sign-out as an object of its own every time.
    if (next.signOut?.at === snapshot.signOut?.at)
      Object.assign(next, { signOut: snapshot.signOut });
    const keys = Object.keys(next) as (keyof Snapshot)[];
    if (keys.some((key) => next[key] !== snapshot[key])) this.snapshot = Object.freeze(next);
  }

  private tell(): void {
    if (this.told === this.snapshot) return;
    this.told = this.snapshot;
    this.emit("change", { snapshot: this.told });
  }

  /** The browser sees to it that a listener which throws harms no other. */
  private emit(name: string, fields: object): void {
    this.dispatchEvent(Object.assign(new Event(name), fields));
  }
}

/** Where a trap in a timer or in a promise comes out. */
const ERRORS = ["error", "unhandledrejection"];

const release = (waiters: Waiters) => waiters.splice(0).forEach((resume) => resume());
