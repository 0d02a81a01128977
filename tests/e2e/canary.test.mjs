// A token that can be recognised, followed through the whole life of a session: it is with the
// API and in its one record, and in nothing that is told, stored, sent or shown elsewhere.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";
import { eavesdrop, findLeaks, listen } from "./leaks.mjs";

const json = { "content-type": "application/json" };
const refusal = {
  status: 401,
  headers: { ...json, "www-authenticate": 'Bearer error="invalid_token"' },
  body: JSON.stringify({ code: "invalid_token", message: "Invalid or expired token" }),
};
const OPTIONS = {
  name: "canary",
  log: "debug",
  signOut: { path: "/auth/logout" },
  fetch: { maxWaiting: 1, waitMs: 1_000 },
  // What is slow on a busy machine must not look like a wake-up.
  health: { timeoutMs: 10_000 },
  verify: { timeoutMs: 10_000 },
};

/** What the keeper went through in the first test, by the codes of its history. */
const LIVED = [
  "signed-in",
  "verified",
  "kept",
  "suspect",
  "refuted",
  "rejection-ignored",
  "rebooted",
  "diagnosis",
];
/** By the name of a keeper: what fails, with what it was given in its mouth, and what is left. */
const failures = {
  "a-store-that-throws": {
    records: [],
    options: () => {
      const fail = (...given) => {
        throw new Error(`out of order: ${given}`);
      };
      return { persist: { get: fail, set: fail, remove: fail } };
    },
  },
  "a-store-that-rejects": {
    records: [],
    options: () => {
      const fail = async (...given) => Promise.reject(new Error(`out of order: ${given}`));
      return { persist: { get: fail, set: fail, remove: fail } };
    },
  },
  "a-classify-that-throws": {
    records: ["a-classify-that-throws"],
    options: () => {
      const classify = () => {
        throw new Error(JSON.stringify({ ...localStorage }));
      };
      return { verify: { classify } };
    },
  },
  "storage-that-is-full": {
    records: [],
    options: () => {
      Storage.prototype.setItem = (...given) => {
        throw new Error(`full: ${given}`);
      };
      return {};
    },
  },
};
/** What became of a stored record, by the word of the history. */
const damages = {
  corrupt: (text) => text.slice(0, -1),
  foreign: (text) => JSON.stringify({ ...JSON.parse(text), origin: "https://another.example" }),
};
/** By the place: a leak to it, in the page. */
const leaks = {
  "console.log": ({ part }) => console.log("signed in with", part),
  "console.debug": ({ token }) => console.debug({ deep: { down: [{ token }] } }),
  "console.error": ({ token }) => console.error(new Error(`refused: ${token}`)),
  "page error": ({ token }) => {
    setTimeout(() => {
      throw new Error(`on purpose: ${token}`);
    });
  },
  "event diagnosis": ({ token }) => {
    const evidence = { deep: btoa(`x${token}`) };
    window.keeper.dispatchEvent(Object.assign(new Event("diagnosis"), { evidence }));
  },
  error: ({ token }) => window.overhear("error", Object.assign(new Error("no"), { option: token })),
  "localStorage copy": ({ hex }) => localStorage.setItem("copy", hex),
  "sessionStorage copy": ({ token }) => sessionStorage.setItem("copy", btoa(token)),
  "indexedDB copy": async ({ token }) => {
    const opening = indexedDB.open("copy");
    opening.onupgradeneeded = () => opening.result.createObjectStore("kept", { keyPath: "id" });
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const writing = opening.result.transaction("kept", "readwrite").objectStore("kept");
    await new Promise((resolve) => (writing.put({ id: 1, token }).onsuccess = resolve));
    opening.result.close();
  },
  caches: async ({ part }) => (await caches.open("copy")).put(`/${part}`, new Response("")),
  broadcast: ({ token }) => new BroadcastChannel("any").postMessage({ token }),
  "window message": ({ token }) => window.frames[0].postMessage([token], "*"),
  URL: ({ hex }) => fetch(`/api/health?t=${hex.replace(/../g, "%$&")}`),
  header: ({ token }) => fetch("/api/health", { headers: { "X-Copy": btoa(`xy${token}`) } }),
  "request body": ({ part }) => fetch("/api/health", { method: "POST", body: part }),
  "/api/leaked": async ({ token, api }) => {
    const headers = { Authorization: `Bearer ${token}` };
    await fetch(`${api}/api/leaked`, { headers }).catch(() => {});
  },
  cookie: ({ token }) => void (document.cookie = `end=${token.slice(-8)}`),
  address: ({ part }) => void (location.hash = part),
  "history state": ({ token }) => history.replaceState({ token }, "", "#"),
  Referer: async ({ part }) => {
    history.replaceState(null, "", `?t=${part}`);
    await fetch("/api/health", { referrerPolicy: "unsafe-url" });
  },
  document: ({ part }) => void (document.title = part),
};

