// Stands in for the generated glue and bytes: a core that the test plays.

export const bytes = () => new Uint8Array();

export function initSync() {
  if (globalThis.refuseWasm) throw globalThis.refuseWasm;
}

export default async function init() {
  if (globalThis.refuseWasmLater) throw globalThis.refuseWasmLater;
}

export class Core {
  calls = [];
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

  log(code, details = {}) {
    this.notify("log", { at: 1, code, level: "info", ...details });
  }

  start() {
    this.#take("start");
    if (this.restored) this.change(this.restored);
  }

  stop() {
    this.#take("stop");
    this.notify("settled", {});
  }

  sign_in(token, refresh, expiresAt, user) {
    this.#take("sign_in");
    this.token = token;
    Object.assign(this.now, { user, expiresAt });
    this.notify("signin", { elsewhere: false });
    this.change({ session: "unverified", signedIn: true });
  }

  sign_out() {
    this.#take("sign_out");
    this.token = undefined;
    const signOut = { reason: "user", at: 5, elsewhere: false, evidence: { refusals: [] } };
    Object.assign(this.now, { session: "signed-out", signedIn: false, signOut });
    this.notify("signout", { ...signOut });
    this.change({});
  }

  verify() {
    this.#take("verify");
  }

  report(status) {
    this.#take(`report ${status}`);
  }

  unanswered() {
    this.#take("unanswered");
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
    return [{ at: 1, code: "verified", level: "info" }];
  }

  debug() {
    const facts = { nextPing: 29_600, nextVerification: null, runOut: false, boot: null };
    return { ...facts, instances: [], tokenId: this.token ? "00aa" : null, storage: "local" };
  }

  #take(call) {
    if (this.trap) throw new WebAssembly.RuntimeError("unreachable");
    this.calls.push(call);
  }
}
