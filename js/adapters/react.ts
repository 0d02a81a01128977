/**
 * session-keeper for React 18 and later: `KeeperProvider`, `useSession`, `useServer`,
 * `RequireSession`.
 *
 * A server renders `restoring`, and so does the page until it has taken that over.
 */
"use client";

import {
  createContext,
  createElement,
  Fragment,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
} from "react";

import type { ServerState, SessionKeeper } from "../types.js";
import { type AnyKeeper, RESTORING, type SessionView } from "./view.js";

export type { SessionView } from "./view.js";

const KeeperContext = createContext<AnyKeeper | undefined>(undefined);

export interface KeeperProviderProps {
  readonly keeper: AnyKeeper;
  readonly children?: ReactNode;
}

/** Hands the keeper to the hooks below it, and starts it. */
export function KeeperProvider({ keeper, children }: KeeperProviderProps): ReactElement {
  useEffect(() => void keeper.start(), [keeper]);
  return createElement(KeeperContext.Provider, { value: keeper }, children);
}

/** The keeper given, or that of the provider above. Throws where there is neither. */
export function useKeeper<User = unknown>(given?: SessionKeeper<User>): SessionKeeper<User> {
  const provided = useContext(KeeperContext);
  const keeper: SessionKeeper<User> | undefined = given ?? provided;
  if (!keeper) throw new Error("no KeeperProvider above: add one, or pass the keeper to the hook");
  return keeper;
}

/** The session, narrowed by `session`. Renders again when something in the snapshot changed. */
export function useSession<User = unknown>(given?: SessionKeeper<User>): SessionView<User> {
  const keeper = useKeeper(given);
  const snapshot = useSyncExternalStore(
    keeper.subscribe,
    () => keeper.snapshot,
    () => RESTORING,
  );
  return useMemo(() => {
    const { signIn, signOut } = keeper;
    return { ...snapshot, lastSignOut: snapshot.signOut, signIn, signOut } as SessionView<User>;
  }, [keeper, snapshot]);
}

/** What is known of the server. Renders again only when that changed. */
export function useServer(given?: AnyKeeper): ServerState {
  const keeper = useKeeper(given);
  return useSyncExternalStore(
    keeper.subscribe,
    () => keeper.snapshot.server,
    () => RESTORING.server,
  );
}

export interface RequireSessionProps {
  /** Until the session was read. @default nothing */
  readonly fallback?: ReactNode;
  /** Where nobody is signed in. @default nothing */
  readonly otherwise?: ReactNode;
  readonly children?: ReactNode;
  /** @default that of the provider above */
  readonly keeper?: AnyKeeper | undefined;
}

/** Renders its children where somebody is signed in. */
export function RequireSession(props: RequireSessionProps): ReactElement {
  const keeper = useKeeper(props.keeper);
  const signedIn = useSyncExternalStore<boolean | undefined>(
    keeper.subscribe,
    () => keeper.snapshot.signedIn,
    () => undefined,
  );
  const { fallback, otherwise, children } = props;
  const shown = signedIn === undefined ? fallback : signedIn ? children : otherwise;
  return createElement(Fragment, null, shown);
}
