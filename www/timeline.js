// What the keeper did and why, newest first, and the same as a file.
//
// Rule: shows the keeper's own entries, which hold no token, no body and no user; adds nothing.

import * as sessionKeeper from "session-keeper";
import { short, timeOfDay } from "./words.js";

/** Of pings and of the rest, so that a night of pings leaves the rest to be seen. */
const MOST = 200;
const marks = { debug: "·", info: "•", warn: "▲", error: "✖" };
const list = document.querySelector("#timeline");

/** Follows the keeper from its first entry on. */
export function watchTimeline(keeper) {
  keeper.history().forEach(add);
  keeper.addEventListener("log", (event) => add(event.entry));
  document.querySelector("#show-pings").addEventListener("change", (event) => {
    list.classList.toggle("with-pings", event.target.checked);
  });
  document.querySelector("#export").addEventListener("click", () => save(keeper));
}

function add(entry) {
  const { at, code, level, text, ...details } = entry;
  const item = document.createElement("li");
  item.dataset.level = level;
  item.dataset.code = code;
  // Each request is a debug entry; what it led to has one of its own.
  const isPing = level === "debug" || details.probe === "health";
  item.classList.toggle("ping", isPing);
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = timeOfDay(at);
  item.append(
    time,
    part("mark", marks[level]),
    part("text", headline(text, details)),
    part("details", inWords(details)),
  );
  item.querySelector(".mark").ariaHidden = "true";
  list.prepend(item);
  const alike = list.querySelectorAll(isPing ? ":scope > .ping" : ":scope > :not(.ping)");
  if (alike.length > MOST) alike[alike.length - 1].remove();
}

/** Without the details that an entry without a sentence of its own spells: they stand below. */
function headline(text, details) {
  const spelled = Object.entries(details).map((pair) => pair.join(" "));
  const tail = `: ${spelled.join(", ")}`;
  return text.endsWith(tail) ? text.slice(0, -tail.length) : text;
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function inWords(details) {
  const words = [];
  for (const [name, value] of Object.entries(details)) {
    if (value === undefined) continue;
    // The file has the whole names.
    const shown = name === "boot" || name === "instance" ? short(value) : value;
    words.push(`${name} ${shown}`);
  }
  return words.join(" · ");
}

/** With everything that the core was told, for `cargo xtask replay`. */
function save(keeper) {
  const content = { savedAt: Date.now(), debug: keeper.debug(), history: keeper.history() };
  // The package as it is published has no traces. As text: a script would round the seed.
  const trace = sessionKeeper.trace?.();
  const text = JSON.stringify(content, null, 2);
  const whole = trace ? text.replace(/\n\}$/, () => `,\n  "trace": ${trace}\n}`) : text;
  const file = new Blob([whole], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `session-keeper-history-${new Date().toISOString().replaceAll(":", "-")}.json`;
  link.click();
  // The browser reads the file after this turn.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
