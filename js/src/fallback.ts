/**
 * The keeper without wasm, for pages whose Content-Security-Policy refuses it and for a core that
 * has crashed: the promise in plain form.
 *
 * Rule: a session ends by the user, or by two refusals of the API itself 6 s apart that no refresh
 * could fix; everything else changes nothing. It takes the same calls and reports the same news as
 * the core. It has no pings, no statistics and no other tabs: what those wrote is read before each
 * verification.
 */

import type { Refusal, SignOut, SignOutReason, Snapshot } from "../types.js";
import { type Answer, askVerify } from "./ask.js";
import { elapsed, now } from "./clock.js";
import { compare, type Decision, generationOf, NO_NEWS } from "./compare.js";
import { FallbackRefresh } from "./fallback-refresh.js";
import type { Options } from "./options.js";
import {
  type Live,
  newTokenId,
  nextGeneration,
  type Stored,
  type Tombstone,
  writeLive,
  writeTombstone,
} from "./record.js";
import { Revocation } from "./revocation.js";
import { openStore, type Store } from "./store.js";

/** Longer than a deploy's moment of confusion, and than most servers keep a connection open. */
const APART_MS = 6_000;
/** A 401 of any request is a reason to verify, but an API that always says 401 is no storm. */
const HINT_EVERY_MS = 10_000;
/** The first repeat of what got no answer that proves anything. */
const SOON_MS = 2_000;
/** So many answers in a row that show no user say so, whoever gave them. */
const ENOUGH_ANSWERS = 3;
const EVIDENCE_MAX = 16;

/** Takes the core's news, and what happened as code, level and details. */
export interface News {
  receive(name: string, detail?: object): void;
  log(code: string, level: "info" | "warn" | "error", details?: object): void;
}

/** What the face knows when the core is gone. */
export interface Known {
  readonly token: string;
  readonly user: unknown;
  readonly expiresAt: number | undefined;
  /** What a refresh needs. */
  readonly kept?: Pick<Live, "refresh_token" | "lifetime">;
}

export class Fallback {
  private session: Snapshot["session"] = "restoring";
  private server: Snapshot["server"] = "unknown";
  private live: Live | undefined;
  private user: unknown;
  private signedOut: SignOut | undefined;
  private lastVerifiedAt: number | undefined;
  private newest = 0;
  private decision: Decision | undefined;
  /** The store has told nothing yet, so that `newest` says nothing either. */
  private isBlind = true;
  private refusals: Refusal[] = [];
  private firstRefusalAt = 0;
  private hintedAt = -Infinity;
  /** How often nothing was proven since something was. */
  private failures = 0;
  /** How often somebody answered, in a row, who may not be the API. */
  private unproven = 0;
  /** As long as the server asks to be left alone. */
  private retryMs = 0;
  private readonly isCookie: boolean;
  private readonly revocation: Revocation;
  private readonly refresher: FallbackRefresh;
  private readonly store: Store;
  private isRunning = false;
  private isRead = false;
  /** The check at hand; what an older one brings is dropped. */
  private round = 0;
  private isChecking = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt: number | undefined;

  constructor(
    private readonly options: Options,
    private readonly news: News,
    private known: Known | undefined,
  ) {
    this.store = openStore(options);
    this.isCookie = options.auth === "cookie";
    this.refresher = new FallbackRefresh(options, {
      write: (live) => this.write(live),
      replace: (newer, before) => this.replace(newer, before),
    });
    this.revocation = new Revocation(options, news, (tombstone) => this.noteTold(tombstone));
  }

  start(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.read(() => this.restore());
  }

  stop(): void {
    this.isRunning = false;
    this.round++;
    clearTimeout(this.timer);
    this.news.receive("settled");
  }

  sign_in({ token, ...kept }: Partial<Live>, user: unknown, expiresAt: number): void {
    // The new cookie is the one that a late sign-out would end.
    if (this.isCookie) this.revocation.cancel();
    this.decision = { kind: "sign-in" };
    this.begin({ token: token ?? "", user, expiresAt, kept });
    void this.check();
  }

  /** The app has got a newer token by itself. */
  renew(newer: Partial<Live>): void {
    if (this.live) this.replace(newer, this.live);
  }

