/**
 * The fallback's way to tell the server of sign-outs, until it has answered. The core has one of
 * its own, in `revocation.rs`.
 *
 * Rule: each is told until the server knows of it, and one at a time.
 */

import { askSignOut } from "./ask.js";
import type { Options } from "./options.js";
import type { Tombstone } from "./record.js";

/** Takes what happened, as the fallback's news. */
interface Log {
  log(code: string, level: "error", details: object): void;
}

/** A sign-out that the server has not heard of. */
interface Pending {
  readonly tombstone: Tombstone;
  readonly token: string | undefined;
}

export class Revocation {
  private readonly pending = new Set<Pending>();
  private isUnderWay = false;
  private isRefusalReported = false;

  /** `told` is called for each that the server knows of. */
  constructor(
    private readonly options: Options,
    private readonly log: Log,
    private readonly told: (tombstone: Tombstone) => void,
  ) {}

  isPending(): boolean {
    return this.pending.size > 0;
  }

  add(tombstone: Tombstone, token?: string): void {
    // A cookie is one, and ended once.
    if (this.options.auth === "cookie") this.cancel();
    this.pending.add({ tombstone, token });
  }

  cancel(): void {
    this.pending.clear();
  }

  /** Tells of all, and of what is added meanwhile. Returns whether that is to be done again. */
  async deliver(): Promise<boolean> {
    if (this.isUnderWay) return false;
    this.isUnderWay = true;
    for (const pending of this.pending) {
      const { isTold, status } = await askSignOut(this.options, pending.token);
      if (isTold && this.pending.delete(pending)) this.told(pending.tombstone);
      else if (status !== undefined) this.report(status);
    }
    this.isUnderWay = false;
    return this.isPending();
  }

  /** It is asked again and again. */
  private report(status: number): void {
    if (this.isRefusalReported) return;
    this.isRefusalReported = true;
    this.log.log("sign-out-rejected", "error", { status });
  }
}
