import { createKeeper } from "session-keeper";

export const keeper = createKeeper({
  refresh: { path: "/auth/refresh" },
  signOut: { path: "/auth/logout" },
});
