// The demo page: shows what the keeper knows, and lets a visitor break the server under it.
//
// Rule: it uses the package's public face and nothing else of it. Nothing here decides whether
// somebody is signed in; no part takes the focus, and only the status line speaks up.

import { createKeeper } from "session-keeper";
import { watchFaults } from "./faults.js";
import { announce } from "./news.js";
import { showStates } from "./states.js";
import { watchTags } from "./tags.js";
import { watchTimeline } from "./timeline.js";
import { watchVisitor } from "./visitor.js";

const keeper = createKeeper({
  // The page and the README say these numbers too.
  health: { everyMs: 3_000, timeoutMs: 2_000 },
  verify: { everyMs: 15_000, timeoutMs: 2_000, retryDelayMs: 1_000 },
  signOut: { path: "/auth/logout" },
});

watchTimeline(keeper);
announce(keeper, document.querySelector("#news"));
showStates(keeper);
watchTags(keeper);
watchVisitor(keeper);
watchFaults();
await keeper.start();
