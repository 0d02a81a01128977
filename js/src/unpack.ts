/**
 * Turns the text that the package carries back into the wasm: base64, then raw LZMA, as in
 * `lzma-specification.txt` of Igor Pavlov's LZMA SDK, whose names are used here.
 *
 * Rule: it reads only what `xtask/src/pack.rs` wrote, so the parameters (lc=3, lp=0, pb=0) stand in
 * no header. Damaged text ends like any other, because each step writes a byte or more of `size`,
 * and WebAssembly refuses what comes out. Knows nothing of WebAssembly itself.
 */

// Where each kind of decision keeps its probabilities: six rows of 12 states, two coders of
// lengths, the trees of the distances, and eight contexts of literals.
const IS_MATCH = 0;
const IS_REP = 12;
const IS_REP_G0 = 24;
const IS_REP_G1 = 36;
const IS_REP_G2 = 48;
const IS_REP0_LONG = 60;
const MATCH_LENGTHS = 72;
const REP_LENGTHS = 346;
const POSITION_SLOTS = 620;
const POSITIONS = 876;
const ALIGN = 991;
const LITERALS = 1007;
const ALL = 7151;

/** Throws what `atob` throws where `packed` is no base64. */
export function unpack(packed: string, size: number): Uint8Array<ArrayBuffer> {
  const { bit, direct, tree, reverseTree, length } = rangeDecoder(atob(packed));
  const output = new Uint8Array(size);
  // The last four distances less one, latest first. Neither an array of them nor functions for
  // the parts of the loop, because most of it runs before the engine has compiled it.
  let rep0 = 0;
  let rep1 = 0;
  let rep2 = 0;
  let rep3 = 0;
  let state = 0;
  let end = 0;
  while (end < size) {
    if (!bit(IS_MATCH + state)) {
      const base = LITERALS + 0x300 * (output[end - 1]! >> 5);
      let symbol = 1;
      // After a match, the byte at its distance is what this one is not, and predicts it up to the
      // first bit that differs.
      let predicted = output[end - rep0 - 1]!;
      for (let agrees = state > 6; agrees && symbol < 256;) {
        predicted *= 2;
        const expected = predicted & 256;
        const digit = bit(base + 256 + expected + symbol);
        symbol = symbol * 2 + digit;
        agrees = digit === expected >> 8;
      }
      output[end++] = tree(base, 256, symbol);
      state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
      continue;
    }
    let count = 1;
    if (!bit(IS_REP + state)) {
      count = length(MATCH_LENGTHS);
      state = state < 7 ? 7 : 10;
      rep3 = rep2;
      rep2 = rep1;
      rep1 = rep0;
      const slot = tree(POSITION_SLOTS + 64 * Math.min(count - 2, 3), 64, 1);
      rep0 = slot;
      if (slot > 3) {
        const bits = (slot >> 1) - 1;
        rep0 = (2 + (slot & 1)) * 2 ** bits;
        rep0 +=
          slot < 14
            ? reverseTree(POSITIONS + rep0 - slot, bits)
            : direct(bits - 4) * 16 + reverseTree(ALIGN, 4);
      }
    } else {
      let isLong = 1;
      if (!bit(IS_REP_G0 + state)) {
        isLong = bit(IS_REP0_LONG + state);
      } else {
        let rep = rep1;
        if (bit(IS_REP_G1 + state)) {
          rep = rep2;
          if (bit(IS_REP_G2 + state)) {
            rep = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        rep1 = rep0;
        rep0 = rep;
      }
      if (isLong) count = length(REP_LENGTHS);
      state = state > 6 ? 11 : isLong ? 8 : 9;
    }
    for (; count--; end++) output[end] = output[end - rep0 - 1]!;
  }
  return output;
}

/** Reads bits that were written the shorter, the likelier they were. */
function rangeDecoder(input: string) {
  /** Of a zero, in 2048ths. */
  const probabilities = new Uint16Array(ALL).fill(1024);
  let at = 0;
  let range = 0;
  let code = 0;
  const shift = () => {
    range = (range << 8) >>> 0;
    // Past the end there is NaN, which counts as zero.
    code = ((code << 8) | input.charCodeAt(at++)) >>> 0;
  };
  while (at < 5) shift();
  range = 2 ** 32 - 1;

  const bit = (index: number) => {
    // As `shift`, without its call: there are a quarter of a million bits.
    if (range < 2 ** 24) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | input.charCodeAt(at++)) >>> 0;
    }
    const probability = probabilities[index]!;
    const bound = (range >>> 11) * probability;
    if (code < bound) {
      range = bound;
      probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    range -= bound;
    code -= bound;
    probabilities[index] = probability - (probability >> 5);
    return 1;
  };
  /** So many bits that are as often one as zero. */
  const direct = (bits: number) => {
    let value = 0;
    while (bits--) {
      if (range < 2 ** 24) shift();
      range >>>= 1;
      const digit = code < range ? 0 : 1;
      code -= digit * range;
      value = value * 2 + digit;
    }
    return value;
  };
  /** A number below `limit`, from its highest bit on; `symbol` has those that are known. */
  const tree = (base: number, limit: number, symbol: number) => {
    while (symbol < limit) symbol = symbol * 2 + bit(base + symbol);
    return symbol - limit;
  };
  /** A number of so many bits, from its lowest on. */
  const reverseTree = (base: number, bits: number) => {
    let symbol = 1;
    let value = 0;
    for (let place = 0; place < bits; place++) {
      const digit = bit(base + symbol);
      symbol = symbol * 2 + digit;
      value += digit << place;
    }
    return value;
  };
  const length = (base: number) => {
    if (!bit(base)) return 2 + tree(base + 2, 8, 1);
    return bit(base + 1) ? 18 + tree(base + 18, 256, 1) : 10 + tree(base + 10, 8, 1);
  };
  return { bit, direct, tree, reverseTree, length };
}
