// `session-keeper/vue` with Vue itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, until } from "../face.mjs";
import { countSubscribers, keep, keepOnServer, load, openDocument, RESTORING } from "./apps.mjs";

const APP = `
  import { createSSRApp, createApp, effectScope, h, ref, watchEffect } from "vue";
  import { sessionKeeper, useServer, useSession } from "session-keeper/vue";
  const Session = {
    setup() {
      const { session, user, server } = useSession();
      return () => h("p", session.value + " " + (user.value?.name ?? "-") + " " + server.value);
    },
  };
  const Server = { setup() { const server = useServer(); return () => h("i", server.value); } };
  const Root = {
    props: ["extra"],
    render() { return [h(Session), this.extra ? h(Server) : null]; },
  };
  export const isShown = ref(true);
  export const Sometimes = { render: () => (isShown.value ? h(Session) : null) };
  export const make = (component, keeper, create = createApp) => {
    const app = create(component);
    if (keeper) app.use(sessionKeeper(keeper));
    return app;
  };
  export { createApp, createSSRApp, effectScope, Root, Session, useSession, watchEffect };
`;

const SERVER = `${APP} export { renderToString } from "vue/server-renderer";`;

async function renderOnServer() {
  const keeper = await keepOnServer();
  const followers = countSubscribers(keeper);
  const { renderToString, make, Root, createSSRApp } = await load(SERVER, { on: "server" });
  const html = await renderToString(make(Root, keeper, createSSRApp));
  return { html, followers };
}

async function open(t, { token, html } = {}) {
  const page = openDocument(t, html);
  const keeper = await keep(page, { token });
  const followers = countSubscribers(keeper);
  const app = await load(APP);
  return { ...page, keeper, app, followers };
}

test("vue: a server renders restoring, and follows nothing", async () => {
  const { html, followers } = await renderOnServer();
  assert.match(html, new RegExp(RESTORING));
  assert.equal(followers(), 0, "each request would leave a listener behind");
});

test("vue: a page takes a server's markup over without a mismatch, then shows who is there", async (t) => {
  const { html } = await renderOnServer();
  const { keeper, app, element, text, atEnd } = await open(t, { token: "good", html });
  await until(() => keeper.snapshot.session === "signed-in");
  const lines = hush(t);
  const markup = element.querySelector("p");
  const mounted = app.make(app.Root, keeper, app.createSSRApp);
  const seen = [];
  mounted.mixin({ beforeMount: () => seen.push(text()) });
  mounted.mount(element);
  atEnd(() => mounted.unmount());
  assert.equal(seen[0], RESTORING);
  await until(() => text() === "signed-in ada awake");
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("info")),
    [],
  );
  assert.equal(element.querySelector("p"), markup, "the markup was thrown away");
});

test("vue: a component that comes later shows at once who is there", async (t) => {
  const { keeper, app, element, text, atEnd } = await open(t, { token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const mounted = app.make(app.Sometimes, keeper);
  mounted.mount(element);
  atEnd(() => mounted.unmount());
  assert.equal(text(), "signed-in ada awake");
});

test("vue: the plugin starts the keeper, and sign-in and sign-out are shown", async (t) => {
  const { keeper, app, element, text, atEnd } = await open(t);
  const mounted = app.make(app.Session, keeper);
  mounted.mount(element);
  atEnd(() => mounted.unmount());
  await until(() => text().startsWith("signed-out"));
  await keeper.signIn("good");
  await until(() => text() === "signed-in ada awake");
  await keeper.signOut();
  await until(() => text().startsWith("signed-out -"));
});

test("vue: a component that is gone follows no more", async (t) => {
  const { keeper, app, element, text, followers, atEnd } = await open(t, {
    token: "good",
  });
  const mounted = app.make(app.Sometimes, keeper);
  mounted.mount(element);
  atEnd(() => mounted.unmount());
  await until(() => text() === "signed-in ada awake");
  assert.equal(followers(), 1);
  app.isShown.value = false;
  await until(() => text() === "");
  assert.equal(followers(), 0);
});

test("vue: outside a component, in an effect scope, it is followed until the scope stops", async (t) => {
  const { keeper, app, followers } = await open(t);
  const seen = [];
  const scope = app.effectScope();
  scope.run(() => {
    const { snapshot } = app.useSession(keeper);
    app.watchEffect(() => seen.push(snapshot.value.session), { flush: "sync" });
  });
  await keeper.signIn("good");
  await until(() => seen.at(-1) === "signed-in");
  assert.equal(seen[0], "restoring");
  scope.stop();
  assert.equal(followers(), 0);
});

test("vue: without a plugin the composable says what is missing", async (t) => {
  const { app, element } = await open(t);
  hush(t);
  assert.throws(() => app.make(app.Session).mount(element), /app\.use\(sessionKeeper\(keeper\)\)/);
});