  sign_out(): void {
    this.decision = { kind: "sign-out" };
    // A cookie that nobody has asked about yet is ended all the same.
    if (this.session === "restoring") this.live = this.nextLive();
    if (!this.live) return;
    this.end("user");
    void this.check();
  }

  verify(): void {
    void this.check();
  }

  /** A request of the app was refused. A check under way answers that as well. */
  report(): void {
    if (!this.live || this.isChecking || elapsed() - this.hintedAt < HINT_EVERY_MS) return;
    this.hintedAt = elapsed();
    void this.check();
  }

  credential(): string | undefined {
    const { scheme } = this.options;
    const token = this.live?.token;
    return scheme && token ? `${scheme} ${token}` : undefined;
  }

  /** Nothing before the record was read: what was known before the core crashed holds. */
  snapshot(): object | undefined {
    if (!this.isRead) return undefined;
    const { session, server, user, signedOut: signOut, lastVerifiedAt } = this;
    const signedIn = session === "restoring" ? undefined : session !== "signed-out";
    const expiresAt = this.live?.expires_at;
    return { session, server, signedIn, user, expiresAt, lastVerifiedAt, signOut };
  }

  debug(): object {
    const { token_id: tokenId, saved_at: savedAt } = this.live ?? {};
    const nextVerification = this.dueAt && Math.max(0, this.dueAt - elapsed());
    const storage = this.store.name();
    return { tokenId, savedAt, nextVerification, runOut: this.hasRunOut(), storage };
  }

  /** Reads the record, and takes over what is news. A slow store is not waited for. */
  private read(done: () => void): void {
    const asked = this.isBlind ? undefined : this.decision;
    let isLate = false;
    this.store.read((stored) => {
      if (!this.isRunning) return;
      const isNews = this.adopt(stored, asked);
      // A sign-out that was found is told at once.
      if (isNews) void this.deliver();
      if (!isLate) done();
      else if (isNews) this.follow();
      isLate = true;
    });
  }

  private follow(): void {
    this.news.receive("change");
    void this.check();
  }

  private restore(): void {
    const { known } = this;
    this.known = undefined;
    this.isRead = true;
    if (known && !this.decision) {
      // The core crashed before it was written, or there is no store.
      if (!this.live && !this.signedOut && known.token) this.begin(known);
      if (this.live) this.user = known.user;
    }
    // Of a cookie the server is asked.
    if (!this.live && !this.isCookie) this.session = "signed-out";
    this.news.receive("restored");
    this.follow();
  }

  /**
   * Takes over what is stored where that is newer than what is known. Returns whether it is news.
   * `asked` is what the page had decided when the record was asked for.
   */
  private adopt(stored: Stored, asked: Decision | undefined): boolean {
    const { decision, live, newest, isBlind, isCookie } = this;
    const decided = asked === decision ? undefined : decision?.kind;
    const isRestoring = this.session === "restoring";
    const meaning = compare(stored, { live, newest, isBlind, isRestoring, isCookie, decided });
    this.isBlind &&= stored.kind === "unreadable";
    this.newest = Math.max(newest, generationOf(stored));
    if (meaning === "outnumbered") this.write({ ...live, ...this.nextLive() });
    // An absent record is never a sign-out: it is written back.
    else if (meaning === "lost" && live) this.write(live);
    else if (meaning === "lost") this.store.erase();
    if (NO_NEWS.includes(meaning)) return false;
    if (stored.kind === "live") this.adoptLive(stored.live, meaning === "ended");
    if (stored.kind === "tombstone") this.adoptTombstone(stored.tombstone, meaning === "owed");
    return true;
  }

  private adoptLive(found: Live, isOver: boolean): void {
    const { session } = this;
    this.options.csrf?.forget();
    this.enter(found);
    this.lastVerifiedAt = found.verified_at;
    if (isOver) this.end("user");
    else if (session === "signed-out") this.news.receive("signin", { fromOtherTab: true });
  }

