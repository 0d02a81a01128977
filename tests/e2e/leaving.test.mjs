// Pages that are left, and what the next page finds: a sign-out must reach the server and the
// store, whatever the browser does meanwhile.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

const LOGOUT = "/auth/logout";

describe("a page that is left", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("in its signout handler has told the server, whose token is worth nothing then", async (t) => {
    const visitor = await arrive(t);
    const { token } = await visitor.signIn({ signOut: { path: LOGOUT } });
    // As the README's example does it, to a page without a keeper.
    await visitor.page.evaluate(() => {
      window.keeper.addEventListener("signout", () => location.assign("/no-wasm.html"));
      window.keeper.signOut();
    });
    const told = async () => (await visitor.platform.requests({ path: LOGOUT })).length > 0;
    await until("the server was told", told);
    const answer = await fetch(`${visitor.platform.demo}/auth/me`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    assert.equal(answer.status, 401);
  });

  it("and stopped goes on when it is started again", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.page.evaluate(async () => {
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
      window.keeper.stop();
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      await window.keeper.start();
    });
    await visitor.platform.forgetRequests();
    const asked = async () => (await visitor.platform.requests({ path: "/auth/me" })).length > 0;
    await until("it verifies", asked);
    await visitor.assertRevocationIsMet();
  });
});

describe("after a store that failed", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("the next page finds nobody who signed in before", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    await visitor.page.evaluate(async () => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
      await window.signIn();
      await window.keeper.signOut();
    });
    await visitor.reload();
    const { session, signedIn } = await visitor.keep();
    assert.deepEqual([session, signedIn], ["signed-out", false]);
  });

  it("the next page finds whoever signed in last, once the store takes records again", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn();
    const storage = await visitor.page.evaluate(async () => {
      const { setItem, removeItem } = Storage.prototype;
      const refuse = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
      Object.assign(Storage.prototype, { setItem: refuse, removeItem: refuse });
      await window.signIn();
      const { storage } = window.keeper.debug();
      Object.assign(Storage.prototype, { setItem, removeItem });
      return storage;
    });
    assert.equal(storage, "memory");
    await visitor.until("saved", () => window.keeper.debug().storage === "local");
    const before = await visitor.page.evaluate(() => window.keeper.debug().token_info.token_id);
    await visitor.reload();
    await visitor.keep();
    const after = await visitor.page.evaluate(() => window.keeper.debug().token_info.token_id);
    assert.equal(after, before);
  });

  it("an adapter that was slow once does not bring anybody back", async (t) => {
    const visitor = await arrive(t);
    const adapter = () => {
      let isSlow = true;
      return {
        get: async (key) => {
          if (isSlow) await new Promise((resolve) => setTimeout(resolve, 2_500));
          isSlow = false;
          return localStorage.getItem(key);
        },
        set: async (key, value) => localStorage.setItem(key, value),
        remove: async (key) => localStorage.removeItem(key),
      };
    };
    await visitor.signIn({ name: "shared" });
    await visitor.reload();
    await visitor.page.evaluate(async (source) => {
      const persist = new Function(`return (${source})()`)();
      window.keepSession({ name: "shared", persist });
      await window.keeper.start();
      await window.signIn();
      await window.keeper.signOut();
    }, adapter.toString());
    await visitor.until("written", () => !localStorage.getItem("shared")?.includes('"token"'));
    await visitor.reload();
    const { session } = await visitor.keep({ name: "shared" });
    assert.equal(session, "signed-out");
  });
});
