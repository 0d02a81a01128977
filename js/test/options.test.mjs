import assert from "node:assert/strict";
import { test } from "node:test";

import { API, load } from "./face.mjs";

const { readOptions, insecureOrigins } = await load("options.ts");
const PAGE = "https://app.example.com";

const refusal = (given) => {
  try {
    readOptions(given, PAGE);
  } catch (error) {
    assert.equal(error.name, "KeeperError");
    assert.equal(error.code, "invalid-option");
    assert.match(error.message, /^[a-z][^\n]*[^.]$/i);
    return error.option;
  }
  return undefined;
};

test("without options the page's origin is kept with the documented defaults", () => {
  const options = readOptions(undefined, PAGE);
  const { base, origin, name, auth, scheme, persist, log } = options;
  assert.deepEqual(
    { base, origin, name, auth, scheme, persist, log },
    {
      base: PAGE,
      origin: PAGE,
      name: `session-keeper:${PAGE}`,
      auth: "bearer",
      scheme: "Bearer",
      persist: "local",
      log: "warn",
    },
  );
  assert.equal(options.healthPath, "/api/health");
  assert.equal(options.verifyPath, "/auth/me");
  assert.deepEqual(options.health, {
    everyMs: 30_000,
    timeoutMs: 10_000,
    wakeTimeoutMs: 90_000,
    hiddenForMs: 600_000,
    whenHidden: "ping",
    path: "/api/health",
    credentials: "same-origin",
  });
  assert.deepEqual(options.verify, {
    everyMs: 300_000,
    timeoutMs: 10_000,
    retries: 3,
    retryDelayMs: 2_000,
    whenIdleMs: undefined,
    path: "/auth/me",
    classify: undefined,
  });
  const { maxFalseSignOut, waitMs, maxWaiting, on401 } = options;
  assert.deepEqual([maxFalseSignOut, waitMs, maxWaiting, on401], [0.001, 90_000, 100, "settle"]);
});

test("what the app chose is handed on by name", () => {
  const health = { everyMs: 1_000, timeoutMs: 2_000, wakeTimeoutMs: 3_000, hiddenForMs: 4 };
  const verify = { everyMs: 5_000, timeoutMs: 6_000, retries: 7, retryDelayMs: 8_000 };
  const fetch = { waitMs: 10, maxWaiting: 11, on401: "pass" };
  const given = { verify: { ...verify, whenIdleMs: 9 }, confirm: "immediate", fetch };
  const options = readOptions({ ...given, health: { ...health, whenHidden: "always" } }, PAGE);
  const whenHidden = "always";
  assert.deepEqual({ ...options.health }, { ...options.health, ...health, whenHidden });
  assert.deepEqual({ ...options.verify }, { ...options.verify, ...verify, whenIdleMs: 9 });
  const { maxFalseSignOut, waitMs, maxWaiting, on401 } = options;
  assert.deepEqual([maxFalseSignOut, waitMs, maxWaiting, on401], [undefined, 10, 11, "pass"]);
  assert.equal(readOptions({ confirm: { maxFalseSignOut: 0.5 } }, PAGE).maxFalseSignOut, 0.5);
  assert.equal(readOptions({ health: false }, PAGE).health, undefined);
});

test("a scheme is the core's where a token is, and an adapter is no word", () => {
  const adapter = { get() {}, set() {}, remove() {} };
  assert.equal(readOptions({ auth: "cookie" }, PAGE).scheme, undefined);
  const { persist, ...options } = readOptions({ persist: adapter }, PAGE);
  assert.deepEqual([persist, options.adapter], [undefined, adapter]);
});

test("an option that is undefined keeps its default", () => {
  const { complain, ...bare } = readOptions({}, PAGE);
  const given = { baseUrl: undefined, health: undefined, verify: { everyMs: undefined } };
  const more = { csrf: undefined, persist: undefined, log: undefined, name: undefined };
  const read = readOptions({ ...given, ...more }, PAGE);
  // A function of its own for each keeper.
  assert.deepEqual(read, { ...bare, complain: read.complain });
  assert.equal(typeof complain, "function");
});

