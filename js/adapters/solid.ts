/**
 * session-keeper for Solid 1.8 and later: `KeeperProvider`, `useSession`, `useServer`,
 * `RequireSession`.
 *
 * A server renders `restoring`, and so does a component that takes over what a server made, until
 * it is mounted.
 */

import {
  type Accessor,
  createComponent,
  createContext,
  createMemo,
  createSignal,
  type JSX,
  onCleanup,
  onMount,
  sharedConfig,
  useContext,
} from "solid-js";

import type { ServerState, SessionKeeper, Snapshot } from "../types.js";
import { type AnyKeeper, RESTORING } from "./view.js";

const KeeperContext = createContext<AnyKeeper>();

export interface KeeperProviderProps {
  readonly keeper: AnyKeeper;
  readonly children?: JSX.Element;
}

/** Hands the keeper to what is below it, and starts it. */
export function KeeperProvider(props: KeeperProviderProps): JSX.Element {
  onMount(() => void props.keeper.start());
  return createComponent(KeeperContext.Provider, {
    value: props.keeper,
    get children() {
      return props.children;
    },
  });
}

/** The keeper given, or that of the provider above. Throws where there is neither. */
export function useKeeper<User = unknown>(given?: SessionKeeper<User>): SessionKeeper<User> {
  const keeper: SessionKeeper<User> | undefined = given ?? useContext(KeeperContext);
  if (!keeper) throw new Error("no KeeperProvider above: add one, or pass the keeper");
  return keeper;
}

/** The snapshot as a signal: `session().session` narrows `session().user`. */
export function useSession<User = unknown>(given?: SessionKeeper<User>): Accessor<Snapshot<User>> {
  const keeper = useKeeper(given);
  // Solid sets this on a server, and while it takes over what one made.
  const first: Snapshot<User> = sharedConfig.context ? RESTORING : keeper.snapshot;
  const [snapshot, set] = createSignal(first);
  onMount(() => {
    onCleanup(keeper.subscribe((next) => set(() => next)));
    set(() => keeper.snapshot);
  });
  return snapshot;
}

/** What is known of the server. */
export function useServer(given?: AnyKeeper): Accessor<ServerState> {
  const snapshot = useSession(given);
  return createMemo(() => snapshot().server);
}

export interface RequireSessionProps {
  /** Until the session was read. @default nothing */
  readonly fallback?: JSX.Element;
  /** Where nobody is signed in. @default nothing */
  readonly otherwise?: JSX.Element;
  readonly children?: JSX.Element;
  /** @default that of the provider above */
  readonly keeper?: AnyKeeper | undefined;
}

/** Renders its children where somebody is signed in. */
export function RequireSession(props: RequireSessionProps): JSX.Element {
  const snapshot = useSession(props.keeper);
  const signedIn = createMemo(() => snapshot().signedIn);
  const shown = createMemo(() => {
    if (signedIn()) return props.children;
    return signedIn() === undefined ? props.fallback : props.otherwise;
  });
  return shown as unknown as JSX.Element;
}
