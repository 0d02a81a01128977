// What users of the adapters write, and what their declarations must refuse.

import { HttpContext, provideHttpClient, withInterceptors } from "@angular/common/http";
import { QueryClient } from "@tanstack/query-core";
import axios from "axios";
import ky from "ky";
import { createElement } from "react";
import { createKeeper, type SessionKeeper, type SessionState, type Snapshot } from "session-keeper";
import { injectSession, provideSessionKeeper, sessionGuard } from "session-keeper/angular";
import { keeperInterceptor, RETRY } from "session-keeper/angular-http";
import { attach } from "session-keeper/axios";
import { withKeeper } from "session-keeper/ky";
import { askUser, hasSessionCookie, requireCookie } from "session-keeper/next";
import { attach as attachQuery, retry } from "session-keeper/query";
import * as react from "session-keeper/react";
import { createKeeper as createSlim, init } from "session-keeper/slim";
import * as solid from "session-keeper/solid";
import { sessionStore } from "session-keeper/svelte";
import * as vue from "session-keeper/vue";
import { createApp } from "vue";

interface User {
  name: string;
}

const keeper = createKeeper<User>();

// React
export function Header(): unknown {
  const view = react.useSession<User>();
  const { session, signedIn, user, server, signIn, signOut, lastSignOut } = view;
  void signIn({ token: "t", user: { name: "ada" } }).then(signOut);
  if (view.session === "signed-in") return view.user.name;
  if (view.session === "restoring") return view.signedIn satisfies undefined;
  if (view.session === "signed-out") return view.lastSignOut?.reason;
  // @ts-expect-error: whom the server has not named yet may be nobody that is known
  view.user.name;
  // @ts-expect-error: the record of the last sign-out is called lastSignOut here
  view.signOut.reason;
  return [session satisfies SessionState, signedIn, user?.name, server, lastSignOut?.at];
}
react.useSession(keeper).user?.name.toUpperCase();
createElement(react.KeeperProvider, { keeper }, createElement(Fragment));
createElement(react.RequireSession, { fallback: "wait", otherwise: createElement("a") }, "private");
// @ts-expect-error: a provider without a keeper
createElement(react.KeeperProvider, {});
// @ts-expect-error: no such state
if (react.useServer() === "asleep") throw new Error();

// Vue
createApp({}).use(vue.sessionKeeper(keeper));
const refs = vue.useSession<User>();
const now: Snapshot<User> = refs.snapshot.value;
if (now.session === "signed-in") now.user.name.toUpperCase();
refs.user.value?.name.toUpperCase();
// @ts-expect-error: the snapshot is not the app's to change
refs.session.value = "signed-in";

// Svelte
const store = sessionStore(keeper);
store.subscribe((snapshot) => snapshot.user?.name)();
if (store.current.session === "signed-in") store.current.user.name.toUpperCase();
// @ts-expect-error: it is followed, not set
store.current = now;

// Solid
const session = solid.useSession(keeper);
session().user?.name.toUpperCase();
solid.KeeperProvider({ keeper, children: [] });
// @ts-expect-error: an accessor is called
session.user;

// Angular
provideSessionKeeper(keeper);
provideHttpClient(withInterceptors([keeperInterceptor(keeper)]));
new HttpContext().set(RETRY, true);
export const route = { path: "private", canActivate: [sessionGuard("/login")] };
injectSession<User>().user()?.name.toUpperCase();
// @ts-expect-error: an interceptor belongs to a keeper
withInterceptors([keeperInterceptor]);

// HTTP clients
const detach: () => void = attach(axios.create(), keeper);
void axios.post("/items", {}, { sessionKeeper: { retry: true } }).finally(detach);
void withKeeper(ky, keeper).get("https://api.example.com/items");
// @ts-expect-error: a client and its keeper, not the other way round
attach(keeper, axios.create());
// @ts-expect-error: retry is a yes or no
void axios.get("/items", { sessionKeeper: { retry: 3 } });

// TanStack Query
const end: () => void = attachQuery(new QueryClient(), keeper);
new QueryClient({ defaultOptions: { queries: { retry: retry(keeper) } } });
end();

// Next
const cookies = { get: (name: string) => ({ name, value: "x" }) };
export const proxy = requireCookie({ cookie: "sid" });
const answer: Response | undefined = proxy({ url: "https://app.example.com", cookies });
const user: User | undefined = await askUser<User>(cookies, {
  url: "https://api.example.com/auth/me",
  cookie: "sid",
});
export const known = [answer, user, hasSessionCookie(cookies, "sid")];
// @ts-expect-error: which cookie?
requireCookie({});

// The entry without the wasm
init(new URL("https://app.example.com/core.wasm"));
init(fetch("/core.wasm"));
const slim: SessionKeeper<User> = createSlim<User>();
export { slim };
// @ts-expect-error: which wasm?
init();

// A transport of the app's own
void keeper.fetch("/items", { transport: fetch });
// @ts-expect-error: it sends, and is no name of something
void keeper.fetch("/items", { transport: "xhr" });

function Fragment(): null {
  return null;
}
