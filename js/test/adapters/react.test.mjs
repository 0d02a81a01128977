// `session-keeper/react` with React itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, until } from "../face.mjs";
import { countSubscribers, keep, keepOnServer, load, openDocument, RESTORING } from "./apps.mjs";

const APP = `
  import { createElement as h, Fragment, StrictMode, useState } from "react";
  import { flushSync } from "react-dom";
  import { KeeperProvider, RequireSession, useKeeper, useServer, useSession } from "session-keeper/react";
  export const renders = { session: 0, server: 0 };
  const seen = new Set();
  export const views = seen;
  function Session() {
    const view = useSession();
    seen.add(view);
    renders.session++;
    return h("p", null, view.session, " ", view.user?.name ?? "-", " ", view.server);
  }
  function Server() {
    renders.server++;
    return h("i", null, useServer());
  }
  export function Nobody() { return h(Session); }
  export function App({ keeper }) {
    return h(StrictMode, null, h(KeeperProvider, { keeper }, h(Session)));
  }
  export function Guarded({ keeper }) {
    return h(KeeperProvider, { keeper },
      h(RequireSession, { fallback: "wait", otherwise: "login" }, h(Private)));
  }
  function Private() {
    const [count] = useState(() => ++mounted.count);
    return h("p", null, "private ", count);
  }
  export const mounted = { count: 0 };
  export function Servers({ keeper }) { return h(KeeperProvider, { keeper }, h(Server)); }
  export function Button({ keeper }) {
    const { signOut, signIn, lastSignOut } = useSession(keeper);
    return h("button", { id: "out", onClick: () => signOut() }, lastSignOut?.reason ?? "in");
  }
  export { flushSync, h };
`;
const SERVER = `${APP} export { renderToString } from "react-dom/server";`;
const PAGE = `${APP} export { createRoot, hydrateRoot } from "react-dom/client";`;

async function renderOnServer(component) {
  const { renderToString, h, ...app } = await load(SERVER, { on: "server" });
  return renderToString(h(app[component], { keeper: await keepOnServer() }));
}

/** Renders a component for a keeper, and takes it away with the test. */
async function show(t, component, { token } = {}) {
  const page = openDocument(t);
  const keeper = await keep(page, { token });
  const followers = countSubscribers(keeper);
  const app = await load(PAGE);
  const root = app.createRoot(page.element);
  page.atEnd(() => app.flushSync(() => root.unmount()));
  app.flushSync(() => root.render(app.h(app[component], { keeper })));
  return { ...page, keeper, app, root, followers };
}

test("react: a server renders restoring, and follows nothing", async () => {
  assert.match((await renderOnServer("App")).replace(/<!-- -->/g, ""), new RegExp(RESTORING));
  assert.equal(await renderOnServer("Guarded"), "wait");
});

test("react: a page takes a server's markup over without an error, then shows who is there", async (t) => {
  const html = await renderOnServer("App");
  const page = openDocument(t, html);
  const keeper = await keep(page, { token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const lines = hush(t);
  const errors = [];
  const { hydrateRoot, App, h, flushSync } = await load(PAGE);
  const markup = page.element.firstChild;
  let root;
  flushSync(() => {
    root = hydrateRoot(page.element, h(App, { keeper }), {
      onRecoverableError: (error) => errors.push(error),
    });
  });
  page.atEnd(() => flushSync(() => root.unmount()));
  await until(() => page.text() === "signed-in ada awake");
  assert.deepEqual([errors, lines], [[], []]);
  assert.equal(page.element.firstChild, markup, "the markup was thrown away");
});

test("react: the provider starts the keeper, and sign-in and sign-out are shown", async (t) => {
  const { keeper, text } = await show(t, "App");
  await until(() => text().startsWith("signed-out"));
  await keeper.signIn("good");
  await until(() => text() === "signed-in ada awake");
  await keeper.signOut();
  await until(() => text().startsWith("signed-out -"));
});

test("react: in strict mode a keeper keeps on, and one that is unmounted is followed no more", async (t) => {
  const { keeper, text, root, followers, app } = await show(t, "App", { token: "good" });
  await until(() => text() === "signed-in ada awake");
  assert.equal(followers(), 1);
  app.flushSync(() => root.render(null));
  assert.equal(followers(), 0);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("react: what useSession gives is the same until something changed", async (t) => {
  const { app, root, keeper, text } = await show(t, "App", { token: "good" });
  await until(() => text() === "signed-in ada awake");
  app.views.clear();
  const before = app.renders.session;
  // Strict mode keeps the memo of one of its two renders.
  for (let i = 0; i < 3; i++) app.flushSync(() => root.render(app.h(app.App, { keeper })));
  assert.ok(app.renders.session > before);
  assert.equal(app.views.size, 1);
});

test("react: useServer renders again for the server alone", async (t) => {
  const { keeper, app, text } = await show(t, "Servers", { token: "good" });
  await until(() => keeper.snapshot.session === "signed-in" && text() === "awake");
  const before = app.renders.server;
  await keeper.signOut();
  await keeper.signIn("good");
  await until(() => keeper.snapshot.session === "signed-in");
  assert.equal(app.renders.server, before);
});

test("react: RequireSession shows what fits, and keeps its children while a 401 is checked", async (t) => {
  const { keeper, text, api, app } = await show(t, "Guarded");
  await until(() => text() === "login");
  await keeper.signIn("good");
  await until(() => text() === "private 1" && keeper.snapshot.session === "signed-in");
  api.good = "other";
  void keeper.verify();
  await until(() => keeper.snapshot.session === "suspect");
  assert.equal(text(), "private 1");
  await keeper.signOut();
  await until(() => text() === "login");
  assert.equal(app.mounted.count, 1);
});

test("react: a hook takes the keeper itself, and says what is missing without one", async (t) => {
  const { text, click } = await show(t, "Button", { token: "good" });
  assert.equal(text(), "in");
  click("out");
  await until(() => text() === "user");
  hush(t);
  const { renderToString, Nobody, h } = await load(SERVER, { on: "server" });
  assert.throws(() => renderToString(h(Nobody)), /no KeeperProvider above/);
});
