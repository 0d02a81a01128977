// The buttons that break the server, through the front door's control.
//
// Rule: knows nothing of the keeper, which must find out by itself.

const secret = document.querySelector("meta[name=platform-secret]").content;
const outcome = document.querySelector("#fault-outcome");
const settings = document.querySelector("#settings");

const done = {
  sleep: "The server sleeps.",
  stop: "The server is down until you press Wake.",
  wake: "The server was told to wake up.",
  restart: "The server restarted.",
  kill: "The server was killed.",
  "restart-losing-tokens": "The server restarted without its tokens.",
  revoke: "All sessions are revoked. The next check of the session meets it.",
  configure: "Applied.",
};

/** Makes the buttons work and shows the state of the server's process. */
export function watchFaults() {
  document.querySelector("#faults").addEventListener("click", (event) => {
    const { action } = event.target.closest("button")?.dataset ?? {};
    if (action) void order({ action });
  });
  settings.addEventListener("submit", (event) => {
    event.preventDefault();
    const { whileWaking, wakeSeconds } = settings.elements;
    const wakeMs = Math.round(wakeSeconds.valueAsNumber * 1_000);
    void order({ action: "configure", whileWaking: whileWaking.value, wakeMs });
  });
  void ask("state").then(showSettings, () => {});
  setInterval(() => {
    if (!document.hidden) void ask("state").then(showProcess, showSilence);
  }, 1_000);
}

async function order(body) {
  try {
    showProcess(await ask("do", { method: "POST", body: JSON.stringify(body) }));
    outcome.textContent = done[body.action];
  } catch (error) {
    outcome.textContent = `Not done: ${error.message}.`;
  }
}

async function ask(resource, init = {}) {
  const headers = { "X-Platform-Secret": secret };
  const response = await fetch(`/__platform/${resource}`, { ...init, headers });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function showSettings(state) {
  settings.elements.whileWaking.value = state.whileWaking;
  settings.elements.wakeSeconds.value = state.wakeMs / 1_000;
  showProcess(state);
}

function showProcess({ state, pid, starts, sinceMs }) {
  const since = Math.max(0, Math.round((Date.now() - sinceMs) / 1_000));
  const which = pid === null ? "" : `, process ${pid}, start number ${starts}`;
  showBackend(`The server’s process: ${state} for ${since} s${which}.`);
}

function showSilence() {
  showBackend("The front door does not answer. Is the demo still running in its terminal?");
}

function showBackend(sentence) {
  document.querySelector("#backend").textContent = sentence;
}
