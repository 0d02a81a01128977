/** Hex digits as bytes: the wasm as the package carries it. Knows nothing of WebAssembly. */

/** Engines since 2025 have it. */
interface FromHex {
  fromHex?(digits: string): Uint8Array<ArrayBuffer>;
}

/** An even number of lower-case digits, as the build writes them. */
export function decode(digits: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as FromHex).fromHex?.(digits);
  if (native) return native;
  const bytes = new Uint8Array(digits.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (digit(digits, 2 * index) << 4) | digit(digits, 2 * index + 1);
  }
  return bytes;
}

function digit(digits: string, index: number): number {
  const code = digits.charCodeAt(index);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
