// `session-keeper/angular` and `session-keeper/angular-http` with Angular itself: an application
// with its injectors, its router and its HttpClient, without a component.

import assert from "node:assert/strict";
import { test } from "node:test";

import "@angular/compiler";
import {
  HttpBackend,
  HttpClient,
  HttpContext,
  HttpErrorResponse,
  HttpEventType,
  HttpHeaders,
  HttpResponse,
  provideHttpClient,
  withFetch,
  withInterceptors,
} from "@angular/common/http";
import { PLATFORM_ID, provideZonelessChangeDetection, runInInjectionContext } from "@angular/core";
import { createApplication } from "@angular/platform-browser";
import { provideRouter, UrlTree } from "@angular/router";
import { concat, firstValueFrom, Observable, of, throwError, toArray } from "rxjs";
import { injectSession, provideSessionKeeper, sessionGuard } from "session-keeper/angular";
import { keeperInterceptor, RETRY } from "session-keeper/angular-http";

import { API, json, until } from "../face.mjs";
import { countSubscribers, keep, keepOnServer, openDocument } from "./apps.mjs";

/** An application of Angular in a document, for a keeper. */
async function start(t, { token, html, answers = {}, backend, ...options } = {}) {
  const page = openDocument(t, html);
  Object.assign(page.api.answers, answers);
  const keeper = await keep(page, { token, ...options });
  const followers = countSubscribers(keeper);
  const app = await createApplication({
    providers: [
      provideZonelessChangeDetection(),
      provideRouter([]),
      provideSessionKeeper(keeper),
      provideHttpClient(withFetch(), withInterceptors([keeperInterceptor(keeper)])),
      ...(backend ? [{ provide: HttpBackend, useValue: backend }] : []),
    ],
  });
  page.atEnd(() => app.destroyed || app.destroy());
  const inject = (read) => runInInjectionContext(app.injector, read);
  return { ...page, keeper, app, inject, followers, http: app.injector.get(HttpClient) };
}

test("angular: one service for the app starts the keeper and tells by signals", async (t) => {
  const { keeper, app, inject, followers } = await start(t);
  const { session, signedIn, user, server, snapshot, signIn, signOut, lastSignOut } =
    inject(injectSession);
  assert.equal(inject(injectSession).snapshot, snapshot);
  await until(() => session() === "signed-out");
  assert.equal(signedIn(), false);
  await signIn({ token: "good", user: { name: "bob" } });
  assert.deepEqual(user(), { name: "bob" });
  await until(() => session() === "signed-in" && server() === "awake");
  assert.deepEqual(user(), { name: "ada" });
  assert.equal(snapshot(), keeper.snapshot);
  await signOut();
  assert.deepEqual([signedIn(), lastSignOut().reason], [false, "user"]);
  assert.equal(followers(), 1);
  app.destroy();
  assert.equal(followers(), 0);
});

