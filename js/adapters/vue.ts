/**
 * session-keeper for Vue 3.3 and later: a plugin, and composables.
 *
 * A server renders `restoring`, and so does a component that takes over what a server made, until
 * it is mounted.
 */

import {
  type App,
  computed,
  type ComputedRef,
  getCurrentInstance,
  inject,
  type InjectionKey,
  onMounted,
  onScopeDispose,
  shallowRef,
  type ShallowRef,
} from "vue";

import type { ServerState, SessionKeeper, SessionState, SignOut, Snapshot } from "../types.js";
import { type AnyKeeper, RESTORING, type SessionActions } from "./view.js";

const KEY: InjectionKey<AnyKeeper> = Symbol("session-keeper");

/** `app.use(sessionKeeper(keeper))`: hands the keeper to the composables, and starts it. */
export function sessionKeeper(keeper: AnyKeeper): { install(app: App): void } {
  return {
    install(app) {
      app.provide(KEY, keeper);
      void keeper.start();
    },
  };
}

/** The keeper given, or that of the plugin. Throws where there is neither. */
export function useKeeper<User = unknown>(given?: SessionKeeper<User>): SessionKeeper<User> {
  const keeper: SessionKeeper<User> | undefined = given ?? inject(KEY, undefined);
  if (!keeper) throw new Error("no app.use(sessionKeeper(keeper)): add it, or pass the keeper");
  return keeper;
}

/** What `useSession` gives. */
export interface SessionRefs<User = unknown> extends SessionActions<User> {
  /** Everything that is known; `snapshot.value.session` narrows `snapshot.value.user`. */
  readonly snapshot: Readonly<ShallowRef<Snapshot<User>>>;
  readonly session: ComputedRef<SessionState>;
  readonly signedIn: ComputedRef<boolean | undefined>;
  readonly user: ComputedRef<User | undefined>;
  readonly server: ComputedRef<ServerState>;
  readonly lastSignOut: ComputedRef<SignOut | undefined>;
}

/** The session as refs. To be called in `setup`, or in an effect scope. */
export function useSession<User = unknown>(given?: SessionKeeper<User>): SessionRefs<User> {
  const keeper = useKeeper(given);
  const snapshot = follow(keeper);
  return {
    snapshot,
    session: computed(() => snapshot.value.session),
    signedIn: computed(() => snapshot.value.signedIn),
    user: computed(() => snapshot.value.user),
    server: computed(() => snapshot.value.server),
    lastSignOut: computed(() => snapshot.value.signOut),
    signIn: keeper.signIn,
    signOut: keeper.signOut,
  };
}

/** What is known of the server. */
export function useServer(given?: AnyKeeper): ComputedRef<ServerState> {
  const snapshot = follow(useKeeper(given));
  return computed(() => snapshot.value.server);
}

function follow<User>(keeper: SessionKeeper<User>): ShallowRef<Snapshot<User>> {
  const instance = getCurrentInstance();
  // A component that takes over a server's markup has its element before it is set up.
  const isTakingOver = !!instance?.vnode.el;
  const snapshot = shallowRef<Snapshot<User>>(isTakingOver ? RESTORING : keeper.snapshot);
  let stop = () => {};
  const begin = () => {
    stop = keeper.subscribe((next) => (snapshot.value = next));
    snapshot.value = keeper.snapshot;
  };
  onScopeDispose(() => stop());
  // A server mounts nothing and disposes of nothing.
  if (instance) onMounted(begin);
  else if (typeof document !== "undefined") begin();
  return snapshot;
}