describe("a canary token", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("is with the API and in one record, from sign-in to the end and beyond", async (t) => {
    const visitor = await arrive(t, { prepare: eavesdrop });
    const { page, platform } = visitor;
    const ear = await listen(visitor);
    await embedStranger(visitor);
    await heardKeeper(visitor, OPTIONS);
    const secrets = await heardSignIn(visitor);
    const boot = await visitor.verified();
    await meetRefusals(visitor, boot);
    await lookAtKeeper(visitor);
    const [{ key, text }] = await recordsOf(visitor);
    const [token, refresh] = secrets;
    assert.ok(text.includes(token), "the record holds no token");
    assert.ok(!text.includes(refresh), "nothing uses a refresh token yet");
    await assertOnlyIn(visitor, ear, secrets, { records: [key] });

    await platform.control("revoke");
    assert.equal((await visitor.signedOut()).reason, "rejected");
    await lookAtKeeper(visitor);
    const told = await assertOnlyIn(visitor, ear, secrets, { records: [] });
    const codes = new Set(told.filter(({ place }) => place === "event log").map(codeOf));
    for (const code of LIVED) assert.ok(codes.has(code), `${code} never happened`);
  });

  it("is in no error, and goes to no origin that was not named", async (t) => {
    const visitor = await arrive(t, { prepare: eavesdrop });
    const ear = await listen(visitor);
    await embedStranger(visitor);
    await heardKeeper(visitor, OPTIONS);
    const secrets = await heardSignIn(visitor);
    await visitor.verified();
    await misuse(visitor, secrets);
    await fetchInAllForms(visitor);
    await lookAtKeeper(visitor);
    const [{ key }] = await recordsOf(visitor);
    await assertOnlyIn(visitor, ear, secrets, { records: [key] });
  });

  it("is nowhere after a sign-out by the user, nor are those before it", async (t) => {
    const visitor = await arrive(t, { prepare: eavesdrop });
    const ear = await listen(visitor);
    await heardKeeper(visitor, OPTIONS);
    const first = await heardSignIn(visitor);
    await visitor.verified();
    const secrets = [...first, ...(await heardSignIn(visitor)), ...(await heardJwt(visitor))];
    assert.equal((await visitor.snapshot()).session, "suspect");
    await visitor.page.evaluate(async () => {
      window.overhear("signOut()", await window.keeper.signOut());
    });
    await lookAtKeeper(visitor);
    await assertOnlyIn(visitor, ear, secrets, { records: [] });
    await visitor.reload();
    await heardKeeper(visitor, OPTIONS);
    const { session, signOut } = await visitor.snapshot();
    assert.deepEqual([session, signOut.reason], ["signed-out", "user"]);
    await lookAtKeeper(visitor);
    await assertOnlyIn(visitor, ear, secrets, { records: [] });
  });

  it("is in no message of a store, a record or an app's function that fails", async (t) => {
    const visitor = await arrive(t, { prepare: eavesdrop });
    const ear = await listen(visitor);
    for (const [name, { options, records }] of Object.entries(failures)) {
      await visitor.page.evaluate(() => localStorage.clear());
      await visitor.reload();
      await heardKeeper(visitor, { ...OPTIONS, name }, options);
      const secrets = await heardSignIn(visitor);
      await visitor.page.evaluate(async () => {
        window.overhear("verify()", await window.keeper.verify());
        await window.keeper.fetch("/api/tags");
      });
      assert.equal((await visitor.snapshot()).session, "signed-in", name);
      await lookAtKeeper(visitor);
      await assertOnlyIn(visitor, ear, secrets, { records });
      await visitor.page.evaluate(() => window.keeper.stop());
    }
  });

  for (const [name, damage] of Object.entries(damages)) {
    it(`is not repeated from a stored record that is ${name}`, async (t) => {
      const visitor = await arrive(t, { prepare: eavesdrop });
      const ear = await listen(visitor);
      await heardKeeper(visitor, OPTIONS);
      const secrets = await heardSignIn(visitor);
      await visitor.verified();
      const [{ key, text }] = await recordsOf(visitor);
      await visitor.page.evaluate(() => window.keeper.stop());
      await visitor.page.evaluate(
        (key, text) => localStorage.setItem(key, text),
        key,
        damage(text),
      );
      await visitor.reload();
      await heardKeeper(visitor, OPTIONS);
      await lookAtKeeper(visitor);
      assert.equal((await visitor.snapshot()).session, "signed-out");
      assert.equal((await visitor.history(`record-${name}`)).length, 1);
      const records = name === "foreign" ? [key] : [];
      await assertOnlyIn(visitor, ear, secrets, { records });
    });
  }

  it("that is leaked on purpose is found in each place", async (t) => {
    const visitor = await arrive(t, { prepare: eavesdrop, mistake: "on purpose" });
    const ear = await listen(visitor);
    await embedStranger(visitor);
    await heardKeeper(visitor, OPTIONS);
    const secrets = await heardSignIn(visitor);
    const [{ key }] = await recordsOf(visitor);
    await assertOnlyIn(visitor, ear, secrets, { records: [key] });

    const [token] = secrets;
    const hex = Buffer.from(token).toString("hex");
    const { api, demo } = visitor.platform;
    for (const [name, leak] of Object.entries(leaks)) {
      const places = [name, `${demo} ${name}`, `Authorization to ${api}${name}`];
      const isFound = async () => {
        return findLeaks(await ear.gather(), [token]).some(({ place }) => places.includes(place));
      };
      assert.equal(await isFound(), false, `found before it was leaked: ${name}`);
      await visitor.page.evaluate(leak, { token, part: token.slice(0, 8), hex, api });
      await until(`a leak is found: ${name}`, isFound);
    }
  });

  it("is found in every spelling, and no other text is", () => {
    const secret = randomBytes(32).toString("base64url");
    const noise = [{ place: "noise", text: randomBytes(200_000).toString("base64url") }];
    assert.deepEqual(findLeaks(noise, [secret]), []);
    const bytes = Buffer.from(secret);
    const spellings = [
      secret,
      secret.slice(0, 8),
      secret.slice(-8),
      bytes.toString("hex"),
      bytes.toString("hex").toUpperCase(),
      bytes.toString("hex").replace(/../g, "%$&"),
      ...["", "x", "xy"].flatMap((before) => {
        const bytes = Buffer.from(`${before}${secret} after`);
        return [bytes.toString("base64"), bytes.toString("base64url")];
      }),
      Buffer.from(`{"token":"${secret.slice(0, 8)}"}`).toString("base64"),
      JSON.stringify([...bytes]),
    ];
    for (const text of spellings) {
      const found = findLeaks([{ place: "here", text: `before ${text} after` }], [secret]);
      assert.equal(found.length, 1, text);
    }
    assert.deepEqual(findLeaks([{ place: "here", text: secret.slice(0, 7) }], [secret]), []);
  });
});

