/**
 * The wasm: booted at the first keeper of a page and called under guard.
 *
 * Rule: nothing of it reaches the app as an exception. An engine that insists on compiling
 * asynchronously gets its way, a refusal and a trap become a failure that is told once. Knows
 * nothing of sessions.
 */

import init, { Core, type InitInput, initSync, on_panic } from "../generated/glue.js";
import type { Failure } from "../types.js";
import type { Options } from "./options.js";

type Method = {
  [Name in keyof Core]: Core[Name] extends (...given: never[]) => unknown ? Name : never;
}[keyof Core];

/** Calls a method of the core. Nothing comes back where there is no core, yet or any more. */
export type Call = <Name extends Method>(
  method: Name,
  ...given: Parameters<Core[Name]>
) => ReturnType<Core[Name]> | undefined;

/** Whom the engine tells. `ready` comes within the call where the browser allows that. */
export interface Host {
  receive(name: string, detail: object): void;
  ready(): void;
  fail(failure: Failure): void;
}

/** Gives the wasm at the first keeper: at once where it is at hand. */
export type WasmSource = () => BufferSource | Promise<InitInput>;

let isReady = false;
/** The one boot of a page whose engine compiles asynchronously. */
let booting: Promise<void> | undefined;
/** What ended the wasm. All keepers of a page live in one, and end with it. */
let crash: string | undefined;

export function startEngine(options: Options & { wasm: WasmSource }, host: Host): Call {
  let core: Core | undefined;
  const end = () => {
    core = undefined;
    host.fail(crashed(crash!));
  };
  const guard = <T>(step: () => T): T | undefined => {
    if (crash !== undefined) return end() as undefined;
    try {
      return step();
    } catch (error) {
      crash ??= String(error);
      return end() as undefined;
    }
  };
  boot(
    options.wasm,
    () => {
      guard(() => {
        core = new Core(options, notifier(new WeakRef(host)));
      });
      host.ready();
    },
    (error) => host.fail(blocked(error)),
  );
  return (method, ...given) => {
    if (!core) return undefined;
    const bound = core[method] as (this: Core, ...given: unknown[]) => never;
    return guard(() => bound.apply(core!, given));
  };
}

function boot(wasm: WasmSource, ready: () => void, refused: (error: unknown) => void): void {
  if (!isReady && !booting) {
    try {
      const module = wasm();
      if (module instanceof Promise) bootLater(module);
      else {
        initSync({ module });
        isReady = true;
        on_panic(record);
      }
    } catch (error) {
      // Chromium before 114 compiles more than 4 KB only asynchronously on the main thread.
      if (!(error instanceof RangeError)) return refused(error);
      bootLater(wasm());
    }
  }
  if (isReady) ready();
  else booting!.then(ready, refused);
}

function bootLater(module_or_path: InitInput | Promise<InitInput>): void {
  // The glue fetches an address only where it gets it as it is.
  const begin = async () => init({ module_or_path: await module_or_path });
  booting = begin().then(() => on_panic(record));
}

const record = (panic: string) => {
  crash ??= panic;
};

/**
 * The wasm holds this function. Made where nothing else is in reach, so that a keeper which was
 * stopped and dropped can go, and what it holds there with it.
 */
const notifier = (host: WeakRef<Host>) => (name: string, detail: object) =>
  host.deref()?.receive(name, detail);

const blocked = (error: unknown): Failure => ({
  code: "wasm-blocked",
  message:
    error instanceof TypeError
      ? `the wasm did not load: check what init() was given (${error})`
      : `WebAssembly is refused: add 'wasm-unsafe-eval' to script-src (${error})`,
});

const crashed = (reason: string): Failure => ({
  code: "crashed",
  message: `a bug in session-keeper: reload the page and report it (${reason})`,
});
