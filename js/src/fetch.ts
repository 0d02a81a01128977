/**
 * `keeper.fetch`: adds the credential and carries out what the core decides for a request that
 * failed: to wait, to be sent again, to be given back.
 *
 * Rule: a request that is answered at once costs one call of the core. Every wait ends with the
 * app's signal, with `stop()`, or within the core's bounds. Decides nothing itself.
 */

import type { Snapshot } from "../types.js";
import { now } from "./clock.js";
import { KeeperError } from "./errors.js";
import type { Options } from "./options.js";
import { isAllowedOrigin, type KeeperInit, type Outcome, type Outgoing } from "./outgoing.js";
import { prepare, resolve } from "./outgoing.js";

export { isAllowedOrigin, type KeeperInit, resolve } from "./outgoing.js";

/** Reports to the core, in the order of its arguments: see `report_request` in `src/export.rs`. */
export type Report = (
  id: number,
  event: number,
  kind: number,
  resource: number,
  sentWith: number,
  onAction: (action: number) => void,
) => void;

/** What a request needs of its keeper. */
export interface Sender extends EventTarget {
  readonly options: Options;
  readonly snapshot: Snapshot;
  /** Whether there is a core that decides. */
  readonly isActive: boolean;
  /** Stands for the present credential; below zero where a request has to be reported first. */
  admit(): number;
  credential(): string | undefined;
  /** Starts a verification where nothing waits for its verdict. */
  refused(): void;
  readonly reportRequest: Report;
  /** The API has answered a request of the app. */
  proveAwake(): void;
}

/** What is reported to the core, by its numbers. */
const READY = 0;
const NO_RESPONSE = 1;
const UNAVAILABLE = 2;
const UNAUTHORIZED = 3;
const CLOSED = 4;

/** What the core answers; 0 is to send it. */
const DELIVER = 1;
const REFUSE = 2;

/** What platforms answer while they start an app. */
const WAKING = [502, 503, 504];

const OTHER_ORIGIN = 4;

let lastId = 0;

export function send(
  keeper: Sender,
  input: RequestInfo | URL,
  init: KeeperInit = {},
): Promise<Response> {
  const { base, origins } = keeper.options;
  const target = isRequest(input) ? input : resolve(String(input), base);
  const isAllowed = isAllowedOrigin(isRequest(target) ? target.url : target, origins);
  if (isAllowed) return deliver(keeper, prepare(keeper.options, target, init));
  const { transport = fetch, ...given } = init;
  return transport(target, given);
}

async function deliver(keeper: Sender, outgoing: Outgoing): Promise<Response> {
  const isOurs = isAllowedOrigin(outgoing.url, [keeper.options.origin]);
  const kind = outgoing.replay + (isOurs ? 0 : OTHER_ORIGIN);
  let id = 0;
  let sentWith = keeper.admit();
  const decide = (event: number) =>
    decision(keeper, outgoing.signal, (onAction) => {
      id ||= ++lastId;
      const resource = event === UNAUTHORIZED ? hash(outgoing) : 0;
      keeper.reportRequest(id, event, kind, resource, sentWith, onAction);
    });
  try {
    if (sentWith < 0) {
      sentWith = -1 - sentWith;
      if ((await decide(READY)) === REFUSE) throw tooMany(keeper);
      sentWith = generation(keeper);
    }
    for (;;) {
      const isBare = keeper.snapshot.signedIn === false;
      const outcome = await outgoing.attempt(credentialOf(keeper, sentWith), isBare);
      const event = eventOf(outcome, outgoing, isOurs);
      // The core has its own proofs while all is well.
      if (isOurs && keeper.snapshot.server !== "awake" && isProof(outcome)) keeper.proveAwake();
      if (event === undefined) return result(outcome);
      if (!keeper.isActive) {
        if (event === UNAUTHORIZED) keeper.refused();
        return result(outcome);
      }
      const action = await decide(event);
      if (action === REFUSE) throw tooMany(keeper);
      if (action === DELIVER) return result(outcome);
      outcome.response?.body?.cancel();
      sentWith = generation(keeper);
    }
  } finally {
    if (id && keeper.isActive) {
      keeper.reportRequest(id, CLOSED, kind, hash(outgoing), sentWith, () => {});
    }
  }
}

/** What the core has to know of; nothing where the answer is the app's. */
function eventOf(
  { response, error }: Outcome,
  { signal, hasOwnCredential }: Outgoing,
  isOurs: boolean,
): number | undefined {
  if (response?.status === 401) return hasOwnCredential ? undefined : UNAUTHORIZED;
  // How another origin fares is not what the health path says.
  if (!isOurs || signal?.aborted || error instanceof KeeperError) return undefined;
  if (!response) return NO_RESPONSE;
  return WAKING.includes(response.status) ? UNAVAILABLE : undefined;
}

/** JSON that is fresh comes from the API: platforms answer for it with pages. */
function isProof({ response }: Outcome): boolean {
  const header = (name: string) => response!.headers.get(name);
  if (!response?.ok || response.redirected || header("Age")) return false;
  if (!/[/+]json\b/.test(header("Content-Type") ?? "")) return false;
  // A service worker answers from its store with the date of then.
  const date = Date.parse(header("Date") ?? "");
  return !(now() - date > 60_000);
}

function result({ response, error }: Outcome): Response {
  if (!response) throw error;
  return response;
}

/** Waits for the core; a core that crashes meanwhile decides nothing. */
async function decision(
  keeper: Sender,
  signal: AbortSignal | undefined,
  report: (onAction: (action: number) => void) => void,
): Promise<number> {
  const over = new AbortController();
  try {
    return await new Promise<number>((resolve, reject) => {
      report(resolve);
      const onChange = () => keeper.snapshot.failure && resolve(DELIVER);
      keeper.addEventListener("change", onChange, { signal: over.signal });
      onChange();
      signal?.addEventListener("abort", () => reject(reason(signal)), { signal: over.signal });
      if (signal?.aborted) reject(reason(signal));
    });
  } finally {
    over.abort();
  }
}

/** The last credential of each keeper, because a call of the core costs more than the rest. */
const credentials = new WeakMap<Sender, { of: number; credential: string | undefined }>();

function credentialOf(keeper: Sender, generation: number): string | undefined {
  if (!generation) return keeper.credential();
  const known = credentials.get(keeper);
  if (known?.of === generation) return known.credential;
  const credential = keeper.credential();
  credentials.set(keeper, { of: generation, credential });
  if (!known) keeper.addEventListener("signout", () => credentials.delete(keeper), { once: true });
  return credential;
}

const generation = (keeper: Sender): number => {
  const admitted = keeper.admit();
  return admitted < 0 ? -1 - admitted : admitted;
};

const tooMany = ({ options }: Sender): KeeperError =>
  new KeeperError("too-many-waiting", `${options.maxWaiting} requests wait for the server already`);

/** Stands for method and path, without query, in the core (FNV-1a). */
function hash({ method, url }: Outgoing): number {
  let hash = 0x811c9dc5;
  for (const char of method + url.replace(/[?#].*/s, "")) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  }
  return hash >>> 0;
}

// Chromium 97 and Safari before 15.4 give none.
const reason = (signal: AbortSignal): unknown =>
  signal.reason ?? new DOMException("aborted", "AbortError");

const isRequest = (input: RequestInfo | URL): input is Request =>
  typeof input === "object" && "url" in input;
