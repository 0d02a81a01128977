/**
 * The credential for when the wasm is refused or has crashed: from the stored record, or from the
 * sign-in of this page.
 *
 * Rule: only a record of this version and of our origin is believed (`docs/formats.md`), and
 * nothing is written, because the record is the core's. The token lives in this closure, so
 * that printing a keeper shows none.
 */

import type { StorageAdapter } from "../types.js";
import type { Options } from "./options.js";
import { isToken } from "./tokens.js";

export interface Spare {
  /** Remembers the token of a sign-in; an empty one forgets. */
  keep(token: string): void;
  /** Turns to the record. A promise where the store answers with one. */
  open(): Promise<unknown> | undefined;
  /** Forgets the token and erases the record, so that a sign-out outlives the page. */
  erase(): void;
  /** The value of `Authorization`. */
  credential(): string | undefined;
}

/** As long as the core waits for a store. */
const READING = 2_000;

export function makeSpare(options: Options): Spare {
  const { scheme, name, origin } = options;
  let token = "";
  const adopt = (stored: unknown) => {
    const record = attempt(() => JSON.parse(String(stored)));
    const isOurs = record?.v === 1 && record.origin === origin && isToken(record.token);
    if (isOurs) token = record.token;
  };
  return {
    keep: (kept) => {
      token = kept;
    },
    open: () => {
      const stored = attempt(() => store(options).get(name));
      const late = new Promise((resolve) => setTimeout(resolve, READING));
      if (stored instanceof Promise) return Promise.race([stored.then(adopt, () => {}), late]);
      adopt(stored);
      return undefined;
    },
    erase: () => {
      token = "";
      Promise.resolve(attempt(() => store(options).remove(name))).catch(() => {});
    },
    credential: () => (scheme && token ? `${scheme} ${token}` : undefined),
  };
}

function store({ adapter, persist }: Options): Pick<StorageAdapter, "get" | "remove"> {
  if (adapter) return adapter;
  // There is no such storage for "memory", and its record is gone with the core.
  const storage = (globalThis as Record<string, unknown>)[`${persist}Storage`] as Storage;
  return {
    get: (key) => storage.getItem(key),
    remove: (key) => storage.removeItem(key),
  };
}

/** Blocked storage throws at its mere mention, and an adapter as it likes. */
function attempt<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch {
    return undefined;
  }
}
