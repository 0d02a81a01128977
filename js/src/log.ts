/**
 * What happened, as sentences, and how loud they are on the console.
 *
 * Rule: a sentence is made of the code, the details and the configured paths, of which none holds
 * a token, a body, a query or a user. People search for these lines word for word.
 */

import type { HistoryEntry, LogEvent } from "../types.js";
import { join } from "./addresses.js";
import { PREFIX } from "./errors.js";
import table from "./events.json";
import type { Options } from "./options.js";

/** An entry as the core tells it: the event and its details by their numbers in `events.json`. */
export interface RawEntry {
  readonly at: number;
  readonly n: readonly [event: number, ...details: number[]];
  readonly instance?: string;
  readonly boot?: string;
}

const DIAGNOSIS = "diagnosis";

/**
 * By code, or by code and why. `{name}` is a detail, `{health}` and `{verify}` are the paths,
 * `{url}` is the verify URL, `{s}` are seconds. Where there is no sentence the code and its details
 * say it. All of them stay in the default entry: a module of their own for the levels that are off
 * by default would save 0.2 KB gzip, and make `log: "info"` say less than people search for.
 */
const SENTENCES: Readonly<Record<string, string>> = {
  "keep-alive": "Keep-alive ping active: {health} every {s} s",
  "no-user": "Nobody is signed in: {url} answers {status}",
  "record-corrupt": "Stored session unreadable: erased",
  "record-foreign": "Stored session of another origin or version: left alone",
  "store-failed": "Storage blocked or full: the session lives as long as this page",
  periodic: "Periodic token verification...",
  retry: "Token verification retry {attempt}/{of}",
  kept: "{status}: still signed in",
  "kept network": "Network error: still signed in",
  "kept no-answer": "Network error: still signed in",
  "kept no-verdict": "{url} answers {status}: still signed in",
  "kept hint": "{status} of a request: verifying the token",
  "kept stale": "{url} answers from a cache: still signed in",
  "kept error-shape": "{url} answers {status} with an error in it: still signed in",
  "kept redirected": "{url} answers with a redirect: still signed in",
  "kept not-sent": "auth failed, so nothing was sent: still signed in",
  verified: "Token verified",
  suspect: "{status} from {verify}: confirming before signing out (up to {s} s: {because})",
  "suspect immediate": "{status} from {verify}: signing out at once, as `confirm` asks",
  rejected: "{status} from {verify} counts as a rejection ({grade})",
  "rejection-ignored": "A rejection does not count: {why}",
  refuted: "Rejected {refusals} times, then accepted: still signed in",
  "signed-out": "Signed out: {reason}",
  "signed-out rejected": "Signed out: 401 confirmed",
  refreshed: "Token refreshed",
  leading: "This tab asks the server for all tabs",
  "refresh-failed": "Token not refreshed ({status}): still signed in, asked again in {s} s",
  "refresh-rejected": "The refresh was answered {status}: confirming before signing out",
  "acquire-failed": "Token not acquired ({status}): asked again in {s} s",
  "sign-out-rejected":
    "The sign-out was answered {status}: the server may keep the session. " +
    "Set signOut.path, and csrf in cookie mode",
  server: "Server {state}, was {before}",
  "wrong-path": "{url} answers {status}: set verify.path, perhaps to {candidate}",
  misconfigured: "{url} never answers as an API ({status}): set verify.path",
  "diagnosis workers-disagree": "A good token was rejected: do all workers share their tokens?",
  "diagnosis server-sleeps": "The server was asleep and took {s} s to wake up",
  "diagnosis tokens-lost": "The server lost its tokens in a restart",
  "diagnosis signing-key-changed": "The server signs with another key since it started",
  "diagnosis restart-loop": "The server started {count} times in {s} s",
  "diagnosis clock-skew": "The clock of this device is {s} s off",
  "diagnosis wrong-path": "{address} answers {status}: set {probe}.path",
  "diagnosis wrong-path health": "{address} answers {status}: set health.path or health: false",
  "diagnosis slow-health": "The health path took {s} s: it must wait for nothing",
  "diagnosis blocked-by-cors": "{url} never answers: does it allow this origin (CORS)?",
  "diagnosis health-blocked":
    "{address} never answers while the API does: does something block it? Set health.path",
  "diagnosis login-redirect":
    "{url} leads elsewhere: is the session over? " +
    "Answer 401 to API requests, or use verify.classify",
  "diagnosis unclear-rejection":
    "{url} answers {status} and shows no user: is the session over? " +
    "Answer 401, or use verify.classify",
  "diagnosis gateway": "A page answers 401 in place of the API for {s} s: a proxy or a firewall?",
  "diagnosis stale-answers":
    "{address} was answered by a cache or a service worker: exclude it there",
};

