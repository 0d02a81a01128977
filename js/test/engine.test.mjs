import assert from "node:assert/strict";
import { test } from "node:test";

import { API, hush, load, openPage, turn } from "./face.mjs";

const { decode } = await load("hex.ts");

const EVERY = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Takes a property away until the test is over. */
function without(t, object, key) {
  const before = Object.getOwnPropertyDescriptor(object, key);
  if (!before) return;
  delete object[key];
  t.after(() => Object.defineProperty(object, key, before));
}

test("every byte is read back, by the engine's own reader where there is one and without it", (t) => {
  const digits = Buffer.from(EVERY).toString("hex");
  without(t, Uint8Array, "fromHex");
  assert.deepEqual(decode(digits), EVERY);
  let asked = 0;
  Uint8Array.fromHex = (given) => {
    asked++;
    return Uint8Array.from(Buffer.from(given, "hex"));
  };
  t.after(() => delete Uint8Array.fromHex);
  assert.deepEqual(decode(digits), EVERY);
  assert.equal(asked, 1);
});

test("two keepers of one tick share one boot, and each has a core of its own", async (t) => {
  openPage(t);
  hush(t);
  globalThis.refuseWasm = new RangeError("disallowed on the main thread");
  globalThis.asyncBoots = 0;
  t.after(() => delete globalThis.refuseWasm && delete globalThis.asyncBoots);
  const { createKeeper } = await load();
  const first = createKeeper({ baseUrl: API });
  const second = createKeeper({ baseUrl: "https://other.example.com" });
  await Promise.all([first.signIn("first-token"), second.signIn("second-token")]);
  assert.equal(globalThis.asyncBoots, 1);
  assert.equal(first.authHeaders(API).Authorization, "Bearer first-token");
  assert.equal(
    second.authHeaders("https://other.example.com").Authorization,
    "Bearer second-token",
  );
  assert.deepEqual(second.authHeaders(API), {});
  const origins = globalThis.fakeCores.map((core) => core.options.origin);
  assert.deepEqual(origins, [API, "https://other.example.com"]);
});

test("a panic's message and place are in the failure, of every keeper of the page", async (t) => {
  openPage(t);
  const lines = hush(t);
  const { createKeeper } = await load();
  const keepers = [createKeeper({ baseUrl: API }), createKeeper({ name: "other" })];
  for (const keeper of keepers) await keeper.start();
  globalThis.reportPanic("panicked at src/driver.rs:1:2:\nan effect was lost");
  globalThis.fakeCores[0].trap = true;
  keepers[0].verify();
  keepers[1].verify();
  await turn();
  for (const { snapshot } of keepers) {
    assert.equal(snapshot.failure.code, "crashed");
    assert.match(snapshot.failure.message, /src\/driver\.rs:1:2:\nan effect was lost/);
  }
  assert.equal(lines.filter((line) => /a bug in session-keeper/.test(line)).length, 2);
});
