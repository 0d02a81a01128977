// Two tabs of one app: what one of them does the other meets at once, without asking the server.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";

/** So rare that no verification of a tab can be what told it. */
const RARELY = { health: { everyMs: 600_000 }, verify: { everyMs: 600_000 } };

describe("another tab", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("meets a sign-out, a sign-in and the next sign-out at once", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn(RARELY);
    const other = await openTab(visitor);
    assert.equal((await keep(other)).signedIn, true);

    await visitor.page.evaluate(() => window.keeper.signOut());
    await is(other, "signed-out");
    const { signOut } = await other.evaluate(() => window.keeper.snapshot);
    assert.deepEqual([signOut.reason, signOut.fromOtherTab], ["user", true]);
    assert.equal((await visitor.snapshot()).signOut.fromOtherTab, false);

    await visitor.page.evaluate(() => window.signIn());
    await until("signed in there too", () => other.evaluate(() => window.keeper.snapshot.signedIn));
    const added = await other.evaluate(() => window.addTag("one"));
    assert.equal(added.status, 201, "the new token was not used");
    const events = await other.evaluate(() => window.events);
    const told = events.filter(({ type }) => type === "signin" || type === "signout");
    assert.deepEqual(
      told.map(({ type, fromOtherTab }) => [type, fromOtherTab]),
      [
        ["signout", true],
        ["signin", true],
      ],
    );

    await other.evaluate(() => window.keeper.signOut());
    await visitor.signedOut(5_000);
    assert.equal((await visitor.snapshot()).signOut.fromOtherTab, true);
  });

  it("is not signed out by storage that somebody cleared", async (t) => {
    const visitor = await arrive(t);
    await visitor.signIn(RARELY);
    const other = await openTab(visitor);
    await keep(other);
    await other.evaluate(() => localStorage.clear());
    const isBack = () => visitor.page.evaluate(() => localStorage.length > 0);
    await until("written back", isBack);
    await visitor.assertNeverSignedOut();
    await visitor.page.evaluate(() => window.keeper.signOut());
    await is(other, "signed-out");
  });
});

async function openTab({ page, platform }) {
  const tab = await page.browserContext().newPage();
  await tab.goto(`${platform.demo}/keeper.html`);
  await until("its script ran", () => tab.evaluate(() => window.ready));
  return tab;
}

const keep = (tab) =>
  tab.evaluate(async (options) => {
    window.keepSession(options);
    return window.keeper.start();
  }, RARELY);

function is(tab, session) {
  const fact = async () => (await tab.evaluate(() => window.keeper.snapshot.session)) === session;
  const look = () => ({ history: window.keeper.history(), stored: { ...localStorage } });
  const tell = async () => JSON.stringify(await tab.evaluate(look), null, 1);
  return until(session, fact, { tell });
}