/** Why a confirmation takes as long as it may, by its basis. */
const BECAUSE: Readonly<Record<string, string>> = {
  expired: "the token has run out",
  instances: "all known instances are asked",
  consistent: "this backend has been consistent so far",
  "just-started": "the server has just started or woken up",
  unknown: "nothing is known about this backend yet",
  "no-health": "there is no health path that could tell a proxy's 401 from the API's",
  inconsistent: "this backend has rejected good tokens before",
  fallback: "without WebAssembly two rejections 6 s apart decide",
};

/** What would make it quicker, for those that take a minute or two. */
const QUICKER: Readonly<Record<string, string>> = {
  unknown: "Send `instance` and `boot` to make it 8 s",
  inconsistent: "Let all workers share their tokens, or send `instance` and `boot`",
  "no-health": "Set health.path",
};

const CONFIRMATION = "session-keeper/docs/confirmation.md";

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** The entry in words, with its sentence. */
export function readEntry({ n, ...rest }: RawEntry, options: Options): HistoryEntry {
  const [event, ...numbers] = n;
  const [code = "", level = "", ...names] = table.events[event]!.split(" ");
  const details: Details & { at: number } = { ...rest };
  names.forEach((name, index) => {
    const number = numbers[index];
    if (number !== undefined && (number || wordsOf(name) || code !== DIAGNOSIS)) {
      details[name] = valueOf(name, number);
    }
  });
  return describe(code, LEVELS[+level]!, details, options);
}

/** An entry with its sentence. `details` may say when it was. */
export function describe(
  code: string,
  level: HistoryEntry["level"],
  details: Details & { at: number },
  options: Options,
): HistoryEntry {
  const { why, reason, cause, basis, probe } = details;
  const key = `${code} ${why ?? reason ?? cause ?? basis}`;
  const sentence = SENTENCES[`${key} ${probe}`] ?? SENTENCES[key] ?? SENTENCES[code];
  const urlOf = (path?: string) => plain(join(options.base, path ?? ""));
  const url = urlOf(options.verifyPath);
  const gaps: Details = {
    ...details,
    status: details.status || (/-failed$/.test(code) ? "no answer" : "a redirect"),
    health: plain(options.healthPath),
    verify: plain(options.verifyPath),
    url,
    address: probe === "health" ? urlOf(options.healthPath) : url,
    candidate: details.candidate ?? "/api/auth/me",
    s: Number(details.ms) / 1000,
    because: BECAUSE[String(basis)],
  };
  let text = sentence
    ? sentence.replace(/{(\w+)}/g, (_, name: string) => String(gaps[name]))
    : spell(code, details);
  if (cause) text += ` (${docsOf(cause)})`;
  const quicker = QUICKER[String(basis)];
  if (quicker) text += `. ${quicker}: ${CONFIRMATION}`;
  const isError = why === "no-verdict" || details.usable === 0;
  const loudness = details.rule ? "warn" : isError ? "error" : level;
  return { code, level: loudness, text, ...details };
}

/** The page of a cause, within the package. */
const docsOf = (cause: unknown) => `session-keeper/docs/causes/${cause}.md`;

/** What a diagnosis tells as an event of its own; nothing for other entries. */
export function readDiagnosis(entry: HistoryEntry): object | undefined {
  const { at, code, level, text, cause, ...evidence } = entry;
  return code === DIAGNOSIS ? { cause, evidence, docs: docsOf(cause) } : undefined;
}

/** Without its query, which may hold a key. */
const plain = (path = "") => path.split("?")[0]!;

/** `answered` as "Answered: probe health, status 200". */
function spell(code: string, { at, ...details }: Details): string {
  const pairs = Object.entries(details).map((pair) => pair.join(" "));
  const name = code[0]!.toUpperCase() + code.slice(1).replace(/-/g, " ");
  return name + (pairs.length ? ": " : "") + pairs.join(", ");
}

type Details = Record<string, string | number | boolean | undefined>;

function valueOf(name: string, number: number): string | number | boolean {
  if (name === "fromOtherTab") return number > 0;
  return wordsOf(name)?.split(" ")[number] ?? number;
}

const wordsOf = (name: string): string | undefined =>
  table.words[(name === "before" ? "state" : name) as keyof typeof table.words];

/** Prints or hands on what the app wants to see, as a listener whose errors harm nobody. */
export function logger({ log }: Options): (event: LogEvent) => void {
  if (typeof log === "function") return ({ entry }) => log(entry);
  const quietest = log === "silent" ? LEVELS.length : LEVELS.indexOf(log);
  let isStoreReported = false;
  return ({ entry }) => {
    // A store that fails is tried again at each write, which is no news.
    const isOld = entry.code === "store-failed" && isStoreReported;
    isStoreReported ||= entry.code === "store-failed";
    if (isOld || LEVELS.indexOf(entry.level) < quietest) return;
    console[entry.level](PREFIX + entry.text);
  };
}
