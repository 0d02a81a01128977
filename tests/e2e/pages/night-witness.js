// What a page lives through, written down by the page itself, before its other scripts run.
//
// Rule: only looks. A timer that ticks shows whether the page's timers run at all, and how often.

(() => {
  const TICK_MS = 100;
  const lived = { wasPrerendering: !!document.prerendering, events: [], ticks: [], listensTo: [] };
  window.lived = lived;

  const seen = ({ type, persisted }) => {
    const { visibilityState } = document;
    lived.events.push({
      type,
      persisted,
      visibilityState,
      ticks: lived.ticks.length,
      at: Date.now(),
    });
  };
  for (const type of ["pagehide", "pageshow"]) window.addEventListener(type, seen);
  for (const type of ["freeze", "resume", "visibilitychange", "prerenderingchange"]) {
    document.addEventListener(type, seen);
  }
  setInterval(() => lived.ticks.push(performance.now()), TICK_MS);

  const { addEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    lived.listensTo.push(type);
    return addEventListener.call(this, type, ...rest);
  };
})();