  private adoptTombstone(tombstone: Tombstone, isOwed: boolean): void {
    const { live } = this;
    // Nothing is verified back in before the server has heard of it.
    if (isOwed) {
      this.revocation.add(tombstone);
      this.session = "signed-out";
      // A session that the server has let in meanwhile was written over it.
      if (live) this.store.write(writeTombstone(this.options.origin, tombstone));
    }
    if (live) this.leave({ ...tombstone.signOut, fromOtherTab: true });
    else this.signedOut = tombstone.signOut;
  }

  /** Verifies what is stored now, and delivers the sign-outs that are owed. */
  private async check(): Promise<void> {
    if (!this.isRunning) return;
    clearTimeout(this.timer);
    const round = ++this.round;
    this.isChecking = true;
    void this.deliver();
    await this.reread();
    const { live } = this;
    if (round === this.round && (live || this.session === "restoring")) {
      const answer = await askVerify(this.options, live?.token);
      // Nothing is judged, or written, about a session that another tab has ended meanwhile.
      if (round === this.round && answer.kind !== "none") await this.reread();
      if (round !== this.round) return;
      // Another tab has replaced the token that was asked about.
      if (live?.token_id !== this.live?.token_id) return this.check();
      const judged = await this.refresher.after(answer, live);
      if (round !== this.round) return;
      if (live?.token_id !== this.live?.token_id) return this.check();
      this.judge(judged);
    }
    if (round !== this.round) return;
    this.isChecking = false;
    this.schedule();
    this.news.receive("change");
    this.news.receive("settled");
  }

  private readonly reread = () => new Promise<void>((resolve) => this.read(resolve));

  private judge(answer: Answer): void {
    const { kind } = answer;
    this.failures = kind === "accepted" || kind === "rejected" ? 0 : this.failures + 1;
    this.unproven = kind === "unproven" ? this.unproven + 1 : 0;
    this.retryMs = kind === "none" ? answer.retryMs : 0;
    this.noteServer(answer);
    const isSilent = kind === "none" || kind === "not-sent";
    const isNoWord = isSilent || (kind === "unproven" && this.unproven < ENOUGH_ANSWERS);
    if (kind === "accepted") this.accept(answer.user);
    // Nobody was signed in, as far as is known: that is how it stays.
    else if (!this.live) this.session = isNoWord ? this.session : "signed-out";
    else if (kind === "rejected") this.refuse(answer.status, answer.grade);
    else if (kind === "not-sent") this.keep(kind);
    else if (kind !== "other") this.keep("network");
    else this.keep(answer.status === 403 ? "forbidden" : "no-verdict", answer.status);
  }

  /** The same session with a newer token, of which nothing of the one before holds. */
  private replace(newer: Partial<Live>, before: Live): void {
    if (this.live?.token_id !== before.token_id) return;
    const { expires_at: _, lifetime: __, refresh_attempt: ___, ...rest } = before;
    this.refusals = [];
    if (this.session === "suspect") this.session = "unverified";
    this.write({ ...rest, ...this.nextLive(), saved_at: now(), ...newer });
    this.news.log("refreshed", "info");
    this.news.receive("refresh");
  }

  private accept(user: unknown): void {
    if (!this.live) this.begin({ token: "", user, expiresAt: undefined });
    if (this.refusals.length) this.news.log("refuted", "warn", { refusals: this.refusals.length });
    this.refusals = [];
    this.session = "signed-in";
    this.user = user;
    this.lastVerifiedAt = now();
    this.write({ ...this.live!, verified_at: this.lastVerifiedAt });
    this.news.log("verified", "info");
  }

  private refuse(status: number, grade: Refusal["grade"]): void {
    if (!this.refusals.length) {
      this.firstRefusalAt = elapsed();
      this.session = "suspect";
      this.news.log("suspect", "warn", { status, ms: 7_000, basis: "fallback" });
    }
    this.refusals = [...this.refusals, { at: now(), status, grade }].slice(-EVIDENCE_MAX);
    const isStable = this.refusals.length > 1 && elapsed() - this.firstRefusalAt >= APART_MS;
    if (isStable || this.options.maxFalseSignOut === undefined)
      this.end(this.hasRunOut() ? "expired" : "rejected");
  }

