/**
 * Where the fallback keeps its record: a store of the browser, the app's adapter, or memory.
 *
 * Rule: a store that fails costs comfort and never a session. What it could not replace it is told
 * to erase, because an older record must not come back.
 */

import type { DebugView, StorageAdapter } from "../types.js";
import type { Options } from "./options.js";
import { readRecord, type Stored } from "./record.js";

export interface Store {
  /** The word for the place, as in the debug view. */
  name(): DebugView["storage"];
  /**
   * Reads the record: at once where the store answers so. A slow one is told as unreadable, and
   * once more when it has answered.
   */
  read(done: (stored: Stored) => void): void;
  write(record: string): void;
  erase(): void;
}

/** As long as a start waits for a store. */
const READING_MS = 2_000;

export function openStore(options: Options): Store {
  const { name: key, origin, scheme } = options;
  const place = placeOf(options);
  /** What holds where the store does not work. */
  let memory: string | undefined;
  let works = !!place;
  const recognize = (stored: unknown) => readRecord(stored, origin, !!scheme);
  const remove = () => quietly(() => place?.remove(key));
  const failed = () => {
    works = false;
    remove();
  };
  return {
    name: () => (works ? (options.persist ?? "adapter") : "memory"),
    read: (done) => {
      if (!works) return done(recognize(memory));
      const stored = quietly(() => place!.get(key));
      if (!isPromise(stored)) return done(recognize(stored));
      const timer = setTimeout(() => done({ kind: "unreadable" }), READING_MS);
      const answered = (found: Stored) => {
        clearTimeout(timer);
        done(found);
      };
      stored.then(
        (stored) => answered(recognize(stored)),
        () => answered({ kind: "unreadable" }),
      );
    },
    write: (record) => {
      memory = record;
      if (!place) return;
      try {
        works = true;
        const written: unknown = place.set(key, record);
        if (isPromise(written)) written.then(undefined, () => memory === record && failed());
      } catch {
        failed();
      }
    },
    erase: () => {
      memory = undefined;
      remove();
    },
  };
}

function placeOf({ adapter, persist }: Options): StorageAdapter | undefined {
  if (adapter) return adapter;
  if (persist === "memory") return undefined;
  const storage = quietly(() => (persist === "local" ? localStorage : sessionStorage));
  return (
    storage && {
      get: (key) => storage.getItem(key),
      set: (key, value) => storage.setItem(key, value),
      remove: (key) => storage.removeItem(key),
    }
  );
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";

/** Blocked storage throws at its mere mention, and an adapter as it likes. */
function quietly<T>(step: () => T): T | undefined {
  try {
    const result = step();
    if (isPromise(result)) result.then(undefined, () => {});
    return result;
  } catch {
    return undefined;
  }
}
