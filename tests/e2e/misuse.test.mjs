// An app that uses the package wrongly, or a browser that lacks something: a clear error or no
// effect, and the page's other code runs on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

describe("a keeper", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("names the option that is wrong, at once", async (t) => {
    const visitor = await arrive(t);
    const wrong = {
      "health.everyMs": { health: { everyMs: 10 } },
      "health.whenHidden": { health: { whenHidden: "sleep" } },
      "verify.retries": { verify: { retries: 11 } },
      "verify.path": { verify: { path: 5 } },
      "verify.evryMs": { verify: { evryMs: 5_000 } },
      baseUrl: { baseUrl: "ftp://example.com" },
      auth: { auth: "basic" },
      persist: { persist: "disk" },
      name: { name: "two words" },
      log: { log: "loud" },
      "fetch.origins": { fetch: { origins: "https://example.com" } },
      helth: { helth: {} },
    };
    const told = await visitor.page.evaluate((wrong) => {
      return Object.entries(wrong).map(([option, options]) => {
        try {
          window.createKeeper(options);
          return [option, "taken"];
        } catch (error) {
          const { code, message } = error;
          return [error.option, code, error instanceof window.KeeperError, message.length > 10];
        }
      });
    }, wrong);
    const expected = Object.keys(wrong).map((option) => [option, "invalid-option", true, true]);
    assert.deepEqual(told, expected);
  });

  it("takes no token that is none, and does not repeat it", async (t) => {
    const visitor = await arrive(t);
    await visitor.keep();
    const told = await visitor.page.evaluate(async () => {
      const wrong = [undefined, null, 42, "", "two words", "line\nbreak", { token: {} }, {}, []];
      const errors = wrong.map((token) =>
        window.keeper.signIn(token).then(
          () => "taken",
          ({ name, code, message }) => [name, code, message.includes("words")].join(" "),
        ),
      );
      const seconds = window.keeper.signIn({ token: "t", expiresAt: 1_900_000_000 });
      errors.push(seconds.catch(({ name, code }) => `${name} ${code}`));
      return Promise.all(errors);
    });
    const expected = Array.from({ length: 9 }, () => "KeeperError invalid-token false");
    assert.deepEqual(told, [...expected, "KeeperError invalid-expiry"]);
    assert.equal((await visitor.snapshot()).session, "signed-out");
  });

  it("that is started twice, and made twice, is one", async (t) => {
    const visitor = await arrive(t);
    await visitor.page.evaluate(async () => {
      const rarely = { health: { everyMs: 60_000 }, verify: { everyMs: 60_000 } };
      window.keepSession(rarely);
      const first = window.keeper;
      window.keepSession(rarely);
      window.same = first === window.keeper;
      await Promise.all([first.start(), window.keeper.start(), first.start()]);
    });
    await visitor.serverIs("awake");
    await visitor.page.evaluate(() => window.signIn());
    await visitor.verified();

    assert.equal(await visitor.page.evaluate(() => window.same), true);
    assert.equal((await visitor.platform.requests({ path: "/api/health" })).length, 1);
    assert.equal((await visitor.platform.requests({ path: "/auth/me" })).length, 1);
  });

  it("goes on when the app's handlers throw or wait for ever", async (t) => {
    const visitor = await arrive(t, { mistake: "the app's mistake" });
    await visitor.page.evaluate(() => {
      const fail = () => {
        throw new Error("the app's mistake");
      };
      window.keepSession({ log: fail });
      for (const type of ["change", "signin", "server", "log"]) {
        window.keeper.addEventListener(type, fail);
        window.keeper.addEventListener(type, () => new Promise(() => {}));
      }
      window.keeper.subscribe(fail);
      window.seen = 0;
      window.keeper.subscribe(() => (window.seen += 1));
    });
    await visitor.page.evaluate(() => window.keeper.start());
    await visitor.page.evaluate(() => window.signIn());
    await visitor.verified();
    assert.ok((await visitor.page.evaluate(() => window.seen)) > 0);
    await visitor.assertRevocationIsMet();
    assert.ok(visitor.mistakes > 0, "the app's mistake was swallowed");
  });

  it("that is stopped in the middle of a request settles it, and can start again", async (t) => {
    const visitor = await arrive(t);
    const { boot } = await visitor.signIn();
    await visitor.platform.fault("/auth/me", { status: 401, headersAfterMs: 600_000 });
    await visitor.platform.forgetRequests();
    await visitor.page.evaluate(() => {
      window.check = window.keeper.verify();
    });
    await until("the check is under way", async () => {
      return (await visitor.platform.requests({ path: "/auth/me" })).length > 0;
    });
    const { signedIn } = await visitor.page.evaluate(() => {
      window.keeper.stop();
      return window.check;
    });
    assert.equal(signedIn, true);

    await visitor.platform.control("clear");
    await visitor.platform.control("restart");
    await visitor.page.evaluate(() => window.keeper.start());
    await visitor.verified({ after: boot });
    await visitor.assertNeverSignedOut();
  });
});
