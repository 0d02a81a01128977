// A page that is opened before anybody looks at it. A test cannot ask it anything until then, so
// it leaves word in the storage of its origin.
//
// Rule: starts its keeper at once, as an app does that knows nothing of prerendering.

import "/keeper.js";

const WORD = "night-prerendered";
/** Enough for several pings and verifications at the intervals of the tests. */
const TICKS = 25;

window.keepSession();
const { session, signedIn } = await window.keeper.start();
// Shows that a page which is being prerendered can send: its keeper could too.
const { status } = await fetch("/api/tags");
while (document.prerendering && window.lived.ticks.length < TICKS) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const { server } = window.keeper.snapshot;
const { prerendering } = document;
localStorage.setItem(WORD, JSON.stringify({ session, signedIn, status, server, prerendering }));
