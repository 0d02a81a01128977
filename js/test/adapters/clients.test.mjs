// The adapters for HTTP clients: the client that others wrote, on the real core, against an API
// that the test plays.

import assert from "node:assert/strict";
import { test } from "node:test";

import axios from "axios";
import ky from "ky";
import createClient from "openapi-fetch";
import { attach } from "session-keeper/axios";
import { withKeeper } from "session-keeper/ky";

import { API, json, loadReal, openPage, serve, stopTheClock } from "../face.mjs";

const ITEMS = "/items";

/** Each: how it asks, as `{ status, body }`, whether the status is good or not. */
const clients = {
  axios(keeper) {
    const instance = axios.create({ baseURL: API, adapter: "fetch" });
    attach(instance, keeper);
    return async (method, url, data) => {
      const got = await instance
        .request({ method, url, data })
        .catch((error) => error.response ?? Promise.reject(error));
      return { status: got.status, body: got.data };
    };
  },
  ky(keeper) {
    const client = withKeeper(ky.create({ throwHttpErrors: false }), keeper);
    return async (method, url, data) => {
      const got = await client(new URL(url, API), { method, json: data });
      return { status: got.status, body: await got.json() };
    };
  },
  "openapi-fetch"(keeper) {
    const client = createClient({ fetch: keeper.fetch });
    return async (method, path, body) => {
      const url = new URL(path, API).href;
      const { data, error, response } = await client.request(method.toLowerCase(), url, { body });
      return { status: response.status, body: data ?? error };
    };
  },
};

async function visit(t, answers, options) {
  openPage(t);
  const pass = stopTheClock(t);
  const api = serve(t, answers);
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API, log: "silent", ...options });
  t.after(() => keeper.stop());
  const signIn = () => keeper.signIn({ token: "good", refreshToken: "r1", user: { name: "ada" } });
  await signIn();
  await pass(1_000);
  assert.equal(keeper.snapshot.session, "signed-in");
  return { api, keeper, pass, signIn };
}

/** Lets the keeper's time go on until the promise is settled. */
async function during(pass, promise) {
  let isOver = false;
  const end = () => (isOver = true);
  promise.then(end, end);
  for (let i = 0; i < 240 && !isOver; i++) await pass(500);
  return promise;
}

/** What a platform answers while it starts the app. */
const starting = () =>
  new Response("<!doctype html>", { status: 503, headers: { "Content-Type": "text/html" } });

const guarded =
  (answer) =>
  (asked, good = "good") =>
    asked.token === `Bearer ${good}` ? answer(asked) : json(401, { detail: "no" });

for (const [name, make] of Object.entries(clients)) {
  test(`${name}: a body goes out with the credential, and what comes back is the client's`, async (t) => {
    const { api, keeper, pass } = await visit(t, {
      [ITEMS]: guarded(async ({ request }) => json(201, { got: await request.json() })),
    });
    const got = await during(pass, make(keeper)("POST", ITEMS, { name: "one" }));
    assert.deepEqual(got, { status: 201, body: { got: { name: "one" } } });
    assert.equal(api.at(ITEMS).length, 1);
  });

  test(`${name}: a request whose token has run out is sent once more with the refreshed one`, async (t) => {
    const { api, keeper, pass } = await visit(
      t,
      {
        [ITEMS]: (asked) => guarded(() => json(201, { made: true }))(asked, api.good),
        "/auth/refresh": () => {
          api.good = "newer";
          return json(200, { access_token: "newer", refresh_token: "r2", expires_in: 3600 });
        },
      },
      { refresh: { path: "/auth/refresh" } },
    );
    api.good = "newer";
    const got = await during(pass, make(keeper)("POST", ITEMS, { name: "one" }));
    assert.deepEqual(got, { status: 201, body: { made: true } });
    const tokens = api.at(ITEMS).map(({ token }) => token);
    assert.deepEqual(tokens, ["Bearer good", "Bearer newer"]);
    const bodies = await Promise.all(api.at(ITEMS).map(({ request }) => request.json()));
    assert.deepEqual(bodies, [{ name: "one" }, { name: "one" }]);
    assert.equal(keeper.snapshot.session, "signed-in");
  });

  test(`${name}: a read waits out a cold start, and the app sees its answer alone`, async (t) => {
    let isAsleep = false;
    const sleepy = (answer) => (asked) => (isAsleep ? starting() : answer(asked));
    const { api, keeper, pass } = await visit(t, {
      "/api/health": sleepy(() => json(200, { status: "ok" })),
      "/auth/me": sleepy(guarded(() => json(200, { name: "ada" }))),
      [ITEMS]: sleepy(guarded(() => json(200, ["one"]))),
    });
    isAsleep = true;
    const asking = make(keeper)("GET", ITEMS);
    await pass(20_000);
    assert.notEqual(keeper.snapshot.server, "awake");
    isAsleep = false;
    assert.deepEqual(await during(pass, asking), { status: 200, body: ["one"] });
    assert.ok(api.at(ITEMS).length >= 2);
    assert.equal(keeper.snapshot.session, "signed-in");
  });

  test(`${name}: a 401 is handed out when the session is over, and not before`, async (t) => {
    const { api, keeper, pass } = await visit(t, {
      [ITEMS]: (asked) => guarded(() => json(200, []))(asked, api.good),
    });
    let wasOver;
    keeper.addEventListener("signout", () => (wasOver = true));
    api.good = "revoked";
    const got = await during(
      pass,
      make(keeper)("GET", ITEMS).then((it) => ({ ...it, wasOver })),
    );
    assert.deepEqual(got, { status: 401, body: { detail: "no" }, wasOver: true });
  });

  test(`${name}: another origin gets no credential`, async (t) => {
    const { api, keeper, pass } = await visit(t, { [ITEMS]: () => json(200, []) });
    await during(pass, make(keeper)("GET", `https://elsewhere.example${ITEMS}`));
    assert.deepEqual(
      api.at(ITEMS).map(({ token, request }) => [token, new URL(request.url).hostname]),
      [[null, "elsewhere.example"]],
    );
  });
}