for (const [baseUrl, base] of [
  ["https://api.example.com/v1", "https://api.example.com/v1"],
  ["https://API.example.com:443/v1//", "https://api.example.com/v1"],
  ["http://localhost:8000/", "http://localhost:8000"],
  ["/backend/", "https://app.example.com/backend"],
  [new URL("https://api.example.com"), "https://api.example.com"],
]) {
  test(`the base of ${baseUrl} is ${base}`, () => {
    assert.equal(readOptions({ baseUrl }, PAGE).base, base);
  });
}

for (const baseUrl of [
  "https://user:secret@api.example.com",
  "https://api.example.com/?a",
  "https://api.example.com/?",
  "https://api.example.com/#a",
  "ftp://api.example.com",
  "javascript:alert(1)",
  "https://",
  3,
  null,
  {},
]) {
  test(`${JSON.stringify(baseUrl)} is no base`, () => {
    assert.equal(refusal({ baseUrl }), "baseUrl");
  });
}

const WRONG = {
  options: [null, [], "https://api.example.com", 7],
  basePath: [{ basePath: "/v1" }, { basePath: undefined }],
  toString: [{ toString: 1 }],
  health: [{ health: true }, { health: null }, { health: [] }, { health: 5 }],
  "health.every": [{ health: { every: 5 } }],
  "health.path": [{ health: { path: "api/health" } }, { health: { path: "/a b" } }],
  "health.credentials": [{ health: { credentials: "none" } }],
  "health.everyMs": [249, 1e300, NaN, "30000", 250.5, null].map((everyMs) => ({
    health: { everyMs },
  })),
  "health.wakeTimeoutMs": [{ health: { timeoutMs: 2_000, wakeTimeoutMs: 1_999 } }],
  "health.whenHidden": [{ health: { whenHidden: "never" } }],
  "verify.retries": [-1, 11, 1.5].map((retries) => ({ verify: { retries } })),
  "verify.retryDelayMs": [{ verify: { retryDelayMs: 49 } }],
  "verify.classify": [{ verify: { classify: "valid" } }],
  confirm: [{ confirm: "at once" }, { confirm: 1 }],
  "confirm.maxFalseSignOut": [0, 1, "0.1"].map((maxFalseSignOut) => ({
    confirm: { maxFalseSignOut },
  })),
  "signOut.path": [{ signOut: { path: "auth/logout" } }],
  "fetch.origins": [
    "https://files.example.com",
    ["files.example.com"],
    ["https://files.example.com/a"],
    [null],
  ].map((origins) => ({ fetch: { origins } })),
  "fetch.waitMs": [{ fetch: { waitMs: -1 } }],
  "csrf.header": [{ csrf: { cookie: "a" } }, { csrf: { cookie: "a", header: "x y" } }],
  auth: [{ auth: "basic" }],
  scheme: [{ scheme: "" }, { scheme: "Bearer " }, { scheme: "a\nb" }],
  persist: [{ persist: "indexeddb" }, { persist: { get() {} } }, { persist: null }],
  log: [{ log: "loud" }, { log: true }],
  name: [{ name: "" }, { name: "a b" }, { name: "a".repeat(65) }],
};

for (const [option, givens] of Object.entries(WRONG)) {
  test(`a wrong ${option} is refused by its name`, () => {
    for (const given of givens) assert.equal(refusal(given), option, JSON.stringify(given));
  });
}

test("a wake-up may take as long as an answer where only that is given", () => {
  const { health } = readOptions({ health: { timeoutMs: 120_000 } }, PAGE);
  assert.equal(health.wakeTimeoutMs, 120_000);
});

test("pings can be switched off", () => {
  assert.equal(readOptions({ health: false }, PAGE).health, undefined);
});

test("without a document a path is a fine base, and no origin gets a credential", () => {
  const options = readOptions({ baseUrl: "/v1" }, undefined);
  assert.equal(options.base, "/v1");
  assert.deepEqual(options.origins, []);
});

test("a page without an origin that is not told where its API is keeps nothing", () => {
  for (const given of [{}, { baseUrl: "/v1" }]) {
    const { page, origins } = readOptions(given, "null");
    assert.deepEqual([page, origins], [undefined, []]);
  }
  const { page, origin } = readOptions({ baseUrl: API }, "null");
  assert.deepEqual([page, origin], ["null", API]);
});

