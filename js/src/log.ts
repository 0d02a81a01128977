/**
 * What happened, as sentences, and how loud they are on the console.
 *
 * Rule: a sentence is made of the code, the details and the configured paths, of which none holds
 * a token, a body, a query or a user. People search for these lines word for word.
 */

import type { HistoryEntry, LogEvent } from "../types.js";
import type { Options } from "./options.js";

/** An entry as the core tells it: details without a sentence. */
export type RawEntry = Pick<HistoryEntry, "at" | "code" | "level"> & Record<string, unknown>;

export const PREFIX = "[session-keeper] ";

/**
 * By code, or by code and what tells its kinds apart. `{name}` is a detail, `{path}` and `{url}`
 * stand for the request, `{s}` for seconds. Where there is none the code says it all.
 */
const SENTENCES: Readonly<Record<string, string>> = {
  "keep-alive": "Keep-alive ping active: {path} every {s} s",
  "record-corrupt": "Stored session unreadable: erased",
  "record-foreign": "Stored session of another origin or version: left alone",
  "store-failed": "Storage blocked or full: the session lives as long as this page",
  answered: "{path}: {status} after {ms} ms",
  unanswered: "{path}: no answer after {ms} ms",
  held: "{path}: held open, perhaps by a wake-up",
  "given-up": "{path}: given up",
  periodic: "Periodic token verification...",
  retry: "Token verification retry {attempt}/{of}",
  kept: "{status}: still signed in",
  "kept network": "Network error: still signed in",
  "kept no-answer": "Network error: still signed in",
  "kept hint": "{status} of a request: verifying",
  verified: "Token verified",
  suspect: "{status}: confirming it first",
  refused: "Refused: {status} ({grade})",
  "refusal-void": "Refusal ignored: {why}",
  refuted: "Refusals refuted: {refusals}",
  "signed-out": "Signed out: {reason}",
  "signed-out rejected": "Signed out: 401 confirmed",
  server: "Server {state}, was {before}",
  rebooted: "Server restarted: boot {boot}",
  slept: "Page slept for {s} s",
  page: "Page {event}",
  "wrong-path": "{url} answers 404: set verify.path, perhaps to /api/auth/me",
  misconfigured: "{url} never answers as an API ({status}): set verify.path",
};

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** The entry with its sentence. */
export function withText(entry: RawEntry, options: Options): HistoryEntry {
  const { code, ms, why, reason } = entry;
  const path = pathOf(entry, options);
  const details: Record<string, unknown> = {
    ...entry,
    path,
    url: options.base + path,
    s: Number(ms) / 1000,
  };
  const sentence = SENTENCES[`${code} ${why ?? reason}`] ?? SENTENCES[code] ?? plain(code);
  const text = sentence.replace(/{(\w+)}/g, (_, name: string) => String(details[name]));
  return { ...entry, text } as HistoryEntry;
}

/** Without its query, which may hold a key. */
function pathOf({ code, probe }: RawEntry, options: Options): string {
  const { health, verifyPath, signOutPath } = options;
  const isHealth = health && (probe === "health" || code === "keep-alive");
  const path = isHealth ? health.path : probe === "sign-out" ? signOutPath : verifyPath;
  return String(path).split("?")[0]!;
}

/** `signed-in` as "Signed in". */
const plain = (code: string) => code[0]!.toUpperCase() + code.slice(1).replace(/-/g, " ");

/** Prints or hands on what the app wants to see, as a listener whose errors harm nobody. */
export function logger({ log }: Options): (event: LogEvent) => void {
  if (typeof log === "function") return ({ entry }) => log(entry);
  const quietest = log === "silent" ? LEVELS.length : LEVELS.indexOf(log);
  return ({ entry }) => {
    if (LEVELS.indexOf(entry.level) >= quietest) console[entry.level](PREFIX + entry.text);
  };
}
