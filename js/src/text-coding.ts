/**
 * What wasm-bindgen's glue makes at import: a document that lacks it, as Jest's jsdom does, must
 * not throw there. `cargo xtask build` puts these in place of the globals.
 *
 * Rule: nothing ever codes with the stand-ins, because such a document gets an inert keeper.
 */

class Nothing {
  decode(): string {
    return "";
  }
}

export const TextDecoder = globalThis.TextDecoder ?? Nothing;
export const TextEncoder = globalThis.TextEncoder ?? Nothing;
