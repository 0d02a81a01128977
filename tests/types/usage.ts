// What a user of TypeScript writes, and what the declarations must refuse.

import { createKeeper, KeeperError } from "session-keeper";
import type {
  Acquire,
  DebugView,
  Evidence,
  HistoryEntry,
  KeeperErrorCode,
  KeeperOptions,
  Refresh,
  RefreshEvent,
  ServerState,
  SignedOut,
  SignOutReason,
  Snapshot,
  StorageAdapter,
  Unconfirmed,
} from "session-keeper";

interface User {
  username: string;
}

const keeper = createKeeper<User>({ baseUrl: "https://api.example.com/v1", auth: "bearer" });

keeper.addEventListener("signout", (event) => {
  const reason: SignOutReason = event.reason;
  const evidence: Evidence = event.evidence;
  location.assign(`/login?why=${reason}&refusals=${evidence.refusals.length}`);
});
keeper.addEventListener("server", { handleEvent: ({ state }) => show(state) });
keeper.addEventListener("change", ({ snapshot }) => show(snapshot.server), { once: true });
keeper.addEventListener("forbidden", async ({ status }) => show(status));
keeper.addEventListener("log", function ({ entry }) {
  show(this.snapshot.session, entry.text, entry["ms"]);
});

const { subscribe, signIn, signOut, verify, authHeaders, reportResponse } = keeper;
const stop: () => void = subscribe((snapshot: Snapshot<User>) => {
  const name: string | undefined = snapshot.user?.username;
  document.title = name ?? "signed out";
});

export function greet(snapshot: Snapshot<User>): string {
  switch (snapshot.session) {
    case "signed-in":
      return snapshot.user.username;
    case "unverified":
    case "suspect":
      return snapshot.user?.username ?? "you";
    case "signed-out":
      return `signed out: ${snapshot.signOut?.reason}, ${snapshot.signedIn satisfies false}`;
    case "restoring":
      return `please wait ${snapshot.user satisfies undefined}`;
  }
}

await keeper.start();
await keeper.signIn("a");
await keeper.signIn({ token: "a", expiresAt: new Date(0), refreshToken: "b" });
await keeper.signIn({ access_token: "a", token_type: "Bearer", expires_in: 3600 });
await keeper.signIn({ user: { username: "ada" } });
await signIn();
await signIn({ access_token: "a", expires_in: "3599", refresh_token: null, user: null });
await signIn({ accessToken: "a", expiresIn: null, refreshToken: undefined });
await signIn({ access: "a", refresh: "b" });
await signIn({ key: "a", expiry: "2030-01-02T03:04:05Z" });
await signIn({ token: "a", expires_at: 1_900_000_000 });
const signedIn: boolean | undefined = (await verify()).signedIn;
await signOut();
const answer: Response = await keeper.fetch("/api/nodes", { method: "POST", retry: true });
const headers: HeadersInit = authHeaders(new URL("https://api.example.com"));
reportResponse({ url: "https://api.example.com", status: 401 });
reportResponse(answer);
const view: DebugView = keeper.debug();
const entries: HistoryEntry[] = keeper.history();
const { renew, getToken } = keeper;
const renewed: Snapshot<User> = await renew(answer.headers.get("X-Token") ?? "");
await keeper.renew({ access_token: "a", expires_in: 60, refresh_token: "b" });
const token: string | undefined = await getToken({ minValidMs: 60_000 });
await keeper.getToken();
const dueIn: number | null = view.next_refresh_in;
keeper.addEventListener("refresh", (event: RefreshEvent) => show(event.type, keeper.snapshot));
stop();
keeper.stop();

