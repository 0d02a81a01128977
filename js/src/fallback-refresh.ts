/**
 * Refreshing without a core: after a 401 alone, never ahead of the expiry.
 *
 * Rule: as in the core, only the server's own no to the refresh is one, and there is one attempt
 * at a time, whoever wants it.
 */

import { type Answer, exchange, isWall, NOT_SENT } from "./ask.js";
import { elapsed } from "./clock.js";
import type { Options } from "./options.js";
import { type Live, newTokenId } from "./record.js";

/** A server that refuses the newer token as well must not get a storm. */
const REST_MS = 10_000;

export interface Host {
  write(live: Live): void;
  /** Takes the newer token, unless there is another session by now. */
  replace(newer: Partial<Live>, before: Live): void;
}

export class FallbackRefresh {
  private refreshedAt = -Infinity;
  private underWay: Promise<Answer | undefined> | undefined;

  constructor(
    private readonly options: Options,
    private readonly host: Host,
  ) {}

  /**
   * What a verification's answer counts as: a 401 that may be fixed later decides nothing. Where
   * it was fixed, the session has another token, and the answer is about the one before.
   */
  async after(answer: Answer, live: Live | undefined): Promise<Answer> {
    const { refresh } = this.options;
    const isRested = elapsed() - this.refreshedAt >= REST_MS;
    if (answer.kind !== "rejected" || !live || !refresh || !isRested) return answer;
    if (refresh.needsToken && !live.refresh_token) return answer;
    this.underWay ??= this.refresh(live).finally(() => (this.underWay = undefined));
    return (await this.underWay) ?? answer;
  }

  private async refresh(live: Live): Promise<Answer | undefined> {
    const sent = { ...live, refresh_attempt: live.refresh_attempt ?? newTokenId() };
    // Before it is sent: whoever is loaded after a crash repeats this very attempt.
    this.host.write(sent);
    const refreshed = await ask(this.options, sent);
    if (refreshed === "rejected") return undefined;
    if (refreshed === "unknown") return { kind: "none", isNetwork: false, retryMs: 0 };
    this.refreshedAt = elapsed();
    this.host.replace(refreshed, sent);
    return undefined;
  }
}

/** A newer token as the record has it, the server's no, or nothing that decides. */
async function ask(options: Options, live: Live): Promise<Partial<Live> | "rejected" | "unknown"> {
  const { run, read } = options.refresh!;
  const received = await exchange(options, (signal) => run(live, live.refresh_attempt!, signal));
  if (!received || received === NOT_SENT || received.isPage) return "unknown";
  const { response, body } = received;
  const { ok, status, headers } = response;
  const csrf = headers.get(options.csrf?.header ?? "X") ?? undefined;
  const { record, isInvalidGrant } = read(body, live, csrf);
  if (ok && record) return record;
  const isNo = status === 401 ? !isWall(response) : status === 400 && isInvalidGrant;
  return isNo ? "rejected" : "unknown";
}
