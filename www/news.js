// What a visitor should hear without looking: wake-ups, their end, sign-outs. One sentence at a
// time in a `role="status"` region.
//
// Rule: "back" is said once, and only after something bad was said. Pings and countdowns are
// never said.

import { reasons } from "./words.js";

const badNews = {
  waking: "The server is waking up.",
  unreachable: "The server cannot be reached.",
  offline: "You are offline.",
};

/** Writes into `region`, which must have been in the page from the start. */
export function announce(keeper, region) {
  let server = "awake";
  keeper.addEventListener("server", ({ state }) => {
    if (state === server || state === "unknown") return;
    server = state;
    const sentence = state === "awake" ? "The server is back." : badNews[state];
    region.textContent = keeper.snapshot.signedIn ? `${sentence} You stay signed in.` : sentence;
    region.dataset.kind = state;
  });
  keeper.addEventListener("signout", ({ reason, fromOtherTab }) => {
    const where = fromOtherTab ? " in another tab" : "";
    region.textContent = `Signed out${where}: ${reasons[reason]}.`;
    region.dataset.kind = "signed-out";
  });
  keeper.addEventListener("signin", () => {
    // What was said of the session before is no longer true.
    if (region.dataset.kind === "signed-out") region.textContent = "";
  });
}
