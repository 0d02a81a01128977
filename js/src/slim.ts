/**
 * The entry without the wasm, as `js/slim.d.ts` declares it: the app says where the file is.
 *
 * Rule: nothing happens at import, and nothing is fetched before a keeper needs it.
 */

import type { InitInput } from "../generated/glue.js";
import { creator } from "./create.js";

export { KeeperError } from "./errors.js";

type Input = InitInput | Promise<InitInput>;

let given: Input | undefined;
let tellGiven: (input: Input) => void = () => {};

/** Only the first one counts. */
export function init(input: Input): void {
  given ??= input;
  tellGiven(given);
}

export const createKeeper = /* @__PURE__ */ creator(
  () => new Promise((resolve) => (given === undefined ? (tellGiven = resolve) : resolve(given))),
);
