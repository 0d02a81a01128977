/**
 * session-keeper for Angular 17 and later: functions and tokens alone, so that nothing here needs
 * Angular's compiler. HttpClient's part is in `./angular-http`.
 */

import {
  afterNextRender,
  computed,
  DestroyRef,
  type EnvironmentProviders,
  inject,
  InjectionToken,
  makeEnvironmentProviders,
  type Signal,
  signal,
} from "@angular/core";
import { type CanActivateFn, Router } from "@angular/router";

import type { ServerState, SessionState, SignOut, Snapshot } from "../types.js";
import { type AnyKeeper, RESTORING, type SessionActions } from "./view.js";

/** The app's keeper. */
export const KEEPER = new InjectionToken<AnyKeeper>("session-keeper");

/** For `bootstrapApplication`: hands the keeper to everything below. */
export function provideSessionKeeper(keeper: AnyKeeper): EnvironmentProviders {
  return makeEnvironmentProviders([{ provide: KEEPER, useValue: keeper }]);
}

/** What `injectSession` gives. */
export interface SessionSignals<User = unknown> extends SessionActions<User> {
  /** Everything that is known; of `const now = snapshot()`, `now.session` narrows `now.user`. */
  readonly snapshot: Signal<Snapshot<User>>;
  readonly session: Signal<SessionState>;
  readonly signedIn: Signal<boolean | undefined>;
  readonly user: Signal<User | undefined>;
  readonly server: Signal<ServerState>;
  readonly lastSignOut: Signal<SignOut | undefined>;
}

/** One for the app, which starts the keeper. */
const SESSION = new InjectionToken<SessionSignals<unknown>>("session-keeper session", {
  providedIn: "root",
  factory: () => {
    const keeper = inject(KEEPER);
    // Angular marks what it rendered on a server; taken over, that must look the same at first.
    const isTakingOver = !!globalThis.document?.querySelector?.("[ng-server-context]");
    const snapshot = signal<Snapshot>(isTakingOver ? RESTORING : keeper.snapshot);
    const follow = () => {
      snapshot.set(keeper.snapshot);
      return keeper.subscribe((next) => snapshot.set(next));
    };
    let stop = () => {};
    if (isTakingOver) afterNextRender(() => (stop = follow()));
    else stop = follow();
    inject(DestroyRef).onDestroy(() => stop());
    void keeper.start();
    return {
      snapshot: snapshot.asReadonly(),
      session: computed(() => snapshot().session),
      signedIn: computed(() => snapshot().signedIn),
      user: computed(() => snapshot().user),
      server: computed(() => snapshot().server),
      lastSignOut: computed(() => snapshot().signOut),
      signIn: keeper.signIn,
      signOut: keeper.signOut,
    };
  },
});

/** The session as signals. To be called where `inject` may be. */
export function injectSession<User = unknown>(): SessionSignals<User> {
  return inject(SESSION) as SessionSignals<User>;
}

/**
 * Lets a route be where somebody is signed in, and leads to `otherwise` where nobody is, with the
 * address asked for as `returnUrl`. A server, which knows nothing of the session, lets it be.
 */
export function sessionGuard(otherwise = "/login"): CanActivateFn {
  return async (_, { url }) => {
    const router = inject(Router);
    const { signedIn } = await inject(KEEPER).start();
    if (signedIn !== false) return true;
    return router.createUrlTree([otherwise], { queryParams: { returnUrl: url } });
  };
}
