// Storage that is damaged, foreign, blocked, or silent: a clean start or memory, never a crash.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, useBrowser } from "./harness.mjs";

describe("storage", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  const damages = {
    "is no JSON": () => "{damaged",
    "is JSON of something else": () => '"hello"',
    "has no token": (record) => JSON.stringify({ ...record, token: undefined }),
    "has a token that is no text": (record) => JSON.stringify({ ...record, token: { a: 1 } }),
  };
  for (const [name, damage] of Object.entries(damages)) {
    it(`with a record that ${name} is cleaned up and stays in use`, async (t) => {
      const visitor = await arrive(t);
      const [key, record] = await storedRecord(visitor);
      await replaceRecord(visitor, key, damage(record));
      const first = await visitor.keep();
      assert.equal(first.session, "signed-out");
      assert.equal(first.signOut, undefined);
      assert.equal((await visitor.history("record-corrupt")).length, 1);
      const left = await visitor.page.evaluate((key) => localStorage.getItem(key), key);
      assert.equal(left, null);

      await visitor.page.evaluate(() => window.signIn());
      await visitor.verified();
      assert.equal((await visitor.page.evaluate(() => window.keeper.debug())).storage, "local");
      await visitor.reload();
      assert.equal((await visitor.keep()).signedIn, true);
    });
  }

  it("with a record for another origin signs nobody in and sends its token nowhere", async (t) => {
    const visitor = await arrive(t);
    const [key, record] = await storedRecord(visitor);
    const foreign = JSON.stringify({ ...record, origin: "https://another.example" });
    await replaceRecord(visitor, key, foreign);
    await visitor.platform.forgetRequests();
    const first = await visitor.keep();
    await visitor.serverIs("awake");
    const status = await visitor.page.evaluate(async () => {
      return (await window.keeper.fetch("/api/tags")).status;
    });

    assert.equal(first.session, "signed-out");
    assert.equal(status, 401);
    assert.deepEqual(await visitor.platform.requests({ credential: true }), []);
  });

  const blocked = {
    "throws at every use": () => {
      const refuse = () => {
        throw new DOMException("denied", "SecurityError");
      };
      for (const name of ["getItem", "setItem", "removeItem"]) Storage.prototype[name] = refuse;
    },
    "cannot even be named": () => {
      Object.defineProperty(window, "localStorage", {
        get() {
          throw new DOMException("denied", "SecurityError");
        },
      });
    },
    "is full": () => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    },
  };
  for (const [name, prepare] of Object.entries(blocked)) {
    it(`that ${name} means memory`, async (t) => {
      const visitor = await arrive(t, { prepare });
      await visitor.signIn();
      const { storage } = await visitor.page.evaluate(() => window.keeper.debug());
      assert.equal(storage, "memory");
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  }

  it("by an adapter is used, at once or by promises", async (t) => {
    const visitor = await arrive(t);
    await visitor.page.evaluate(async () => {
      const kept = new Map();
      window.kept = kept;
      const persist = {
        get: async (key) => kept.get(key),
        set: async (key, value) => void kept.set(key, value),
        remove: async (key) => void kept.delete(key),
      };
      window.keepSession({ persist });
      await window.keeper.start();
      await window.signIn();
    });
    await visitor.verified();
    const [size, inBrowser, storage] = await visitor.page.evaluate(() => {
      return [window.kept.size, localStorage.length, window.keeper.debug().storage];
    });
    assert.deepEqual([size, inBrowser, storage], [1, 0, "adapter"]);
    await visitor.assertRevocationIsMet();
  });

  const adapters = {
    "throws at once": () => {
      throw new Error("out of order");
    },
    rejects: () => Promise.reject(new Error("out of order")),
    "never answers": () => new Promise(() => {}),
    "answers with a number": () => 42,
  };
  for (const [name, answer] of Object.entries(adapters)) {
    it(`by an adapter that ${name} costs two seconds and no session`, async (t) => {
      const visitor = await arrive(t);
      const started = await visitor.page.evaluate(async (source) => {
        const answer = new Function(`return ${source}`)();
        window.keepSession({ persist: { get: answer, set: answer, remove: answer } });
        const began = performance.now();
        const { session } = await window.keeper.start();
        const ms = performance.now() - began;
        await window.signIn();
        return { session, ms };
      }, answer.toString());
      assert.equal(started.session, "signed-out");
      assert.ok(started.ms < 4_000, `start() took ${started.ms} ms`);
      await visitor.verified();
      await visitor.assertNeverSignedOut();
      await visitor.assertRevocationIsMet();
    });
  }
});

/** Signs in once. Gives the key and the content of the record that a reload would find. */
async function storedRecord(visitor) {
  await visitor.signIn();
  const stored = await visitor.page.evaluate(() => Object.entries({ ...localStorage }));
  const [key, text] = stored.find(([, text]) => text.includes('"token"'));
  return [key, JSON.parse(text)];
}

/** Reloads with another record, before there is a keeper. */
async function replaceRecord(visitor, key, text) {
  await visitor.page.evaluate(() => window.keeper.stop());
  await visitor.page.evaluate((key, text) => localStorage.setItem(key, text), key, text);
  await visitor.reload();
}
