// Signing in, signing out, and why it ended.
//
// Rule: the keeper says who is signed in; this only shows it. The focus stays where it is, unless
// its place is gone: then it goes to the section's heading.

import { reasons, rules, short, timeOfDay } from "./words.js";

const form = document.querySelector("#sign-in");
const session = document.querySelector("#signed-in");
const outcome = document.querySelector("#sign-in-outcome");

/** Keeps the section "You" true. */
export function watchVisitor(keeper) {
  const show = (snapshot) => {
    setHidden(form, snapshot.signedIn !== false);
    setHidden(session, !snapshot.signedIn);
    const name = snapshot.user?.username;
    document.querySelector("#user").textContent = name ? ` as ${name}` : "";
    showReason(snapshot.signOut);
  };
  keeper.subscribe(show);
  show(keeper.snapshot);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void signIn(keeper);
  });
  document.querySelector("#sign-out").addEventListener("click", () => void keeper.signOut());
}

async function signIn(keeper) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  outcome.textContent = "";
  try {
    const response = await keeper.fetch("/auth/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
      retry: true,
    });
    const answer = await response.json();
    if (response.ok) await keeper.signIn(answer);
    else outcome.textContent = `Not signed in: ${answer.message}.`;
  } catch {
    outcome.textContent = "Not signed in: the server did not answer. Try again when it is back.";
  } finally {
    form.ariaBusy = "false";
  }
}

function showReason(signOut) {
  const place = document.querySelector("#why");
  place.hidden = !signOut;
  if (!signOut) return;
  const { reason, at, fromOtherTab, evidence } = signOut;
  const where = fromOtherTab ? ", in another tab" : "";
  const rule = rules[evidence.rule] ?? "";
  const { chance } = evidence;
  const odds = chance ? ` That happens to a good session once in ${inverse(chance)}.` : "";
  document.querySelector("#why-sentence").textContent =
    `${timeOfDay(at)}${where}: ${reasons[reason]} (reason: ${reason}). ${rule}${odds}`;
  document.querySelector("#evidence").hidden = evidence.refusals.length === 0;
  document.querySelector("#refusals").replaceChildren(...evidence.refusals.map(row));
}

const inverse = (chance) => Math.round(1 / chance).toLocaleString();

function row({ at, status, grade, instance = "–", boot = "–" }) {
  const line = document.createElement("tr");
  for (const value of [timeOfDay(at), status, grade, short(instance), short(boot)]) {
    line.insertCell().textContent = value;
  }
  return line;
}

function setHidden(part, hidden) {
  if (part.hidden === hidden) return;
  const held = part.contains(document.activeElement);
  part.hidden = hidden;
  if (hidden && held) document.querySelector("#you").focus();
}