test("angular: on a server's markup it begins with restoring", async (t) => {
  const html = '<app-root ng-server-context="ssr">restoring</app-root>';
  const { keeper, app, inject } = await start(t, { html, token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const { session } = inject(injectSession);
  assert.equal(session(), "restoring");
  app.tick();
  assert.equal(session(), "signed-in");
});

test("angular: without a server's markup it begins with what is known", async (t) => {
  const { keeper, inject } = await start(t, { token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  assert.equal(inject(injectSession).session(), "signed-in");
});

test("angular: the guard leads to the login where nobody is signed in, with the way back", async (t) => {
  const { keeper, inject } = await start(t);
  const guard = () => inject(() => sessionGuard("/login")({}, { url: "/private?page=2" }));
  const led = await guard();
  assert.ok(led instanceof UrlTree);
  assert.equal(String(led), "/login?returnUrl=%2Fprivate%3Fpage%3D2");
  await keeper.signIn("good");
  assert.equal(await guard(), true);
});

test("angular: a keeper that knows nothing, as on a server, lets the route be", async (t) => {
  const keeper = await keepOnServer();
  const { app } = await start(t);
  const { createEnvironmentInjector } = await import("@angular/core");
  const server = createEnvironmentInjector(
    [provideSessionKeeper(keeper), { provide: PLATFORM_ID, useValue: "server" }],
    app.injector,
  );
  const passes = runInInjectionContext(server, () => sessionGuard()({}, { url: "/private" }));
  assert.equal(await passes, true);
});

const guarded = (api, answer) => (asked) =>
  asked.token === `Bearer ${api.good}` ? answer(asked) : json(401, { detail: "no" });

test("angular: HttpClient's requests carry the credential, to the API alone", async (t) => {
  const { http, api } = await start(t, { token: "good" });
  api.answers["/items"] = ({ token }) => json(200, { token });
  const ask = (url) => firstValueFrom(http.get(url, { params: { page: 2 } }));
  assert.deepEqual(await ask(`${API}/items`), { token: "Bearer good" });
  assert.deepEqual(await ask("/items"), { token: "Bearer good" });
  assert.deepEqual(await ask("https://elsewhere.example/items"), { token: null });
  const urls = api.at("/items").map(({ request }) => request.url);
  const elsewhere = "https://elsewhere.example/items?page=2";
  assert.deepEqual(urls, [`${API}/items?page=2`, `${API}/items?page=2`, elsewhere]);
});

test("angular: a POST whose token has run out is sent once more with the refreshed one", async (t) => {
  const { http, api, keeper } = await start(t, {
    token: { token: "good", refreshToken: "r1" },
    refresh: { path: "/auth/refresh" },
  });
  await until(() => keeper.snapshot.session === "signed-in");
  api.answers["/items"] = guarded(api, async ({ request }) => json(201, await request.json()));
  api.answers["/auth/refresh"] = () => json(200, { access_token: "newer", refresh_token: "r2" });
  api.good = "newer";
  const made = await firstValueFrom(http.post(`${API}/items`, { name: "one" }));
  assert.deepEqual(made, { name: "one" });
  const tokens = api.at("/items").map(({ token }) => token);
  assert.deepEqual(tokens, ["Bearer good", "Bearer newer"]);
  assert.equal(keeper.snapshot.session, "signed-in");
});

test("angular: a 401 is handed out as HttpClient's own error when the session is over", async (t) => {
  const { http, api, keeper } = await start(t, { token: "good", confirm: "immediate" });
  await until(() => keeper.snapshot.session === "signed-in");
  api.answers["/items"] = guarded(api, () => json(200, []));
  let wasOver = false;
  keeper.addEventListener("signout", () => (wasOver = true));
  api.good = "revoked";
  const error = await firstValueFrom(http.get(`${API}/items`)).catch((error) => error);
  assert.ok(error instanceof HttpErrorResponse);
  assert.deepEqual([error.status, error.error, wasOver], [401, { detail: "no" }, true]);
});

/** A backend like XMLHttpRequest's, which answers from a list. */
function backendOf(...answers) {
  const seen = [];
  return { seen, handle: (request) => (seen.push(request), answers.shift()) };
}

const failed = (status) => throwError(() => new HttpErrorResponse({ status, url: API }));
const fine = (body) => of(new HttpResponse({ status: 200, body, url: API }));

test("angular: the app's backend goes on to send, and its progress goes through", async (t) => {
  const progress = { type: HttpEventType.UploadProgress, loaded: 1, total: 2 };
  const backend = backendOf(concat(of({ type: HttpEventType.Sent }, progress), fine("made")));
  const { http, keeper } = await start(t, { backend, token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const options = { observe: "events", reportProgress: true, headers: { "X-A": "1" } };
  const events = await firstValueFrom(http.post("/items", {}, options).pipe(toArray()));
  const kinds = [HttpEventType.Sent, HttpEventType.UploadProgress, HttpEventType.Response];
  assert.deepEqual(
    events.map(({ type }) => type),
    kinds,
  );
  const { headers } = backend.seen[0];
  assert.deepEqual([headers.get("Authorization"), headers.get("X-A")], ["Bearer good", "1"]);
});

for (const [name, ask] of [
  ["a read", (http) => http.get("/items")],
  [
    "a POST whose context says RETRY",
    (http) => http.post("/items", {}, { context: new HttpContext().set(RETRY, true) }),
  ],
]) {
  test(`angular: in an outage ${name} is sent again`, async (t) => {
    const backend = backendOf(failed(503), fine("done"));
    const { http, keeper } = await start(t, { backend, token: "good" });
    await until(() => keeper.snapshot.session === "signed-in");
    assert.equal(await firstValueFrom(ask(http)), "done");
  });
}

test("angular: in an outage any other POST is sent once", async (t) => {
  const backend = backendOf(failed(503));
  const { http, keeper } = await start(t, { backend, token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const error = await firstValueFrom(http.post("/items", {})).catch((error) => error);
  assert.deepEqual([error.status, backend.seen.length], [503, 1]);
});

test("angular: a network error is HttpClient's own, and a request of a gone screen is aborted", async (t) => {
  let aborted = 0;
  const never = new Observable(() => () => aborted++);
  const backend = backendOf(failed(0), never);
  const { http, keeper } = await start(t, { backend, token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const error = await firstValueFrom(http.post("/items", {})).catch((error) => error);
  assert.ok(error instanceof HttpErrorResponse);
  assert.equal(error.status, 0);
  const screen = http.get("/items").subscribe({ error: () => assert.fail("it was left") });
  await until(() => backend.seen.length === 2);
  screen.unsubscribe();
  await until(() => aborted === 1);
});

test("angular: a credential of the app's own is left as it is", async (t) => {
  const backend = backendOf(fine("read"));
  const { http, keeper } = await start(t, { backend, token: "good" });
  await until(() => keeper.snapshot.session === "signed-in");
  const headers = new HttpHeaders({ Authorization: "Basic eDp5" });
  await firstValueFrom(http.get("/items", { headers }));
  assert.equal(backend.seen[0].headers.get("Authorization"), "Basic eDp5");
});
