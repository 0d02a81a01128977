/**
 * Whether there is a page that a keeper can work in.
 *
 * Rule: a server has none and is told nothing. A document that lacks what a keeper is made of, as
 * those of test runners do, makes it inert too, and says so once.
 */

/** What keeper, transport and glue call by name; WebAssembly has a failure of its own. */
const NEEDED = [
  "AbortController",
  "Headers",
  "Request",
  "Response",
  "TextDecoder",
  "TextEncoder",
  "fetch",
];

/** The page's origin, `"null"` where it has an opaque one, nothing where there is no page. */
export function pageOrigin(): string | undefined {
  if (!globalThis.document) return undefined;
  // happy-dom has no `origin`; a sandboxed frame's location still names the one it came from.
  return globalThis.origin ?? globalThis.location?.origin ?? "null";
}

/** The names that this document lacks. */
export const missing = (): string[] =>
  NEEDED.filter((name) => typeof (globalThis as Record<string, unknown>)[name] !== "function");
