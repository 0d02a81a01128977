/** What the adapters for user interfaces share. Imports nothing at run time. */

import type { Restoring, SessionKeeper, SignOut, Snapshot } from "../types.js";

/** What a server renders, and what a page renders first where it continues what a server made. */
export const RESTORING: Restoring = Object.freeze({
  session: "restoring",
  server: "unknown",
  signedIn: undefined,
  user: undefined,
  expiresAt: undefined,
  lastVerifiedAt: undefined,
  signOut: undefined,
  failure: undefined,
});

/** Of whatever type of user: the app names it where it reads. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyKeeper = SessionKeeper<any>;

/** What an app calls. */
export interface SessionActions<User = unknown> {
  /** `keeper.signIn`. */
  readonly signIn: SessionKeeper<User>["signIn"];
  /** `keeper.signOut`. */
  readonly signOut: SessionKeeper<User>["signOut"];
}

type WithoutRecord<Known> = Known extends unknown ? Omit<Known, "signOut"> : never;

/**
 * The snapshot with the actions beside it; `session` tells what `signedIn` and `user` are. The
 * snapshot's record of the last sign-out is `lastSignOut` here.
 */
export type SessionView<User = unknown> = WithoutRecord<Snapshot<User>> &
  SessionActions<User> & { readonly lastSignOut: SignOut | undefined };
