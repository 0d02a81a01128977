// What a user of TypeScript writes, and what the declarations must refuse.

import { createKeeper, KeeperError } from "session-keeper";
import type {
  DebugView,
  Evidence,
  HistoryEntry,
  KeeperErrorCode,
  KeeperOptions,
  ServerState,
  SignOutReason,
  Snapshot,
  StorageAdapter,
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

const { subscribe } = keeper;
const stop: () => void = subscribe((snapshot: Snapshot<User>) => {
  const name: string | undefined = snapshot.user?.username;
  document.title = name ?? "signed out";
});

await keeper.start();
await keeper.signIn("a");
await keeper.signIn({ token: "a", expiresAt: new Date(0), refreshToken: "b" });
await keeper.signIn({ access_token: "a", token_type: "Bearer", expires_in: 3600 });
await keeper.signIn({ user: { username: "ada" } });
const signedIn: boolean | undefined = (await keeper.verify()).signedIn;
const answer: Response = await keeper.fetch("/api/nodes", { method: "POST", repeat: true });
const headers: HeadersInit = keeper.headers(new URL("https://api.example.com"));
keeper.report({ url: "https://api.example.com", status: 401 });
const view: DebugView = keeper.debug();
const entries: HistoryEntry[] = keeper.history();
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
createKeeper({ auth: "cookie", csrf: { cookie: "csrftoken", header: "X-CSRFToken" } });

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
// @ts-expect-error: no such event
keeper.addEventListener("logout", () => {});
// @ts-expect-error: a change has no reason
keeper.addEventListener("change", (event) => show(event.reason));
// @ts-expect-error: the snapshot is not the app's to change
keeper.snapshot.signedIn = false;
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

export { answer, certain, entries, headers, signedIn, state, view };
