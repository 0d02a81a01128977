// Clients that others wrote, with `keeper.fetch` in the place of `fetch`, taken off its keeper.

import assert from "node:assert/strict";
import { test } from "node:test";

import axios from "axios";
import ky from "ky";

import { API, answerWith, load, openPage, turn } from "./face.mjs";

const SEND = 0;
const core = () => globalThis.fakeCores.at(-1);

async function detached(t) {
  openPage(t);
  const { createKeeper } = await load();
  const keeper = createKeeper({ baseUrl: `${API}/v1`, log: "silent" });
  await keeper.signIn("t");
  const { fetch, authHeaders } = keeper;
  return { fetch, authHeaders };
}

const answer = (status, body) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** Each posts `{ name: "one" }` to `/v1/tags` and gives the body of the answer. */
const clients = {
  ky: ({ fetch }) => {
    const client = ky.create({ fetch, retry: 0 });
    return client.post(`${API}/v1/tags`, { json: { name: "one" } }).json();
  },
  axios: async ({ fetch }) => {
    const client = axios.create({ adapter: "fetch", env: { fetch } });
    return (await client.post(`${API}/v1/tags`, { name: "one" })).data;
  },
};

for (const [name, post] of Object.entries(clients)) {
  test(`${name} sends with the credential, and a 401 for it is settled`, async (t) => {
    const keeper = await detached(t);
    const sent = answerWith(t, answer(401, {}), answer(201, { tags: ["one"] }));
    const posted = post(keeper);
    while (!core().reports.length) await turn();
    core().reports[0].decide(SEND);
    assert.deepEqual(await posted, { tags: ["one"] });
    for (const { request } of sent) {
      assert.equal(request.headers.get("authorization"), "Bearer t");
      assert.deepEqual(await request.json(), { name: "one" });
    }
    assert.equal(sent.length, 2);
  });
}

test("axios with an adapter of its own gets the credential from an interceptor", async (t) => {
  const { authHeaders } = await detached(t);
  const client = axios.create({ adapter: async (config) => ({ data: {}, status: 200, config }) });
  client.interceptors.request.use((config) => {
    config.headers.set(authHeaders(config.url));
    return config;
  });
  const seen = async (url) => (await client.get(url)).config.headers.get("Authorization");
  assert.equal(await seen("/tags"), "Bearer t");
  assert.equal(await seen(`${API}/v1/tags`), "Bearer t");
  assert.equal(await seen("https://elsewhere.example/tags"), undefined);
});
