/**
 * session-keeper for TanStack Query 5, whatever the framework. Imports nothing at run time.
 */

import type { SessionKeeper } from "../types.js";

type Kept = Pick<SessionKeeper, "snapshot" | "addEventListener" | "removeEventListener">;

/**
 * What is used of a `QueryClient`. Written out, because an app has it from the package of its
 * framework, and need not have the one that all of these are made of.
 */
export interface QueryClientLike {
  getDefaultOptions(): { readonly queries?: object };
  setDefaultOptions(options: object): void;
  getQueryCache(): { getAll(): readonly { reset(): void }[]; onOnline(): void };
  clear(): void;
  resetQueries(): Promise<void>;
  resumePausedMutations(): Promise<unknown>;
}

/** Three repeats, as TanStack Query has them. */
const REPEATS = 3;

/**
 * Whether a query that failed is asked again, to be given as `retry`. Not after an answer that
 * asking again does not change (400 to 499 but for 408 and 429), not where nobody is signed in
 * any more, and not while the server is away: `keeper.fetch` has waited for it already, and
 * `attach` asks again when it is back.
 */
export function retry(keeper: Pick<SessionKeeper, "snapshot">) {
  return (failures: number, error: unknown): boolean => {
    const { server, session } = keeper.snapshot;
    const { status, response } = (error ?? {}) as { status?: number; response?: Response };
    const code = response?.status ?? status ?? 0;
    if (code >= 400 && code < 500 && code !== 408 && code !== 429) return false;
    if (session === "signed-out" || (server !== "awake" && server !== "unknown")) return false;
    return failures < REPEATS;
  };
}

/**
 * Keeps the client in step with the session. A sign-out empties its cache, also for what is on
 * the screen; a sign-in asks again for what is on the screen; a server that is back after a cold
 * start or an outage counts as a reconnect (`refetchOnReconnect`). Where the client has no
 * default `retry`, it gets the one above. Returns what ends that.
 */
export function attach(client: QueryClientLike, keeper: Kept): () => void {
  const options = client.getDefaultOptions();
  client.setDefaultOptions({
    ...options,
    queries: { retry: retry(keeper), ...options.queries },
  });
  const { snapshot } = keeper;
  let wasAway = isAway(snapshot.server);
  const onServer = ({ state }: { state: string }) => {
    const isBack = wasAway && state === "awake";
    wasAway = isAway(state);
    if (isBack) void client.resumePausedMutations().then(() => client.getQueryCache().onOnline());
  };
  const onSignOut = () => {
    // What is on the screen keeps what it shows of a query that is only removed.
    for (const query of client.getQueryCache().getAll()) query.reset();
    client.clear();
  };
  const onSignIn = () => void client.resetQueries();
  keeper.addEventListener("server", onServer);
  keeper.addEventListener("signout", onSignOut);
  keeper.addEventListener("signin", onSignIn);
  return () => {
    keeper.removeEventListener("server", onServer);
    keeper.removeEventListener("signout", onSignOut);
    keeper.removeEventListener("signin", onSignIn);
  };
}

const isAway = (state: string): boolean => !["awake", "unknown"].includes(state);
