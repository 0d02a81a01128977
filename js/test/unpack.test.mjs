// The vectors were made by another program, Python's lzma module:
// lzma.compress(bytes, FORMAT_RAW, filters=[{"id": FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 0, …}])
// and what they unpack to is made here from the same recipe.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { load } from "./face.mjs";

const ROOT = join(import.meta.dirname, "../..");
const { unpack } = await load("unpack.ts");

const VECTORS = [
  {
    what: "text with one long match",
    bytes: Buffer.from("Your users stay signed in until the server really says no. ".repeat(40)),
    packed:
      "ACycqgs0+ZESoyPzmu3s9ZCWLmsmTffe2KERRkmnlbdQnOkc92fko2dIEF/E7mA3yTI0tgD8IZ1DDMI6eqNi" +
      "fEko0L+gAWNL523Xgv7ghsA=",
  },
  {
    what: "zeros, in matches of the greatest length",
    bytes: Buffer.alloc(100_000),
    packed:
      "AABwff3/rpChQBO9UzadtBhja6HucffmjXt9ZfnWMX0gmDAI0KpjdFkPpSvJ6t3ieQh83qiaWFUhpNF0rYlW" +
      "nRfP//9gVAAA",
  },
  {
    what: "noise, longer packed than not",
    bytes: noise(600, 1),
    packed:
      "AB4YSbRWRKF5LV582EpDn+XKQRXui2F00Atv+N4aNKWdE5vDCmkQjCnWefCnGGNoab6mjREY2Wq2IsPuXjya" +
      "5GNvuGkel4hJkqCz82n6XljDS9iLDdMWfrYNj5GRtVc8tALIL4CIsoyvZJj0zMpiVcpbnfy+dxlZo0yNjAMu" +
      "B99au9/MK0Wn7oZC4EVm0aQm6j1ip0gEQVzJR097c8ku6SxROCVrYsb6br8secS2kiVXoAZCgytCnvSa4zVw" +
      "71p/VyE8+1+6tfKrq4monGS5gz/anjvtxI4pZ2B2p30IwokVjnj7pxIPU00CC2sQgi1nnohCzjNcnJ+SZOby" +
      "oerXONl8l73CwGUEnVmrIq/eMAbW4Sa3h4cPTQ60sc9jY1J5M8xUyI9nNCCzRSDVT0bSK5z63+O1Znv0iHE0" +
      "Bst/a3RfWLUld02CxquH6EYyrfxIq/QZ5pCjabSF6ia3JiF9gFO1Bu6HV0dClr86wefZkosSBSKsbnVeXsfK" +
      "qSioLE/83mbZC/t+Uv01Km8Bmec/MCk/DBv5/Cfz2Yjmp2/rkW9Me/e+HqYmemzNQvmt41Sfhsrrf6tKZvLD" +
      "uHrPNu8NwubXF+ZiXkEypKC8ZCjTICOsv2ft+s4iVMOibvgUANrazkILQ/a1kySdW8ESUEvryeIdO0qZnCgJ" +
      "emOOL9MR2M29z0Ahp18Z4TiBL/Xo1GN4/o5WN9EO9L7ds+LLT1nIPOP1jjQQA9dgfrs6Y0sPWfxtknc3DUgr" +
      "YND3HncQupf2d37U58Gf7MQ8UspPOqSOhtCXT3/4b/d4znm8zsVOmpMFBxjS///nQwAA",
  },
  {
    what: "matches at each of the last four distances, with literals in between",
    bytes: repeats(),
    packed:
      "AB4eLJ++GKP/0p+ENZtrXfdnDA9FyaayIL1rS9nIXJen4Y84Hx6VY28B1ZaVn8Zq3qm+o00xu3WUZjJ75EUt" +
      "ETzC5nMJ4q9yAbEMMNLezpSuMpyhEaghy+jZfCm3WePBK6UED59ErC/+kO+FVARuoFvrbHUz65ah8biRdfY9" +
      "Y5e+MzHUMbXs/SrvZGVlXwjRo6w7O9lcKXEgSrMo7Wghnlege7DGvp0neSOxm2OsRL/c3znBZTisLKN2VOSv" +
      "zQrZp4pe+6M7NcQizdRyPsWpY02oGQ8AYtb0XIXgrvRusBub+sDDUuiFxKsr6NNLiO52eNNMweJ1j9Y7pOtL" +
      "VxJ1vXKsJjfLlH39V5TygecZCHAwIoTbqxWvAHdy/u6weUrhoPKY6KV6V3FBjARvwIiATU6ZTQvkjzS8XVMM" +
      "UuHx1qEjA22THqXpnpovI0IZSB1E6XBDlmWIWZx6oKXjGOnkLWsZ9Mc7IyiiUxegU1iN6gTCHXK47ByjMJ+E" +
      "/s30/brh5LrPbAl4K0ZDl3XLnSX/CuBvw7hS+s+g22LnzTQEsDiIwx0pSPgLikhC9GuDXycWjnF9X8IBWcED" +
      "BudxLOfWzBO5rZ3p/tQ4XBXXxTwmbaCq8cW7vJPfq3z4bOMa9U+vJpMajXASksCiX38ph1QABW57sVeA+X5W" +
      "64gwySUUTVVvRw1vRpWJzGDnFnKxIWwmEAGthtHzPCt+ll0NMP1j4XEGqmdDYElxaP04anHtSgF1TO9713aN" +
      "05jUZYmiaqoYwzEF5Fh90ta870+eGOUuUzf1dTINC6osLSAtL+cUqLxr15Sho2dbACqPv9TAd66y26LcnpnD" +
      "zrt1IdT2oJmndsy+8PY+Z5hoYVMumhq2yCaeOF/E2B/7w6wA",
  },
  {
    what: "a match at a distance of seventeen bits",
    bytes: Buffer.concat([noise(300, 6), Buffer.alloc(70_000), noise(300, 6), Buffer.from("end")]),
    packed:
      "AB62QH8hHJYIB+oZu9UoC9nNDoaa7AdadOvcamnxOUSZLO25Gq0ww00xrfUSNFYG5A4qT3aR8OLSSjkiXWm/" +
      "yhAREwqG4pPb7v4c/QoVCJw5EYIH3HJXNS9hDKLBEukuGCltrlSBn4JpUQXzkGhEMgjKw4aocaoDyCvMI3qG" +
      "BYTi1nX5kmL6EyFruUGRnBMuDpdUoNS31QFwTVz0RuOAgfJMEkTCsvCtdLLW5RHiLhwrWv3uGaRz7PrwAhvP" +
      "vVyiURYxJuxIIhST/ceCby6bYS6HT9faJKBpPq3bm4ini/ELVokUMpIFhFl/HJXIb5/6mkZolhaORKv3bABk" +
      "csuCHIcwRq/q5Rr0Hae3AopHe4+E9i4nxTq8UXmjK81mwPGHWjmPAROQ54rdJj9MgqpIdtHPuFNwEKhHtqKI" +
      "keF8+VtRS/XB7TB410HRD6M5JqJG4H21d/AZ5tegZ47CEH+Uppmc+CYRWmBQowYYrfGqPxct3F1VALqGunQj" +
      "///0WnUg",
  },
];

