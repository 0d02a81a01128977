// The sentences that more than one part of the page says.

/** Why a session ended, after a colon. */
export const reasons = {
  rejected: "the server rejected the session",
  expired: "the session had run out",
  user: "as you asked",
  idle: "nobody was here for too long",
  age: "the session was too old",
};

/** By which rule the rejections were believed. */
export const rules = {
  instances: "Every instance of the server rejected it twice, 6 s apart.",
  chance: "Refused too often for a token that is still good.",
  limit: "Refused until the time limit was reached.",
  immediate: "The first rejection was enough, as this app asked for.",
  expired: "The session had run out and was rejected twice.",
};

/** A time of day, to the second. */
export function timeOfDay(at) {
  return new Date(at).toLocaleTimeString([], { hour12: false });
}

/** Enough of a name that the server gave itself to tell it from another. */
export function short(name) {
  return name.length > 8 ? `${name.slice(0, 8)}…` : name;
}
