// `session-keeper/next`: what a server may know. Next's own requests are tried by the consumers.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { askUser, hasSessionCookie, requireCookie } from "session-keeper/next";

const jar = (cookies) => ({
  get: (name) => (name in cookies ? { name, value: cookies[name] } : undefined),
});
const asking = (path, cookies = {}) => ({
  url: `https://app.example.com${path}`,
  cookies: jar(cookies),
});

test("next: who has no cookie is led to the login, with the way back", () => {
  const middleware = requireCookie({ cookie: "sid" });
  const response = middleware(asking("/private/list?page=2"));
  assert.equal(response.status, 307);
  assert.equal(
    response.headers.get("location"),
    "https://app.example.com/login?returnUrl=%2Fprivate%2Flist%3Fpage%3D2",
  );
});

test("next: who has a cookie passes, and the login page is no way round in a circle", () => {
  const middleware = requireCookie({ cookie: "sid", otherwise: "/auth/login" });
  assert.equal(middleware(asking("/private", { sid: "x" })), undefined);
  assert.equal(middleware(asking("/auth/login")), undefined);
  assert.equal(middleware(asking("/private", { sid: "" })).status, 307);
  assert.equal(hasSessionCookie(jar({ sid: "x" }), "sid"), true);
  assert.equal(hasSessionCookie(jar({ other: "x" }), "sid"), false);
});

async function startApi(t, answer) {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.cookie);
    answer(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, url: `http://127.0.0.1:${server.address().port}/auth/me` };
}

const answerJson = (status, body) => (response) => {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
};

test("next: the API is asked with this cookie alone, and names the user", async (t) => {
  const { seen, url } = await startApi(t, answerJson(200, { name: "ada" }));
  const user = await askUser(jar({ sid: "s1", tracking: "t" }), { url, cookie: "sid" });
  assert.deepEqual(user, { name: "ada" });
  assert.deepEqual(seen, ["sid=s1"]);
});

test("next: without a cookie the API is not asked", async (t) => {
  const { seen, url } = await startApi(t, answerJson(200, { name: "ada" }));
  assert.equal(await askUser(jar({}), { url, cookie: "sid" }), undefined);
  assert.deepEqual(seen, []);
});

test("next: no answer of the API makes a page fail", async (t) => {
  const answers = {
    refused: answerJson(401, { detail: "no" }),
    broken: answerJson(503, {}),
    page: (response) => response.end("<!doctype html>"),
    text: answerJson(200, "ada"),
    redirect: (response) => response.writeHead(302, { Location: "/login" }).end(),
    silent: () => {},
  };
  for (const [name, answer] of Object.entries(answers)) {
    const { url } = await startApi(t, answer);
    const asked = { url, cookie: "sid", timeoutMs: name === "silent" ? 50 : 10_000 };
    assert.equal(await askUser(jar({ sid: "s1" }), asked), undefined, name);
  }
});