/** Makes and starts a keeper of which nothing goes unheard. `more` gives options in the page. */
async function heardKeeper(visitor, options, more = () => ({})) {
  const hear = async (options, more) => {
    const { overhear } = window;
    window.keepSession({ ...options, ...new Function(`return (${more})()`)() });
    const { keeper } = window;
    const types = "change signin signout forbidden server diagnosis log stop settled".split(" ");
    for (const type of types) {
      keeper.addEventListener(type, (event) => overhear(`event ${type}`, event));
    }
    keeper.subscribe((snapshot) => overhear("subscribe", snapshot));
    overhear("start()", await keeper.start());
  };
  await visitor.page.evaluate(hear, options, more.toString());
}

/** Signs in with what the backend answers and a refresh token. Gives both. */
async function heardSignIn({ page }) {
  const refresh = randomBytes(24).toString("base64url");
  const token = await page.evaluate(async (refresh_token) => {
    const response = await fetch("/auth/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username: "demo", password: "demo" }),
    });
    const answer = { ...(await response.json()), refresh_token };
    window.overhear("signIn()", await window.keeper.signIn(answer));
    return answer.access_token;
  }, refresh);
  return [token, refresh];
}

/** Signs in with a JWT that the server does not know. Gives its secrets. */
async function heardJwt({ page }) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const subject = randomBytes(18).toString("base64url");
  const signature = randomBytes(32).toString("base64url");
  const exp = Math.round(Date.now() / 1000) + 3_600;
  const jwt = `${encode({ alg: "HS256" })}.${encode({ exp, sub: subject })}.${signature}`;
  await page.evaluate(async (jwt) => {
    window.overhear("signIn()", await window.keeper.signIn(jwt));
    window.overhear("verify()", await window.keeper.verify());
  }, jwt);
  return [jwt, subject, signature];
}

