// What a user of TypeScript writes, and what the declarations must refuse.

import { createKeeper, KeeperError } from "session-keeper";
import type { SignOutReason, Snapshot } from "session-keeper";

interface User {
  username: string;
}

const keeper = createKeeper<User>({ baseUrl: "https://api.example.com/v1", auth: "bearer" });

keeper.addEventListener("signout", (event) => {
  const reason: SignOutReason = event.reason;
  location.assign(`/login?why=${reason}`);
});
const stop: () => void = keeper.subscribe((snapshot: Snapshot<User>) => {
  const name: string | undefined = snapshot.user?.username;
  document.title = name ?? "signed out";
});
await keeper.start();
await keeper.signIn({ access_token: "a", token_type: "Bearer", expires_in: 3600 });
const answer: Response = await keeper.fetch("/api/nodes");
const wake: "ping" | "pause" | "always" = "ping";
createKeeper({ health: { everyMs: 250, whenHidden: wake }, confirm: "immediate" });
createKeeper({ health: false, persist: "session", log: (entry) => console.log(entry.text) });
stop();

export function isOption(error: unknown): string | undefined {
  return error instanceof KeeperError ? error.option : undefined;
}

// @ts-expect-error: a number is no address
createKeeper({ baseUrl: 3 });
// @ts-expect-error: no such option
createKeeper({ basePath: "/v1" });
// @ts-expect-error: no such event
keeper.addEventListener("logout", () => {});
// @ts-expect-error: the snapshot is not the app's to change
keeper.snapshot.signedIn = false;

export { answer };
