/**
 * session-keeper for Svelte 5.7 and later: one object that is a store (`$session`) and has runes'
 * `session.current`.
 */

import { createSubscriber } from "svelte/reactivity";

import type { SessionKeeper, Snapshot } from "../types.js";

export interface SessionStore<User = unknown> {
  /** The snapshot; in a component, an effect or a `$derived` it is followed. */
  readonly current: Snapshot<User>;
  /** Svelte's store contract: calls at once, and after each change. */
  subscribe(this: void, run: (snapshot: Snapshot<User>) => void): () => void;
}

/** To be made once, beside the keeper. */
export function sessionStore<User = unknown>(keeper: SessionKeeper<User>): SessionStore<User> {
  const follow = createSubscriber((update) => keeper.subscribe(update));
  return {
    get current() {
      follow();
      return keeper.snapshot;
    },
    subscribe(run) {
      run(keeper.snapshot);
      return keeper.subscribe(run);
    },
  };
}
