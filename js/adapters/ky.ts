/** session-keeper for ky 2: its requests through `keeper.fetch`. Imports nothing at run time. */

import type { KyInstance } from "ky";

import type { SessionKeeper } from "../types.js";

/** What `keeper.fetch` has waited for and settled already. */
const SETTLED = [401, 502, 503, 504];

/**
 * An instance whose requests carry the credential, wait out a cold start and have their 401s
 * settled. `keeper.fetch` bounds them by `fetch.waitMs`, so ky's own time limit is off, and ky
 * repeats only what the keeper does not: 408, 413, 429 and 500. A `timeout` of a single request
 * holds.
 */
export function withKeeper(ky: KyInstance, keeper: Pick<SessionKeeper, "fetch">): KyInstance {
  return ky.extend({
    fetch: keeper.fetch,
    timeout: false,
    retry: {
      shouldRetry: ({ error }) => {
        const { response } = error as { response?: Response };
        return response && !SETTLED.includes(response.status) ? undefined : false;
      },
    },
  });
}
