/**
 * The wasm: booted at the first keeper of a page and called under guard.
 *
 * Rule: nothing of it reaches the app as an exception. An engine that insists on compiling
 * asynchronously gets its way, a refusal and a trap become a failure that is told once. Knows
 * nothing of sessions.
 */

import {
  admit,
  credential,
  debug,
  history,
  open as openCore,
  report,
  report_request,
  sign_in,
  sign_out,
  snapshot,
  start,
  startLater,
  startSync,
  stop,
  verify,
} from "../generated/glue.js";
import { packed, size } from "../generated/bytes.js";
import type { Failure } from "../types.js";
import type { Options } from "./options.js";
import { unpack } from "./unpack.js";

const METHODS = {
  admit,
  credential,
  debug,
  history,
  report,
  report_request,
  sign_in,
  sign_out,
  snapshot,
  start,
  stop,
  verify,
};

type Methods = typeof METHODS;

/** Calls a method of the core. Nothing comes back where there is no core, yet or any more. */
export type Call = <Method extends keyof Methods>(
  method: Method,
  ...given: Methods[Method] extends (handle: number, ...given: infer Given) => unknown
    ? Given
    : never
) => ReturnType<Methods[Method]> | undefined;

/** Whom the engine tells. `ready` comes within the call where the browser allows that. */
export interface Host {
  receive(name: string, detail: object): void;
  ready(): void;
  fail(failure: Failure): void;
}

let isReady = false;

export function startEngine(options: Options, host: Host): Call {
  let core: number | undefined;
  const guard = <T>(step: () => T): T | undefined => {
    try {
      return step();
    } catch (error) {
      core = undefined;
      host.fail(crashed(error));
      return undefined;
    }
  };
  const open = () => {
    isReady = true;
    guard(() => {
      core = openCore(options, (name: string, detail: object) => host.receive(name, detail));
    });
    host.ready();
  };
  const refused = (error: unknown) => host.fail(blocked(error));
  try {
    if (!isReady) startSync(unpack(packed, size));
    open();
  } catch (error) {
    // Chromium before 114 compiles more than 4 KB only asynchronously on the main thread.
    const isTooBig = error instanceof RangeError;
    if (isTooBig) startLater(unpack(packed, size)).then(open, refused);
    else refused(error);
  }
  return (method, ...given) =>
    guard(() => {
      if (core === undefined) return undefined as never;
      return (METHODS[method] as (core: number, ...given: unknown[]) => never)(core, ...given);
    });
}

const blocked = (error: unknown): Failure => ({
  code: "wasm-blocked",
  message: `WebAssembly is refused: add 'wasm-unsafe-eval' to script-src (${error})`,
});

const crashed = (error: unknown): Failure => ({
  code: "crashed",
  message: `a bug in session-keeper: reload the page and report it (${error})`,
});
