/**
 * The npm package's whole face, as `js/types.d.ts` declares it.
 *
 * Rule: nothing happens at import. A page has one keeper of a name, whatever hot reloads and
 * strict modes make of its modules.
 */

import "../generated/bytes.js";
import type * as face from "../types.js";
import { Keeper } from "./keeper.js";
import { PREFIX } from "./log.js";
import { insecureOrigins, readOptions } from "./options.js";

export { KeeperError } from "./errors.js";

const REGISTRY = Symbol.for("session-keeper");

export const createKeeper = ((given?: face.KeeperOptions) => {
  const page = globalThis.document ? globalThis.origin : undefined;
  const options = readOptions(given, page);
  const keepers = page === undefined ? new Map<string, Keeper>() : registered();
  const { name, log } = options;
  const known = keepers.get(name);
  if (known) return known;
  const insecure = insecureOrigins(options);
  if (insecure.length && log !== "silent") {
    console.warn(`${PREFIX}The credential travels unencrypted: use https for ${insecure}`);
  }
  const keeper = new Keeper(options, (keeper, isRunning) => {
    if (!keepers.has(name) && isRunning) keepers.set(name, keeper);
    if (keepers.get(name) === keeper && !isRunning) keepers.delete(name);
  });
  keepers.set(name, keeper);
  return keeper;
}) as typeof face.createKeeper;

/** On the page, and not in this module, of which a hot reload makes another. */
function registered(): Map<string, Keeper> {
  const global = globalThis as { [REGISTRY]?: Map<string, Keeper> };
  return (global[REGISTRY] ??= new Map());
}
