// `session-keeper/svelte` with Svelte itself: as a store and with runes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, until } from "../face.mjs";
import { countSubscribers, keep, keepOnServer, load, openDocument, RESTORING } from "./apps.mjs";

const svelte = {
  "Store.svelte": `
    <script>
      let { session } = $props();
    </script>
    <p>{$session.session} {$session.user?.name ?? "-"} {$session.server}</p>
    {#if $session.signedIn}<b>private</b>{/if}`,
  "Runes.svelte": `
    <script>
      let { session } = $props();
      const name = $derived(session.current.user?.name ?? "-");
    </script>
    <p>{session.current.session} {name} {session.current.server}</p>
    {#if session.current.signedIn}<b>private</b>{/if}`,
};
const APP = `
  import { sessionStore } from "session-keeper/svelte";
  import Store from "Store.svelte";
  import Runes from "Runes.svelte";
  export { sessionStore, Store, Runes };
`;
const PAGE = `${APP} export { flushSync, hydrate, mount, unmount } from "svelte";`;
const SERVER = `${APP} export { render } from "svelte/server";`;

async function renderOnServer(component) {
  const keeper = await keepOnServer();
  const followers = countSubscribers(keeper);
  const { render, sessionStore, ...app } = await load(SERVER, { on: "server", svelte });
  const { body } = render(app[component], { props: { session: sessionStore(keeper) } });
  return { html: body, followers };
}

async function open(t, { token, html } = {}) {
  const page = openDocument(t, html);
  const keeper = await keep(page, { token });
  const followers = countSubscribers(keeper);
  const app = await load(PAGE, { svelte });
  return { ...page, keeper, app, followers, session: app.sessionStore(keeper) };
}

for (const component of ["Store", "Runes"]) {
  test(`svelte ${component}: a server renders restoring, and follows nothing afterwards`, async () => {
    const { html, followers } = await renderOnServer(component);
    assert.match(html, new RegExp(RESTORING));
    assert.doesNotMatch(html, /private/);
    assert.equal(followers(), 0, "each request would leave a listener behind");
  });

  test(`svelte ${component}: a page takes a server's markup over and shows who is there`, async (t) => {
    const { html } = await renderOnServer(component);
    const { app, keeper, session, element, text, atEnd } = await open(t, { token: "good", html });
    await until(() => keeper.snapshot.session === "signed-in");
    const lines = hush(t);
    const markup = element.querySelector("p");
    const shown = app.hydrate(app[component], { target: element, props: { session } });
    atEnd(() => app.unmount(shown));
    await until(() => text().replace(/\s+/g, " ").trim() === "signed-in ada awake private");
    assert.deepEqual(lines, []);
    assert.equal(element.querySelector("p"), markup, "the markup was thrown away");
  });

  test(`svelte ${component}: sign-in and sign-out are shown, and a component that is gone follows no more`, async (t) => {
    const { app, keeper, session, element, text, followers } = await open(t);
    await keeper.start();
    const shown = app.mount(app[component], { target: element, props: { session } });
    assert.match(text(), /^signed-out -/);
    await keeper.signIn("good");
    await until(() => text().includes("signed-in ada awake"));
    await keeper.signOut();
    await until(() => text().startsWith("signed-out -") && !text().includes("private"));
    assert.equal(followers(), 1);
    await app.unmount(shown);
    await until(() => followers() === 0);
  });
}

test("svelte: the store calls at once, and then for each change until it is left", async (t) => {
  const { keeper, session } = await open(t);
  await keeper.start();
  const seen = [];
  const leave = session.subscribe((snapshot) => seen.push(snapshot.session));
  assert.deepEqual(seen, ["signed-out"]);
  await keeper.signIn("good");
  await until(() => seen.at(-1) === "signed-in");
  leave();
  await keeper.signOut();
  assert.equal(seen.at(-1), "signed-in");
});
