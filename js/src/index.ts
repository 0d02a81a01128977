/**
 * The npm package's main entry, as `js/types.d.ts` declares it: the wasm travels in the script.
 *
 * Rule: nothing happens at import.
 */

import { hex } from "../generated/bytes.js";
import { creator } from "./create.js";
import { decode } from "./hex.js";

export { KeeperError } from "./errors.js";

export const createKeeper = /* @__PURE__ */ creator(() => decode(hex));
