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
  const { bit, direct, tree, reverseTree } = rangeDecoder(atob(packed));
  const output = new Uint8Array(size);
  /** The last four distances less one, latest first. */
  const reps = [0, 0, 0, 0] as [number, number, number, number];
  let state = 0;
  let end = 0;
  /** The byte at the latest distance. */
  const back = () => output[end - reps[0] - 1]!;

  const literal = () => {
    const base = LITERALS + 0x300 * (output[end - 1]! >> 5);
    let symbol = 1;
    // After a match, `back` is what this byte is not, and predicts it up to the first bit that
    // differs.
    let predicted = back();
    for (let mask = state < 7 ? 0 : 256; symbol < 256;) {
      predicted *= 2;
      const high = predicted & mask;
      const digit = bit(base + mask + high + symbol);
      symbol = symbol * 2 + digit;
      mask &= digit ? high : ~high;
    }
    return symbol;
  };

  const length = (base: number) => {
    if (!bit(base)) return 2 + tree(base + 2, 8);
    return bit(base + 1) ? 18 + tree(base + 18, 256) : 10 + tree(base + 10, 8);
  };

  const distance = (length: number) => {
    const slot = tree(POSITION_SLOTS + 64 * Math.min(length - 2, 3), 64);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 + (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + reverseTree(POSITIONS + base - slot, bits);
    return base + 16 * direct(bits - 4) + reverseTree(ALIGN, 4);
  };

  while (end < size) {
    if (!bit(IS_MATCH + state)) {
      output[end] = literal();
      end++;
      state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
      continue;
    }
    let count = 1;
    if (!bit(IS_REP + state)) {
      count = length(MATCH_LENGTHS);
      state = state < 7 ? 7 : 10;
      reps.unshift(distance(count));
      reps.pop();
    } else {
      const rep = !bit(IS_REP_G0 + state)
        ? 0
        : !bit(IS_REP_G1 + state)
          ? 1
          : 2 + bit(IS_REP_G2 + state);
      const isLong = rep || bit(IS_REP0_LONG + state);
      if (isLong) count = length(REP_LENGTHS);
      state = state < 7 ? (isLong ? 8 : 9) : 11;
      reps.unshift(...reps.splice(rep, 1));
    }
    for (; count--; end++) output[end] = back();
  }
  return output;
}

/** What adapts: each bit of `input` is worth as much as it was likely. */
function rangeDecoder(input: string) {
  /** Of a zero, in 2048ths. */
  const probabilities = new Uint16Array(ALL).fill(1024);
  let at = 0;
  let range = -1 >>> 0;
  let code = 0;
  // Past the end there is NaN, which counts as zero.
  const shift = () => {
    code = ((code << 8) | input.charCodeAt(at++)) >>> 0;
  };
  while (at < 5) shift();

  const normalise = () => {
    if (range < 2 ** 24) {
      range = (range << 8) >>> 0;
      shift();
    }
  };
  const bit = (index: number) => {
    normalise();
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
      normalise();
      range >>>= 1;
      const digit = code < range ? 0 : 1;
      code -= digit * range;
      value = value * 2 + digit;
    }
    return value;
  };
  /** A number below `limit`, from its highest bit on. */
  const tree = (base: number, limit: number) => {
    let symbol = 1;
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
  return { bit, direct, tree, reverseTree };
}