  private keep(why: string, status?: number): void {
    this.news.log("kept", "info", { why, ...(status && { status }) });
    if (status === 403) this.news.receive("forbidden", { status });
  }

  private begin({ token, user, expiresAt, kept }: Known): void {
    const isKnown = expiresAt !== undefined && expiresAt >= 0;
    const live = {
      ...this.nextLive(),
      ...(token && { token }),
      ...kept,
      saved_at: now(),
      ...(isKnown && { expires_at: Math.round(expiresAt) }),
    };
    this.enter(live);
    this.user = user;
    this.write(live);
    this.news.log("signed-in", "info");
    this.news.receive("signin", { fromOtherTab: false });
    this.news.receive("change");
  }

  private enter(live: Live): void {
    this.live = live;
    this.session = "unverified";
    this.user = this.signedOut = this.lastVerifiedAt = undefined;
    this.refusals = [];
    this.failures = this.retryMs = 0;
  }

  /** Ends the session here: the one way out, with the reason and the evidence on record. */
  private end(reason: SignOutReason): void {
    const { generation, token_id, token } = this.live!;
    const refusals = reason === "user" ? [] : this.refusals;
    const signOut = { reason, at: now(), fromOtherTab: false, evidence: { refusals } };
    const undelivered = reason === "user" && !!this.options.signOutPath;
    const tombstone = { generation, token_id, signOut, undelivered };
    this.store.write(writeTombstone(this.options.origin, tombstone));
    if (undelivered) this.revocation.add(tombstone, token);
    else this.options.csrf?.forget();
    this.leave(signOut);
  }

  private leave(signOut: SignOut): void {
    const { reason, fromOtherTab } = signOut;
    this.live = this.user = this.lastVerifiedAt = undefined;
    this.refusals = [];
    this.failures = this.retryMs = 0;
    this.session = "signed-out";
    this.signedOut = signOut;
    this.news.log("signed-out", reason === "user" ? "info" : "warn", { reason, fromOtherTab });
    this.news.receive("signout", signOut);
    this.news.receive("change");
  }

  private async deliver(): Promise<void> {
    if (!(await this.revocation.deliver())) return;
    this.failures++;
    // A check under way is not dropped for it.
    if (!this.isChecking) this.schedule();
  }

  private noteTold(tombstone: Tombstone): void {
    this.news.log("sign-out-told", "info");
    if (!this.live) this.options.csrf?.forget();
    const told = writeTombstone(this.options.origin, { ...tombstone, undelivered: false });
    if (this.isCookie && this.session === "signed-out") this.store.write(told);
  }

  /** One timer. A page that slept verifies when it fires. */
  private schedule(): void {
    const { everyMs } = this.options.verify;
    clearTimeout(this.timer);
    this.dueAt = undefined;
    const isOpen = this.live || this.session === "restoring" || this.revocation.isPending();
    if (!isOpen) return;
    const delay = SOON_MS * 2 ** Math.max(0, this.failures - 1);
    const backoff = Math.min(everyMs, Math.max(delay, this.retryMs));
    const plain = this.failures ? backoff : everyMs;
    const wait = this.refusals.length ? Math.max(APART_MS, this.failures && backoff) : plain;
    // Never early: 6 s apart are 6 s.
    const spread = wait * (1 + Math.random() / 10);
    this.dueAt = elapsed() + spread;
    this.timer = setTimeout(() => void this.check(), spread);
  }

  private noteServer(answer: Answer): void {
    const isLost = answer.kind === "none";
    const isNoSign = answer.kind === "unproven" || answer.kind === "not-sent";
    if (isNoSign || (isLost && !answer.isNetwork)) return;
    const state = isLost ? "unreachable" : "awake";
    if (state === this.server) return;
    this.server = state;
    this.news.receive("server", { state, since: now() });
  }

  private write(live: Live): void {
    this.live = live;
    this.store.write(writeLive(this.options.origin, live));
  }

  private nextLive(): Live {
    this.newest = nextGeneration(this.newest);
    return { generation: this.newest, token_id: newTokenId() };
  }

  private hasRunOut(): boolean {
    return (this.live?.expires_at ?? Infinity) <= now();
  }
}
