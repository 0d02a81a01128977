import type { createKeeper as create } from "./types.js";

export * from "./types.js";

/**
 * Says where the wasm is: the URL of `session-keeper/core.wasm` as your bundler or server has it,
 * a `Response` of it, its bytes, or a compiled module. Keepers made before wait for it. Only the
 * first call counts.
 */
export function init(input: WasmInput | Promise<WasmInput>): void;

export type WasmInput = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/** As that of `session-keeper`; the wasm is fetched for the first keeper of a page. */
export const createKeeper: typeof create;
