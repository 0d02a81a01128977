/**
 * The keeper without wasm, for pages whose Content-Security-Policy refuses it and for a core that
 * has crashed: the promise in plain form.
 *
 * Rule: a session ends by the user, or by two refusals of the API itself 6 s apart; everything
 * else changes nothing. It takes the same calls and reports the same news as the core. It has no
 * pings, no statistics and no other tabs: what those wrote is read before each verification.
 */

import type { Refusal, SignOut, SignOutReason, Snapshot } from "../types.js";
import { type Answer, askSignOut, askVerify } from "./ask.js";
import { elapsed, now } from "./clock.js";
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
import { openStore, type Store } from "./store.js";

/** Longer than a deploy's moment of confusion, and than most servers keep a connection open. */
const APART_MS = 6_000;
/** A 401 of any request is a reason to verify, but an API that always says 401 is no storm. */
const HINT_EVERY_MS = 10_000;
/** The first repeat of what got no answer that proves anything. */
const SOON_MS = 2_000;
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
}

export class Fallback {
  private session: Snapshot["session"] = "restoring";
  private server: Snapshot["server"] = "unknown";
  private live: Live | undefined;
  private user: unknown;
  private signedOut: SignOut | undefined;
  private lastVerifiedAt: number | undefined;
  private newest = 0;
  private refusals: Refusal[] = [];
  private firstRefusalAt = 0;
  private hintedAt = -Infinity;
  /** How often nothing was proven since something was. */
  private failures = 0;
  /** Sign-outs that the server has not heard of. */
  private owed: { tombstone: Tombstone; token: string | undefined }[] = [];
  private isRefusalReported = false;
  private readonly store: Store;
  private isRunning = false;
  private isRead = false;
  /** The verification at hand; what an older one brings is dropped. */
  private round = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt: number | undefined;

  constructor(
    private readonly options: Options,
    private readonly news: News,
    private known: Known | undefined,
  ) {
    this.store = openStore(options);
  }

  start(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.store.read((stored) => this.restore(stored));
  }

  stop(): void {
    this.isRunning = false;
    this.round++;
    clearTimeout(this.timer);
    this.news.receive("settled");
  }

  sign_in({ token }: { token?: string }, user: unknown, expiresAt: number): void {
    // The new cookie is the one that a late sign-out would end.
    if (this.isCookie()) this.owed = [];
    this.begin({ token: token ?? "", user, expiresAt });
    void this.check();
  }

  /** The app has got a newer token by itself. */
  renew({ token, expires_at }: { token?: string; expires_at?: number }): void {
    if (!this.live) return;
    const { expires_at: _, ...live } = this.live;
    this.write({ ...live, ...(token && { token }), ...(expires_at && { expires_at }) });
    this.news.receive("refresh");
  }

  sign_out(): void {
    // A cookie that nobody has asked about yet is ended all the same.
    if (this.session === "restoring") this.live = this.nextLive();
    if (!this.live) return;
    this.end("user");
    void this.check();
  }

  verify(): void {
    void this.check();
  }

  /** A request of the app was refused. */
  report(): void {
    if (!this.live || elapsed() - this.hintedAt < HINT_EVERY_MS) return;
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
    return {
      session,
      server,
      signedIn,
      user,
      expiresAt: this.live?.expires_at,
      lastVerifiedAt,
      signOut,
    };
  }

  debug(): object {
    const { token_id: tokenId, saved_at: savedAt } = this.live ?? {};
    const nextVerification = this.dueAt && Math.max(0, this.dueAt - elapsed());
    const storage = this.store.name();
    return { tokenId, savedAt, nextVerification, runOut: this.hasRunOut(), storage };
  }

  private restore(stored: Stored): void {
    // Once more, by a store that was slow: late is better than never.
    if (this.isRead) this.adopt(stored);
    else {
      const { known } = this;
      this.known = undefined;
      this.adopt(stored);
      this.isRead = true;
      // The core crashed before it was written, or there is no store.
      if (!this.live && !this.signedOut && known?.token) this.begin(known);
      if (this.live) this.user = known?.user;
      const asksTheServer = this.isCookie() && !this.owed.length;
      if (!this.live && !asksTheServer) this.session = "signed-out";
      this.news.receive("restored");
    }
    this.news.receive("change");
    void this.check();
  }

  /** Takes over what is stored where that is newer than what is known. */
  private adopt(stored: Stored): void {
    const { live, newest, session } = this;
    if (stored.kind === "live") {
      const found = stored.live;
      this.newest = Math.max(newest, found.generation);
      const isNewer = live
        ? found.token_id !== live.token_id && found.generation >= live.generation
        : session === "restoring" || found.generation > newest;
      if (!isNewer) return;
      this.enter(found);
      this.lastVerifiedAt = found.verified_at;
      if (session === "signed-out") this.news.receive("signin", { fromOtherTab: true });
    } else if (stored.kind === "tombstone") {
      const { tombstone } = stored;
      this.newest = Math.max(newest, tombstone.generation);
      if (session === "restoring") {
        this.signedOut = tombstone.signOut;
        // Nothing is verified back in before the server has heard of it.
        const isOwed = tombstone.undelivered && this.isCookie();
        if (isOwed) this.owed.push({ tombstone, token: undefined });
      } else if (live && isOver(live, tombstone)) {
        this.leave({ ...tombstone.signOut, fromOtherTab: true });
      }
    } else if (live && (stored.kind === "absent" || stored.kind === "corrupt")) {
      // An absent record is never a sign-out: it is written back.
      this.write(live);
    } else if (stored.kind === "corrupt") {
      this.store.erase();
    }
  }