/** 403, a refusal that is refuted, and a server that wakes up behind pages with 401. */
async function meetRefusals(visitor, boot) {
  const { page, platform } = visitor;
  const verify = () => page.evaluate(() => void window.keeper.verify());
  await platform.fault("/auth/me", { status: 403 }, 1);
  await verify();
  await visitor.until("forbidden", () => window.events.some(({ type }) => type === "forbidden"));
  // A server that started less than 10 s ago may not be ready, which is no quarrel of workers.
  const isUp = async () => Date.now() - (await platform.state()).sinceMs > 13_000;
  await until("the server is up for a while", isUp, { within: 20_000 });
  // A page that could not run for a while, on a busy machine, drops what it had heard before.
  for (let tries = 0; tries < 3 && (await visitor.events("diagnosis")).length === 0; tries += 1) {
    await platform.fault("/auth/me", refusal, 1);
    await verify();
    const refuted = (times) => {
      return window.keeper.history().filter(({ code }) => code === "refuted").length > times;
    };
    await visitor.until("refuted", refuted, { within: 20_000, args: [tries] });
  }
  await platform.control("configure", { whileWaking: "unauthorized-page" });
  await platform.control("sleep");
  await verify();
  await visitor.verified({ after: boot, within: 20_000 });
}

/** Mistakes of the app, each with a secret in its hands. */
async function misuse({ page }, [token, refresh]) {
  const codes = await page.evaluate(
    async (token, refresh) => {
      const { createKeeper, keeper, overhear } = window;
      const soon = { access_token: token, expires_in: -1 };
      const attempts = [
        () => keeper.signIn(`${token} x`),
        () => keeper.signIn({ token: { token } }),
        () => keeper.signIn({ token: `${token}\n`, refreshToken: refresh }),
        () => keeper.signIn({ token, expiresAt: 1_900_000_000 }),
        () => keeper.signIn(soon),
        () => createKeeper({ name: `${token} ` }),
        () => createKeeper({ scheme: `Bearer ${token}` }),
        () => createKeeper({ persist: token }),
        () => createKeeper({ baseUrl: `https://user:${token}@api.example.com` }),
        () => createKeeper({ fetch: { origins: [`https://${token}@api.example.com`] } }),
      ];
      const codes = [];
      for (const attempt of attempts) {
        await (async () => attempt())().catch((error) => {
          overhear("error", error);
          console.error(error);
          codes.push(error.code);
        });
      }
      return codes;
    },
    token,
    refresh,
  );
  const signIns = ["invalid-token", "invalid-token", "invalid-token"];
  const expiries = ["invalid-expiry", "invalid-expiry"];
  assert.deepEqual(codes, [...signIns, ...expiries, ...Array(5).fill("invalid-option")]);
}