/** A way to send that is none of `fetch`, as XMLHttpRequest is. */
function ownAdapter(answer, headers) {
  const seen = [];
  const adapter = async (config) => {
    seen.push(config);
    const [status, data] = await answer(config);
    const response = { status, data, config, headers, statusText: "" };
    if (config.validateStatus(status)) return response;
    throw new axios.AxiosError("no", "ERR_BAD_REQUEST", config, undefined, response);
  };
  return { adapter, seen };
}

const tokenOf = ({ headers }) => headers.get("Authorization");

test("axios: the adapter that the instance has goes on to send, and is put back", async (t) => {
  const { keeper, api, pass } = await visit(t);
  const { adapter, seen } = ownAdapter(() => [200, "sent"]);
  const instance = axios.create({ adapter });
  const detach = attach(instance, keeper);
  const { data, config } = await during(
    pass,
    instance.get("/items", { params: { page: 2 }, timeout: 5_000 }),
  );
  assert.equal(data, "sent");
  assert.deepEqual(
    [seen[0].url, seen[0].timeout, tokenOf(seen[0])],
    [`${API}/items?page=2`, 5_000, "Bearer good"],
  );
  assert.equal(tokenOf(config), undefined, "the credential must not stay in what an app may log");
  assert.equal(api.at("/items").length, 0);
  detach();
  await instance.get("/items");
  assert.deepEqual([seen[1].url, tokenOf(seen[1])], ["/items", undefined]);
});

test("axios: an error is the adapter's own, without a token in it", async (t) => {
  const { keeper, pass } = await visit(t);
  const { adapter } = ownAdapter(() => [422, { detail: "no name" }]);
  const instance = axios.create({ adapter });
  attach(instance, keeper);
  const error = await during(pass, instance.post("/items", {})).catch((error) => error);
  assert.ok(axios.isAxiosError(error));
  assert.deepEqual([error.response.status, error.response.data], [422, { detail: "no name" }]);
  assert.doesNotMatch(JSON.stringify(error.toJSON()), /good/);
});

test("axios: an aborted request is a cancelled one, also while it waits", async (t) => {
  const { api, keeper, pass } = await visit(t);
  const { adapter } = ownAdapter(() => [401, {}]);
  const instance = axios.create({ adapter });
  attach(instance, keeper);
  api.good = "revoked";
  const abort = new AbortController();
  const asking = instance.get("/items", { signal: abort.signal }).catch((error) => error);
  await pass(500);
  assert.equal(keeper.snapshot.session, "suspect");
  abort.abort();
  assert.ok(axios.isCancel(await asking));
});

test("axios: an answer of the API proves it awake, however the adapter spells its headers", async (t) => {
  let isAsleep = false;
  const sleepy = (answer) => (asked) => (isAsleep ? starting() : answer(asked));
  const { keeper, pass } = await visit(t, {
    "/api/health": sleepy(() => json(200, {})),
    "/auth/me": sleepy(guarded(() => json(200, { name: "ada" }))),
  });
  isAsleep = true;
  await pass(40_000);
  assert.equal(keeper.snapshot.server, "waking");
  const { adapter } = ownAdapter(() => [200, []], { "Content-Type": "application/json" });
  const instance = axios.create({ adapter });
  attach(instance, keeper);
  await during(pass, instance.post("/items", {}));
  assert.equal(keeper.snapshot.server, "awake");
});

test("axios: a POST may be sent again in an outage where its config says so", async (t) => {
  const { keeper, pass } = await visit(t);
  const answers = [[503], [200, "made"]];
  const { adapter, seen } = ownAdapter(() => answers.shift());
  const instance = axios.create({ adapter });
  attach(instance, keeper);
  const made = await during(pass, instance.post("/items", {}, { sessionKeeper: { retry: true } }));
  assert.deepEqual([made.data, seen.length], ["made", 2]);
});

test("ky: a 500 is asked again by ky, and a network error is not: the keeper has waited", async (t) => {
  const statuses = [500, 200];
  const { keeper, api, pass } = await visit(t, {
    [ITEMS]: () => json(statuses.shift() ?? 200, []),
    "/gone": () => {
      throw new TypeError("no route to host");
    },
  });
  const client = withKeeper(ky, keeper);
  await during(pass, client(API + ITEMS));
  assert.equal(api.at(ITEMS).length, 2);
  await during(pass, assert.rejects(client(`${API}/gone`)));
  assert.ok(api.at("/gone").length <= 3, "two of the keeper, none of ky on top of them");
});
