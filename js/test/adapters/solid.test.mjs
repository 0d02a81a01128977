// `session-keeper/solid` with Solid itself, without its compiler.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hush, until } from "../face.mjs";
import { countSubscribers, keep, keepOnServer, load, openDocument, RESTORING } from "./apps.mjs";

const APP = `
  import { createComponent, createSignal, Show } from "solid-js";
  import { KeeperProvider, RequireSession, useServer, useSession } from "session-keeper/solid";
  const tell = (session) => session().session + " " + (session().user?.name ?? "-") + " " + session().server;
  export const renders = { count: 0 };
  export const Private = () => "private " + ++renders.count;
  export const Nobody = () => { useSession(); };
  export const Guarded = (props) => createComponent(KeeperProvider, {
    keeper: props.keeper,
    get children() {
      return createComponent(RequireSession, {
        fallback: "wait", otherwise: "login",
        get children() { return createComponent(Private, {}); },
      });
    },
  });
  export const Server = (props) => { const server = useServer(props.keeper); return () => server(); };
  export { createComponent, createSignal, KeeperProvider, Show, tell, useSession };
`;
/** What Solid's compiler makes of `<p>{tell(session)}</p>` on a server, and in a page. */
const SERVER = `${APP}
  import { escape, renderToString, ssr, ssrHydrationKey } from "solid-js/web";
  const Session = () => {
    const session = useSession();
    return ssr(["<p", ">", "</p>"], ssrHydrationKey(), () => escape(tell(session)));
  };
  export const App = (props) => createComponent(KeeperProvider, {
    keeper: props.keeper, get children() { return createComponent(Session, {}); },
  });
  export { renderToString };
`;
const PAGE = `${APP}
  import { getNextElement, hydrate, insert, render, template } from "solid-js/web";
  const markup = template("<p>");
  export const first = [];
  const Session = () => {
    const session = useSession();
    first.push(tell(session));
    const element = getNextElement(markup);
    insert(element, () => tell(session));
    return element;
  };
  export const App = (props) => createComponent(KeeperProvider, {
    keeper: props.keeper, get children() { return createComponent(Session, {}); },
  });
  export const Sometimes = (props) => createComponent(Show, {
    get when() { return props.when(); },
    get children() { return createComponent(App, props); },
  });
  export { hydrate, render };
`;

async function renderOnServer(component) {
  const keeper = await keepOnServer();
  const followers = countSubscribers(keeper);
  const { renderToString, createComponent, ...app } = await load(SERVER, { on: "server" });
  const html = renderToString(() => createComponent(app[component], { keeper }));
  return { html, followers };
}

async function open(t, { token, html } = {}) {
  const page = openDocument(t, html);
  const keeper = await keep(page, { token });
  const followers = countSubscribers(keeper);
  globalThis._$HY = { events: [], completed: new WeakSet(), r: {}, fe() {} };
  page.atEnd(() => delete globalThis._$HY);
  page.element.ownerDocument.defaultView._$HY = globalThis._$HY;
  const app = await load(PAGE);
  const show = (component, more = {}) => {
    const make = () => app.createComponent(app[component], { keeper, ...more });
    const end = app.render(make, page.element);
    page.atEnd(end);
    return end;
  };
  return { ...page, keeper, app, show, followers };
}

test("solid: a server renders restoring, and follows nothing", async () => {
  const { html, followers } = await renderOnServer("App");
  assert.match(html, new RegExp(RESTORING));
  assert.match((await renderOnServer("Guarded")).html, /wait/);
  assert.equal(followers(), 0, "each request would leave a listener behind");
});

test("solid: a page takes a server's markup over, then shows who is there", async (t) => {
  const { html } = await renderOnServer("App");
  const { keeper, app, element, text, atEnd } = await open(t, { token: "good", html });
  await until(() => keeper.snapshot.session === "signed-in");
  const lines = hush(t);
  const markup = element.querySelector("p");
  atEnd(app.hydrate(() => app.createComponent(app.App, { keeper }), element));
  assert.deepEqual(app.first, [RESTORING]);
  await until(() => text() === "signed-in ada awake");
  assert.deepEqual(lines, []);
  assert.equal(element.querySelector("p"), markup, "the markup was thrown away");
});

test("solid: the provider starts the keeper, and sign-in and sign-out are shown", async (t) => {
  const { keeper, show, text } = await open(t);
  show("App");
  await until(() => text().startsWith("signed-out"));
  await keeper.signIn("good");
  await until(() => text() === "signed-in ada awake");
  await keeper.signOut();
  await until(() => text().startsWith("signed-out -"));
});

test("solid: a component that comes later shows at once who is there, and follows until it goes", async (t) => {
  const { keeper, app, show, text, followers } = await open(t, { token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const [when, setWhen] = app.createSignal(false);
  show("Sometimes", { when });
  setWhen(true);
  assert.equal(text(), "signed-in ada awake");
  assert.deepEqual(app.first, ["signed-in ada awake"]);
  assert.equal(followers(), 1);
  setWhen(false);
  assert.equal(followers(), 0);
});

test("solid: RequireSession shows what fits, and keeps its children while a 401 is checked", async (t) => {
  const { keeper, api, app, show, text } = await open(t);
  show("Guarded");
  await until(() => text() === "login");
  await keeper.signIn("good");
  await until(() => text() === "private 1" && keeper.snapshot.session === "signed-in");
  api.good = "other";
  void keeper.verify();
  await until(() => keeper.snapshot.session === "suspect");
  assert.equal(text(), "private 1");
  await keeper.signOut();
  await until(() => text() === "login");
  assert.equal(app.renders.count, 1);
});

test("solid: useServer tells the server's state, and a hook without a provider what is missing", async (t) => {
  const { show, text, app, element } = await open(t, { token: "good" });
  show("Server");
  await until(() => text() === "awake");
  const broken = () => app.render(() => app.createComponent(app.Nobody, {}), element);
  assert.throws(broken, /no KeeperProvider above/);
});
