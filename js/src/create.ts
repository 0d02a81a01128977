/**
 * Makes keepers, for an entry that knows where the wasm comes from.
 *
 * Rule: a page has one keeper of a name, whatever hot reloads and strict modes make of its
 * modules.
 */

import type * as face from "../types.js";
import type { WasmSource } from "./engine.js";
import { PREFIX } from "./errors.js";
import { Keeper } from "./keeper.js";
import { insecureOrigins, type Options, readOptions } from "./options.js";
import { missing, pageOrigin } from "./page.js";

const REGISTRY = Symbol.for("session-keeper");

let isInertTold = false;

/** What an entry exports as `createKeeper`. */
export const creator = (wasm: WasmSource): typeof face.createKeeper =>
  ((given) => create(given, wasm)) as typeof face.createKeeper;

function create(given: face.KeeperOptions | undefined, wasm: WasmSource): Keeper {
  const origin = pageOrigin();
  const lacks = origin === undefined ? [] : missing();
  const options = { ...readOptions(given, lacks.length ? undefined : origin), wasm };
  if (options.page === undefined) {
    if (origin !== undefined) tellInert(options, lacks);
    return new Keeper(options, () => {});
  }
  const { name } = options;
  const keepers = registered();
  const known = keepers.get(name);
  if (known) {
    const isSame = known.options.fingerprint === options.fingerprint;
    if (!isSame) known.warnOnce?.("Options changed: reload the page");
    return known;
  }
  const keeper = new Keeper(options, (keeper, isRunning) => {
    if (!keepers.has(name) && isRunning) keepers.set(name, keeper);
    if (keepers.get(name) === keeper && !isRunning) keepers.delete(name);
  });
  keepers.set(name, keeper);
  const insecure = insecureOrigins(options);
  if (insecure.length) {
    keeper.warnOnce(`The credential travels unencrypted: use https for ${insecure}`);
  }
  return keeper;
}

/** A page that a keeper cannot work in. Apps import it in their tests, too: one line is enough. */
function tellInert({ log }: Options, lacks: string[]): void {
  if (isInertTold || log === "silent") return;
  isInertTold = true;
  const why = lacks.length
    ? `this document has no ${lacks.join(", ")}`
    : "this page has no origin (sandboxed, or a file): set baseUrl to the URL of the API";
  console.warn(`${PREFIX}Nothing is kept here: ${why}`);
}

/** On the page, and not in this module, of which a hot reload makes another. */
function registered(): Map<string, Keeper> {
  const global = globalThis as { [REGISTRY]?: Map<string, Keeper> };
  return (global[REGISTRY] ??= new Map());
}
