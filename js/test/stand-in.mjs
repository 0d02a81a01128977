// Stands in for the generated glue and bytes: a core that the test plays.

import table from "../src/events.json";

export const hex = "";

export function initSync() {
  if (globalThis.refuseWasm) throw globalThis.refuseWasm;
}

export default async function init() {
  globalThis.asyncBoots = (globalThis.asyncBoots ?? 0) + 1;
  if (globalThis.refuseWasmLater) throw globalThis.refuseWasmLater;
}

export function on_panic(report) {
  globalThis.reportPanic = report;
}

const placeOf = (code) => table.events.findIndex((row) => row.split(" ")[0] === code);

export class Core {
  calls = [];
  reports = [];
  generation = 0;
  asksFirst = false;
  now = { session: "restoring", server: "unknown" };
  restored = { session: "signed-out", signedIn: false };
  token = undefined;
  trap = false;

  constructor(options, notify) {
    Object.assign(this, { options, notify });
    globalThis.fakeCores.push(this);
  }

  /** Something changed. */
  change(facts) {
    Object.assign(this.now, facts);
    this.notify("change", {});
  }

  /** An event of this code happened, whose details are these numbers. */
  log(code, ...details) {
    this.notify("log", { at: 1, n: [placeOf(code), ...details] });
  }

  start() {
    this.#take("start");
    this.notify("restored", {});
    if (this.restored) this.change(this.restored);
  }

  stop() {
    this.#take("stop");
    this.notify("settled", {});
  }

  sign_in(record, user, expiresAt) {
    this.#take("sign_in");
    this.token = record.token;
    this.generation++;
    this.record = record;
    Object.assign(this.now, { user, expiresAt: expiresAt >= 0 ? expiresAt : undefined });
    this.notify("signin", { fromOtherTab: false });
    this.change({ session: "unverified", signedIn: true });
  }

  sign_out() {
    this.#take("sign_out");
    this.token = undefined;
    this.generation = 0;
    const signOut = { reason: "user", at: 5, fromOtherTab: false, evidence: { refusals: [] } };
    Object.assign(this.now, { session: "signed-out", signedIn: false, signOut });
    this.notify("signout", { ...signOut });
    this.change({});
    this.#take("sign_out is done");
  }

  verify() {
    this.#take("verify");
  }

  /** Traps where a step was cut off. */
  check() {
    this.#take("check");
  }

  report(status) {
    this.#take(`report ${status}`);
  }

  app_proof() {
    this.#take("app_proof");
  }

  admit() {
    return this.asksFirst ? -1 - this.generation : this.generation;
  }

  /** What happened to a request of the app, with what decides on it. */
  report_request(id, event, kind, resource, sentWith, decide) {
    if (this.trap) throw new WebAssembly.RuntimeError("unreachable");
    this.reports.push({ id, event, kind, resource, sentWith, decide });
  }

  credential() {
    this.#take("credential");
    return this.token && `${this.options.scheme} ${this.token}`;
  }

  snapshot() {
    this.#take("snapshot");
    return { ...this.now, signOut: this.now.signOut && { ...this.now.signOut } };
  }

  history() {
    return [{ at: 1, n: [placeOf("verified")], boot: "b1" }];
  }

  debug() {
    const tokenId = this.token && "00aa";
    return { nextPing: 29_600, runOut: false, instances: [], tokenId, storage: "local" };
  }

  #take(call) {
    if (this.trap) throw new WebAssembly.RuntimeError("unreachable");
    this.calls.push(call);
  }
}