describe("unpack", () => {
  for (const { what, bytes, packed } of VECTORS) {
    test(`gives back ${what}`, () => {
      assert.deepEqual(Buffer.from(unpack(packed, bytes.length)), bytes);
    });

    test(`ends, with as many bytes as asked for, when ${what} is cut short`, () => {
      const half = packed.slice(0, 4 * Math.floor(packed.length / 8));
      const unpacked = unpack(half, bytes.length);
      assert.equal(unpacked.length, bytes.length);
      assert.notDeepEqual(Buffer.from(unpacked), bytes);
    });
  }

  test("ends when there is nothing to unpack, and when there is too little", () => {
    assert.equal(unpack("", 0).length, 0);
    assert.equal(unpack("", 1000).length, 1000);
  });

  test("ends on whatever it is given, up to the end marker of LZMA", () => {
    for (let seed = 0; seed < 200; seed++) {
      assert.equal(unpack(noise(300, seed).toString("base64"), 5000).length, 5000);
    }
    const marker = Buffer.from([0, 0x83, 0xff, 0xfb, 0xff, 0xff, 0xc0, 0, 0, 0]);
    assert.equal(unpack(marker.toString("base64"), 5000).length, 5000);
  });

  test("gives nothing that compiles when a byte of the wasm was damaged", async (t) => {
    const built = await loadBuilt(t);
    if (!built) return;
    const at = Math.floor(built.packed.length / 2);
    const digit = built.packed[at] === "A" ? "B" : "A";
    const damaged = built.packed.slice(0, at) + digit + built.packed.slice(at + 1);
    assert.equal(WebAssembly.validate(unpack(damaged, built.size)), false);
  });

  test("gives back the very wasm that was built", async (t) => {
    const built = await loadBuilt(t);
    if (!built) return;
    const unpacked = unpack(built.packed, built.size);
    assert.ok(WebAssembly.validate(unpacked));
    // Where `cargo xtask` has put what it packed; without it the engine's word has to do.
    const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
    const wasm = join(target, "xtask/wasm/core.wasm");
    if (existsSync(wasm)) assert.deepEqual(Buffer.from(unpacked), readFileSync(wasm));
  });
});

async function loadBuilt(t) {
  if (existsSync(join(ROOT, "js/generated/bytes.js"))) return import("../generated/bytes.js");
  t.skip("nothing is built: run cargo xtask build first");
  return undefined;
}

function noise(length, seed) {
  let dice = seed;
  const next = () => {
    dice = (Math.imul(dice, 1_664_525) + 1_013_904_223) >>> 0;
    return dice >>> 24;
  };
  return Buffer.from(Array.from({ length }, next));
}

/** Copies from four distances by turns that nobody can foresee. */
function repeats() {
  const bytes = [...noise(128, 2)];
  const dice = noise(900, 3);
  for (let i = 0; i < dice.length; i += 3) {
    const distance = [21, 34, 58, 100][dice[i] & 3];
    const end = bytes.length + 3 + (dice[i + 1] & 7);
    while (bytes.length < end) bytes.push(bytes.at(-distance));
    bytes.push(dice[i + 2]);
  }
  return Buffer.from(bytes);
}
