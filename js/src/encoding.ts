/**
 * `TextDecoder` and `TextEncoder` for the glue of wasm-bindgen, which makes one of each at import.
 * The build puts these in their place (`--inject` in `xtask/src/build.rs`).
 *
 * Rule: nothing is needed at import. The browser's own are looked for at the first use; where there
 * are none (Jest with jsdom) the old way through `escape` does the same, more slowly.
 */

let decoder: globalThis.TextDecoder | undefined;
let encoder: globalThis.TextEncoder | undefined;

export class TextDecoder {
  decode(bytes?: Uint8Array<ArrayBuffer>): string {
    if (!bytes) return "";
    const Native = globalThis.TextDecoder;
    if (!Native) return decodeURIComponent(escape(String.fromCharCode(...bytes)));
    decoder ??= new Native("utf-8", { ignoreBOM: true, fatal: true });
    return decoder.decode(bytes);
  }
}

export class TextEncoder {
  encode(text: string): Uint8Array {
    const Native = globalThis.TextEncoder;
    if (Native) return (encoder ??= new Native()).encode(text);
    return Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    const bytes = this.encode(text);
    target.set(bytes);
    return { read: text.length, written: bytes.length };
  }
}
