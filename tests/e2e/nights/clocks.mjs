// Clocks for a page, put in place before its scripts run. Every function here runs in the page.
//
// Rule: they replace what a page can read of time and nothing else; the network stays real.

/**
 * A wall clock that can be set, also over a reload, and a machine that can sleep: then the wall
 * clock goes on and the monotonic one does not, as in Chromium on most systems.
 */
export function movableClock() {
  const OFF = "night-clock-off";
  const RealDate = Date;
  const realNow = performance.now.bind(performance);
  let stoodStill = 0;
  const wall = () => RealDate.now() + Number(sessionStorage.getItem(OFF));
  window.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length > 0 ? given : [wall()]));
    }
    static now() {
      return wall();
    }
  };
  performance.now = () => realNow() - stoodStill;
  const set = (by) => sessionStorage.setItem(OFF, Number(sessionStorage.getItem(OFF)) + by);
  window.clock = {
    set,
    /** Stands still until `gate` answers; by the wall clock that took `ms`. */
    sleep(gate, ms) {
      const began = realNow();
      const request = new XMLHttpRequest();
      request.open("GET", gate, false);
      request.send();
      const took = realNow() - began;
      stoodStill += took;
      // A clock of a browser counts whole milliseconds.
      set(Math.round(ms - took));
    },
  };
}

/**
 * Time that passes only by `window.time.pass(ms)`, from one timer to the next, and only while no
 * request is under way: to the page the network takes no time at all.
 */
export function virtualTime() {
  const RealDate = Date;
  const realTimeout = setTimeout;
  const began = RealDate.now();
  let now = 0;
  let lastId = 0;
  let underWay = 0;
  const timers = new Map();

  window.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length > 0 ? given : [began + now]));
    }
    static now() {
      return began + now;
    }
  };
  performance.now = () => now;
  window.setTimeout = (run, wait = 0, ...given) => {
    lastId += 1;
    timers.set(lastId, { at: now + Math.max(0, Number(wait)), run: () => run(...given) });
    return lastId;
  };
  window.clearTimeout = (id) => void timers.delete(id);

  const counted = async (promise) => {
    underWay += 1;
    try {
      return await promise;
    } finally {
      underWay -= 1;
    }
  };
  const { fetch } = window;
  window.fetch = (...given) => counted(fetch(...given));
  // The server's clock goes with the page's: an answer whose date stands still is a stored one.
  const { get } = Headers.prototype;
  Headers.prototype.get = function (name) {
    const value = get.call(this, name);
    if (name.toLowerCase() !== "date" || value === null) return value;
    const ahead = began + now - RealDate.now();
    return new RealDate(RealDate.parse(value) + ahead).toUTCString();
  };
  const { text } = Response.prototype;
  Response.prototype.text = function () {
    return counted(text.call(this));
  };

  const quiet = async () => {
    do await new Promise((resolve) => realTimeout(resolve, 1));
    while (underWay > 0);
  };
  const next = () => [...timers].sort(([, one], [, other]) => one.at - other.at)[0];
  window.time = {
    passed: () => now,
    /** Returns when no request is under way any more. */
    async pass(ms) {
      const end = now + ms;
      await quiet();
      for (let due = next(); due?.[1].at <= end; due = next()) {
        const [id, { at, run }] = due;
        timers.delete(id);
        now = Math.max(now, at);
        run();
        await quiet();
      }
      now = end;
    },
  };
}