for (const [baseUrl, hint] of [
  ["api.example.com", "https://api.example.com"],
  ["api.example.com:8443/v1", "https://api.example.com:8443/v1"],
  ["localhost:8000", "http://localhost:8000"],
]) {
  test(`${baseUrl} is refused with a hint at ${hint}`, () => {
    const check = ({ option, message }) =>
      option === "baseUrl" && message.endsWith(`: is it ${hint}?`);
    assert.throws(() => readOptions({ baseUrl }, PAGE), check);
  });
}

test("no error repeats an address that may hold a password", () => {
  const check = ({ message }) => !message.includes("secret");
  for (const baseUrl of ["user:secret@api.example.com", "https://user:secret@api.example.com"]) {
    assert.throws(() => readOptions({ baseUrl }, PAGE), check);
  }
});

test("two APIs of one gateway have names of their own, and one without a path the old one", () => {
  const nameOf = (baseUrl) => readOptions({ baseUrl }, PAGE).name;
  assert.equal(nameOf(`${API}/service-a`), `session-keeper:${API}/service-a`);
  assert.equal(nameOf(`${API}/service-b/`), `session-keeper:${API}/service-b`);
  assert.equal(nameOf("/backend"), `session-keeper:${PAGE}/backend`);
  assert.equal(nameOf(`${API}/`), `session-keeper:${API}`);
});

test("health and verify may be whole URLs, and verify's origin gets the credential", () => {
  const health = { path: "https://status.example.com/health?full=1" };
  const verify = { path: "https://auth.example.com/me" };
  const options = readOptions({ baseUrl: API, health, verify }, PAGE);
  assert.equal(options.health.path, health.path);
  assert.equal(options.verify.path, verify.path);
  assert.deepEqual(options.origins, [API, "https://auth.example.com"]);
  for (const path of ["https://user@auth.example.com/me", "ftp://a/b", "//auth.example.com/me"]) {
    assert.equal(refusal({ verify: { path } }), "verify.path");
  }
});

test("pings carry the page's own cookies, and in cookie mode none unless asked for", () => {
  const credentials = (given) => readOptions(given, PAGE).health.credentials;
  assert.equal(credentials({}), "same-origin");
  assert.equal(credentials({ auth: "cookie" }), "omit");
  const include = { credentials: "include" };
  assert.equal(credentials({ auth: "cookie", health: include }), "include");
});

test("options are told apart by what the app chose, functions by their text", () => {
  const print = (given) => readOptions(given, PAGE).fingerprint;
  assert.equal(print({}), print({ log: "warn", health: { everyMs: 30_000 } }));
  const log = () => (entry) => console.log(entry);
  assert.equal(print({ log: log() }), print({ log: log() }));
  assert.notEqual(print({ log: log() }), print({ log: () => {} }));
  assert.notEqual(print({}), print({ health: { everyMs: 20_000 } }));
  const adapter = { get() {}, set() {}, remove() {}, kept: "secret" };
  adapter.self = adapter;
  assert.doesNotMatch(print({ persist: adapter }), /secret/);
});

test("an unknown word for storage, auth or log says what else may stand there", () => {
  for (const [given, what] of [
    [{ persist: 7 }, /get, set and remove/],
    [{ auth: 7 }, /or a function/],
    [{ log: 7 }, /or a function/],
    [{ verify: { classify: 7 } }, /must be a function/],
  ]) {
    assert.throws(() => readOptions(given, PAGE), { code: "invalid-option", message: what });
  }
});

test("plain http is insecure unless it stays on this computer", () => {
  const origins = ["http://files.example.com", "http://127.0.0.1:1", "http://[::1]:1"];
  const local = ["http://localhost:3000", "http://a.localhost"];
  const given = {
    baseUrl: "http://localhost.example.com",
    fetch: { origins: [...origins, ...local] },
  };
  const insecure = ["http://localhost.example.com", "http://files.example.com"];
  assert.deepEqual(insecureOrigins(readOptions(given, PAGE)), insecure);
});