/** Requests that succeed, and every error that `keeper.fetch` knows. */
async function fetchInAllForms({ page, platform }) {
  const { api } = platform;
  const away = { status: 302, headers: { location: `${api}/api/away` } };
  await platform.fault("/api/away", { status: 200, cors: true, body: "{}" });
  await platform.fault("/api/moved", away);
  await platform.fault("/api/broken", { drop: true });
  await platform.fault("/api/down", { status: 503 });
  const names = await page.evaluate(async (api) => {
    const { keeper, overhear } = window;
    const gone = AbortSignal.abort();
    const attempts = [
      () => keeper.fetch("/api/tags"),
      () => keeper.fetch(new Request("/api/tags", { method: "POST", body: "{}" })),
      () => keeper.fetch(new URL("/api/tags?page=1", location.href)),
      () => keeper.fetch(`${api}/api/tags`),
      () => keeper.fetch("/api/tags", { body: "GET has none" }),
      () => keeper.fetch("/api/moved"),
      () => keeper.fetch("/api/broken"),
      () => Promise.all(Array.from({ length: 8 }, () => keeper.fetch("/api/down"))),
      () => keeper.fetch("/api/tags", { signal: gone }),
      () => keeper.fetch("http://["),
    ];
    const names = [];
    for (const attempt of attempts) {
      const outcome = await attempt().catch((error) => error);
      overhear("error", outcome);
      console.warn(outcome);
      names.push(outcome.code ?? outcome.name ?? outcome.status);
    }
    overhear("authHeaders()", keeper.authHeaders(`${api}/api/tags`));
    keeper.reportResponse({ url: "/api/tags", status: 401 });
    keeper.reportResponse({ url: `${api}/api/tags`, status: 401 });
    return names;
  }, api);
  const { ABORT_ERR } = DOMException;
  const [read, , , stranger, ...errors] = names;
  assert.deepEqual([read, stranger], [200, 401]);
  const many = "too-many-waiting";
  const expected = ["TypeError", "redirected", "TypeError", many, ABORT_ERR, "TypeError"];
  assert.deepEqual(errors, expected);
}

/** Everything that a keeper shows of itself, and prints when somebody prints it. */
async function lookAtKeeper({ page }) {
  await page.evaluate(() => {
    const { keeper, overhear } = window;
    overhear("history()", keeper.history());
    overhear("debug()", keeper.debug());
    overhear("snapshot", keeper.snapshot);
    overhear("keeper", keeper);
    overhear("registry", window[Symbol.for("session-keeper")]);
    overhear("JSON", JSON.stringify(keeper));
    console.log(keeper, keeper.snapshot, keeper.debug());
  });
}

/** A frame of another origin, with the same ears. */
async function embedStranger(visitor) {
  const src = `${visitor.platform.demo.replace("127.0.0.1", "localhost")}/keeper.html`;
  await visitor.page.evaluate((src) => {
    document.body.append(Object.assign(document.createElement("iframe"), { src }));
  }, src);
  await until("the frame of another origin listens", async () => {
    const frame = visitor.page.frames().find((frame) => frame.url() === src);
    return frame?.evaluate(() => window.ready && !!window.overheard);
  });
}

/** What of the page's own storage holds a token. */
async function recordsOf({ page }) {
  const stored = await page.evaluate(() => Object.entries({ ...localStorage }));
  return stored.map(([key, text]) => ({ key, text })).filter(({ text }) => /"token"/.test(text));
}

/** Every trace is at the API or in these records, and each of these is found. Gives all told. */
async function assertOnlyIn(visitor, ear, secrets, { records }) {
  const { demo } = visitor.platform;
  const told = await ear.gather();
  for (const heard of ["console.info", "event log", "header", "document"]) {
    assert.ok(
      told.some(({ place }) => place === heard),
      heard,
    );
  }
  const paths = ["/auth/me", "/auth/logout", "/api/tags", "/api/moved", "/api/broken", "/api/down"];
  const isApi = ({ place }) => paths.some((path) => place === `Authorization to ${demo}${path}`);
  const found = findLeaks(told, secrets);
  assert.ok(found.some(isApi), "no credential was seen at all");
  const elsewhere = found.filter((it) => !isApi(it));
  const places = records.map((key) => `${demo} localStorage ${key}`);
  assert.deepEqual(
    elsewhere.filter(({ place }) => !places.includes(place)),
    [],
  );
  assert.equal(elsewhere.length, records.length, "a record was not found: is the search blind?");
  return told;
}

const codeOf = ({ text }) => /code: ([a-z-]+)/.exec(text)?.[1];
