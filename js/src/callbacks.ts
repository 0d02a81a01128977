/**
 * The app's own functions, called under guard.
 *
 * Rule: a mistake in one of them is one console error that says what is expected, and never an
 * exception in the middle of a verification. Knows nothing of sessions.
 */

import type { Authorize, Classify } from "../types.js";
import { PREFIX } from "./errors.js";

/** Tells the developer of the app about a mistake in it, each one once. */
export type Complain = (text: string) => void;

export function complainer(isSilent: boolean): Complain {
  const reported = new Set<string>();
  return (text) => {
    if (isSilent || reported.has(text)) return;
    reported.add(text);
    console.error(PREFIX + text);
  };
}

/** What was thrown, without its message, which may repeat an answer and a token in it. */
export const nameOf = (error: unknown): string =>
  error instanceof Error ? error.name : typeof error;

/** What it says in other words than its own counts as nothing: the usual table decides. */
export const guardClassify =
  (classify: Classify, complain: Complain): Classify =>
  (response, body) => {
    let said: unknown;
    try {
      said = classify(response, body);
    } catch (error) {
      return complain(`verify.classify threw (${nameOf(error)}): the answer counts as usual`);
    }
    if (said === "valid" || said === "rejected") return said;
    if (said === undefined || said === null) return undefined;
    const isPromise = typeof (said as PromiseLike<unknown>).then === "function";
    // Nobody else waits for it, and an unhandled rejection would be one more error.
    if (isPromise) Promise.resolve(said).catch(() => {});
    const what = isPromise ? "a promise: it must answer at once with" : "something else than";
    return complain(`verify.classify returned ${what} "valid", "rejected" or nothing`);
  };

/** Where it returns no request, the one that it was given is sent: it may have set its headers. */
export const guardAuthorize =
  (authorize: Authorize, complain: Complain): Authorize =>
  async (request) => {
    try {
      const authorized: unknown = await authorize(request);
      if (typeof (authorized as Request | undefined)?.url === "string")
        return authorized as Request;
    } catch (error) {
      complain(`auth threw (${nameOf(error)}): the request is not sent`);
      throw error;
    }
    complain("auth must return the request to send: the one that it was given is sent");
    return request;
  };
