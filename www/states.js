// Both axes of state, in words and shapes, and the countdowns.
//
// Rule: colour says nothing that a word and a shape do not say too. The countdowns tick, so they
// are hidden from screen readers.

const meanings = {
  unknown: "Nothing has been heard of it yet.",
  awake: "It answers as it should.",
  waking: "It does not answer as it should yet. Nobody is signed out for that.",
  unreachable: "It has been silent for long. Nobody is signed out for that.",
  offline: "This browser has no network. Nobody is signed out for that.",
  restoring: "Looking for a session of an earlier visit.",
  "signed-out": "There is no session.",
  unverified: "There is a session; the server has not confirmed it yet.",
  "signed-in": "The server confirmed the session.",
  suspect: "The server rejected the session. Making sure before you are signed out.",
};

/** Keeps the first section of the page true. */
export function showStates(keeper) {
  const show = ({ server, session, failure }) => {
    showState("server", server);
    showState("session", session);
    if (failure) setText("#session-meaning", failure.message);
  };
  keeper.subscribe(show);
  show(keeper.snapshot);
  setInterval(() => {
    const { next_ping_in: ping, next_verification_in: check } = keeper.debug();
    setText("#next-ping", countdown(ping) ?? "when this one is answered");
    setText("#next-check", countdown(check) ?? "when there is a session to check");
  }, 250);
}

function showState(axis, state) {
  const place = document.querySelector(`#${axis}`);
  place.dataset.state = state;
  place.querySelector("strong").textContent = state.replace("-", " ");
  setText(`#${axis}-meaning`, meanings[state]);
}

function countdown(seconds) {
  if (seconds === null) return undefined;
  return seconds > 0 ? `in ${seconds} s` : "now";
}

function setText(selector, text) {
  const place = document.querySelector(selector);
  if (place.textContent !== text) place.textContent = text;
}