  /** Verifies what is stored now, and delivers the sign-outs that are owed. */
  private async check(): Promise<void> {
    if (!this.isRunning) return;
    clearTimeout(this.timer);
    const round = ++this.round;
    void this.deliver();
    await this.reread();
    const { live } = this;
    const isOpen = live || (this.session === "restoring" && !this.owed.length);
    if (round === this.round && isOpen) {
      const answer = await askVerify(this.options, live?.token);
      // Nothing is judged, or written, about a session that another tab has ended meanwhile.
      if (round === this.round && answer.kind !== "none") await this.reread();
      if (round !== this.round) return;
      // Another tab has replaced the token that was asked about.
      if (live?.token_id !== this.live?.token_id) return this.check();
      this.judge(answer);
    }
    if (round !== this.round) return;
    this.schedule();
    this.news.receive("change");
    this.news.receive("settled");
  }

  private reread(): Promise<void> {
    return new Promise((resolve) => {
      this.store.read((stored) => {
        this.adopt(stored);
        resolve();
      });
    });
  }

  private judge(answer: Answer): void {
    this.failures = answer.kind === "none" || answer.kind === "other" ? this.failures + 1 : 0;
    this.noteServer(answer);
    if (answer.kind === "accepted") this.accept(answer.user);
    else if (answer.kind === "none") this.keep("network");
    // Nobody was signed in, as far as is known: that is how it stays.
    else if (!this.live) this.session = "signed-out";
    else if (answer.kind === "rejected") this.refuse(answer.status, answer.grade);
    else this.keep(answer.status === 403 ? "forbidden" : "no-verdict", answer.status);
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
    if (!this.live) return;
    this.news.log("kept", "info", { why, ...(status && { status }) });
    if (status === 403) this.news.receive("forbidden", { status });
  }

  private begin({ token, user, expiresAt }: Known): void {
    const isKnown = expiresAt !== undefined && expiresAt >= 0;
    const live = {
      ...this.nextLive(),
      ...(token && { token }),
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
    this.user = undefined;
    this.signedOut = undefined;
    this.lastVerifiedAt = undefined;
    this.refusals = [];
    this.failures = 0;
  }

  /** Ends the session here: the one way out, with the reason and the evidence on record. */
  private end(reason: SignOutReason): void {
    const { generation, token_id, token } = this.live!;
    const refusals = reason === "user" ? [] : this.refusals;
    const signOut = { reason, at: now(), fromOtherTab: false, evidence: { refusals } };
    const undelivered = reason === "user" && !!this.options.signOutPath;
    const tombstone = { generation, token_id, signOut, undelivered };
    this.store.write(writeTombstone(this.options.origin, tombstone));
    if (undelivered) this.owed.push({ tombstone, token });
    this.leave(signOut);
  }

  private leave(signOut: SignOut): void {
    const { reason, fromOtherTab } = signOut;
    this.live = this.user = this.lastVerifiedAt = undefined;
    this.refusals = [];
    this.session = "signed-out";
    this.signedOut = signOut;
    this.news.log("signed-out", reason === "user" ? "info" : "warn", { reason, fromOtherTab });
    this.news.receive("signout", signOut);
    this.news.receive("change");
  }

  private async deliver(): Promise<void> {
    for (const debt of [...this.owed]) {
      const { isTold, status } = await askSignOut(this.options, debt.token);
      if (!this.owed.includes(debt)) continue;
      if (!isTold) {
        this.failures++;
        if (status !== undefined) this.reportRefusal(status);
        this.schedule();
        continue;
      }
      this.owed = this.owed.filter((other) => other !== debt);
      this.news.log("sign-out-told", "info");
      const isLast = this.isCookie() && this.session === "signed-out";
      const tombstone = { ...debt.tombstone, undelivered: false };
      if (isLast) this.store.write(writeTombstone(this.options.origin, tombstone));
    }
  }

  /** Says what the server answered to the sign-out, once: it is asked again and again. */
  private reportRefusal(status: number): void {
    if (this.isRefusalReported) return;
    this.isRefusalReported = true;
    this.news.log("sign-out-refused", "error", { status });
  }

  /** One timer. A page that slept verifies when it fires. */
  private schedule(): void {
    const { everyMs } = this.options.verify;
    clearTimeout(this.timer);
    this.dueAt = undefined;
    if (!this.live && !this.owed.length && this.session !== "restoring") return;
    const backoff = Math.min(everyMs, SOON_MS * 2 ** Math.max(0, this.failures - 1));
    const plain = this.failures ? backoff : everyMs;
    const wait = this.refusals.length ? Math.max(APART_MS, this.failures && backoff) : plain;
    // Never early: 6 s apart are 6 s.
    const spread = wait * (1 + Math.random() / 10);
    this.dueAt = elapsed() + spread;
    this.timer = setTimeout(() => void this.check(), spread);
  }

  private noteServer(answer: Answer): void {
    const isLost = answer.kind === "none";
    if (isLost && !answer.isNetwork) return;
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
    const at = this.live?.expires_at;
    return at !== undefined && at <= now();
  }

  private isCookie(): boolean {
    return this.options.auth === "cookie";
  }
}

/** Whether the tombstone ends this session. */
const isOver = (live: Live, { generation, token_id }: Tombstone): boolean =>
  generation > live.generation || (generation === live.generation && token_id === live.token_id);
