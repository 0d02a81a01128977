// What the wasm holds of a page's memory, what it gives back, and what is left when it breaks.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, useBrowser } from "./harness.mjs";

/** Of wasm memory after the start. */
const MAX_KIB = 320;
const REQUESTS = 2_000;
/** Until the history is full, which keeps 200 entries. */
const WARM_UP = 200;

describe("the wasm", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("holds little after the start, and no more after many requests", async (t) => {
    const visitor = await arrive(t, { prepare: keepMemory });
    await visitor.signIn();
    const started = await visitor.page.evaluate(() => window.memory.buffer.byteLength);
    assert.ok(started <= MAX_KIB * 1024, `${started / 1024} KiB`);
    const before = await visitor.page.evaluate(afterRequests, WARM_UP);
    assert.ok(before <= MAX_KIB * 1024, `${before / 1024} KiB with a full history`);
    assert.equal(await visitor.page.evaluate(afterRequests, REQUESTS), before);
    await visitor.assertRevocationIsMet();
  });

  it("gives back what keepers held that were stopped and dropped", async (t) => {
    const visitor = await arrive(t, { prepare: keepMemory });
    const session = await visitor.page.createCDPSession();
    const round = async () => {
      await visitor.page.evaluate(async () => {
        for (let index = 0; index < 50; index++) {
          const keeper = window.createKeeper({ name: `one-of-many-${index}`, log: "silent" });
          await keeper.start();
          await keeper.signIn("token");
          keeper.stop();
        }
      });
      // What a finalizer frees is free in a later task.
      await session.send("HeapProfiler.collectGarbage");
      await visitor.page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
      await session.send("HeapProfiler.collectGarbage");
      return visitor.page.evaluate(() => window.memory.buffer.byteLength);
    };
    const first = await round();
    for (let repeat = 0; repeat < 3; repeat++) assert.equal(await round(), first);
  });

  it("says so when a step of it was cut off, and the session goes on without it", async (t) => {
    const mistake = "the clock is broken";
    const visitor = await arrive(t, { mistake });
    await visitor.signIn();
    await visitor.page.evaluate((text) => {
      window.now = performance.now;
      performance.now = () => {
        throw new Error(text);
      };
    }, mistake);
    const failed = () => window.keeper.snapshot.failure;
    const { code, message } = await visitor.until("a failure", failed);
    await visitor.page.evaluate(() => (performance.now = window.now));
    assert.equal(code, "crashed");
    assert.match(message, /panicked at src\/export\.rs:\d+:\d+:\s+a step was not carried out/);
    assert.equal((await visitor.snapshot()).signedIn, true);
    const { status } = await visitor.page.evaluate(() => window.addTag("after"));
    assert.equal(status, 201);
  });
});

/** In the page: what the memory takes after so many verifications. */
async function afterRequests(count) {
  const real = window.fetch;
  window.fetch = async () => Response.json({ user: "somebody" });
  for (let index = 0; index < count; index++) await window.keeper.verify();
  window.fetch = real;
  return window.memory.buffer.byteLength;
}

function keepMemory() {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (...given) {
    const instance = new Instance(...given);
    window.memory = instance.exports.memory;
    return instance;
  };
  WebAssembly.Instance.prototype = Instance.prototype;
}