const memory = new Map<string, string>();
const adapter: StorageAdapter = {
  get: async (key) => memory.get(key),
  set: (key, value) => void memory.set(key, value),
  remove: (key) => void memory.delete(key),
};
const options: KeeperOptions = { persist: adapter, verify: { classify: () => "rejected" } };
const wake: "ping" | "pause" | "always" = "ping";
createKeeper(options);
createKeeper();
createKeeper({ health: { everyMs: 250, whenHidden: wake }, confirm: "immediate" });
createKeeper({ health: false, persist: "session", log: (entry) => show(entry.text) });
createKeeper({ auth: (request) => request, fetch: { origins: ["https://files.example.com"] } });
createKeeper({ health: { credentials: "omit", path: "https://status.example.com/" } });
// A value that may be missing is passed on as it is, also with `exactOptionalPropertyTypes`.
const maybe: string | undefined = document.documentElement.dataset["api"];
createKeeper({ baseUrl: maybe, name: maybe, verify: { path: maybe, classify: undefined } });
createKeeper({ refresh: { path: "/auth/refresh", marginMs: 60_000 } });
createKeeper({ refresh: { path: "/token", format: "oauth", clientId: maybe }, acquire: undefined });
const refresh: Refresh = async ({ refreshToken, attempt, signal }) => {
  const current: string | undefined = refreshToken;
  const body = JSON.stringify({ current, attempt: attempt.length });
  return fetch("/token", { method: "POST", body, signal: signal ?? null });
};
const acquire: Acquire = async ({ signal }) => {
  const response = await fetch("/device/token", { method: "POST", signal: signal ?? null });
  return response.status === 404 ? null : response;
};
createKeeper({ refresh, acquire });
createKeeper({ refresh: () => "a", acquire: () => ({ access: "a", refresh: "b" }) });
createKeeper({ refresh: () => null, acquire: () => ({ token: "a", expiresAt: 1, user: 1 }) });
createKeeper({ refresh: async () => ({ access_token: "a", expires_in: "60" }) });
createKeeper({ auth: "cookie", refresh: () => ({}), acquire: async () => ({ user: null }) });
createKeeper({ auth: "cookie", csrf: { cookie: "csrftoken", header: "X-CSRFToken" } });
createKeeper({ auth: "cookie", csrf: { header: "X-CSRF-Token" } });

export function isOption(error: unknown): string | undefined {
  if (!(error instanceof KeeperError)) return undefined;
  const code: KeeperErrorCode = error.code;
  return code === "invalid-option" ? error.option : undefined;
}

// @ts-expect-error: a number is no address
createKeeper({ baseUrl: 3 });
// @ts-expect-error: no such option
createKeeper({ basePath: "/v1" });
// @ts-expect-error: no such option in a section
createKeeper({ health: { every: 30_000 } });
// @ts-expect-error: no such place
createKeeper({ persist: "indexeddb" });
// @ts-expect-error: half of it is of no use
createKeeper({ csrf: { cookie: "csrftoken" } });
// @ts-expect-error: an answer is classified by a word
createKeeper({ verify: { classify: () => true } });
// @ts-expect-error: a path alone says too little about what else there may be
createKeeper({ refresh: "/auth/refresh" });
// @ts-expect-error: nowhere to send it
createKeeper({ refresh: { format: "oauth" } });
// @ts-expect-error: no such format
createKeeper({ refresh: { path: "/token", format: "form" } });
// @ts-expect-error: nothing is no answer
createKeeper({ refresh: () => {} });
// @ts-expect-error: there is nothing to refresh when a token is acquired
createKeeper({ acquire: ({ refreshToken }) => refreshToken });
// @ts-expect-error: only the app knows how
createKeeper({ acquire: { path: "/device/token" } });
// @ts-expect-error: a token is told to nobody by an event
keeper.addEventListener("refresh", (event) => show(event.token));
// @ts-expect-error: there may be none
const always: string = await keeper.getToken();
// @ts-expect-error: a token is a string
void keeper.renew(7);
// @ts-expect-error: no such event
keeper.addEventListener("logout", () => {});
// @ts-expect-error: a change has no reason
keeper.addEventListener("change", (event) => show(event.reason));
// @ts-expect-error: the snapshot is not the app's to change
keeper.snapshot.signedIn = false;
// @ts-expect-error: a user who is signed out has no name
export const nobody: string = (keeper.snapshot as SignedOut).user.username;
// @ts-expect-error: who is not verified yet may be nobody that is known
export const perhaps: User = (keeper.snapshot as Unconfirmed<User>).user;
// @ts-expect-error: it may be unknown
const certain: boolean = createKeeper().snapshot.signedIn;
// @ts-expect-error: a token is a string
void keeper.signIn(7);
// @ts-expect-error: this user has no name of that spelling
void keeper.signIn({ token: "a", user: { name: "ada" } });
// @ts-expect-error: no server is asleep; it is waking or unreachable
const state: ServerState = "asleep";

function show(...what: unknown[]): void {
  document.title = what.join(" ");
}

export { always, answer, certain, dueIn, entries, headers, renewed, signedIn, state, token, view };
