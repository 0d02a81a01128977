// Cookie sessions where page and API are on different hosts, in Chromium and over https: each
// combination that docs/wire.md recommends, and a page of another site that nobody listed.
//
// Rule: without a keeper it is tested what the browser does with the backend's cookies and what the
// backend makes of the browser's headers; with one, that `csrf: { header }` is enough for both.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";
import { until } from "./harness.mjs";
import { dist, testPages } from "./platform.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const program = path.join(target, "debug/session-keeper-backend");
const PASSWORD = "correct horse battery staple";
const CREDENTIALS = { username: "ada", password: PASSWORD, cookie: true };
const run = promisify(execFile);

const SAME_SITE = { page: "app.shop.test", api: "api.shop.test", options: [] };
const CROSS_SITE = {
  page: "app.other.test",
  api: "api.shop.test",
  options: ["--cookie-same-site", "none"],
};

describe("cookies across hosts", { concurrency: 1 }, () => {
  for (const [name, hosts] of Object.entries({ "one site": SAME_SITE, "two sites": CROSS_SITE })) {
    test(`a page of another host signs in, changes and signs out: ${name}`, async (t) => {
      const world = await start(t, hosts);
      const page = await world.open(hosts.page);
      const signedIn = await call(page, world, "POST", "/auth/login", { body: CREDENTIALS });
      assert.equal(signedIn.status, 200);
      const csrf = signedIn.body.csrf_token;
      assert.equal(signedIn.csrf, csrf, "the header is exposed");
      const tag = { body: { name: "north" } };
      const refused = await call(page, world, "POST", "/api/tags", tag);
      assert.deepEqual([refused.status, refused.body.code], [403, "csrf_failed"]);
      const added = await call(page, world, "POST", "/api/tags", { ...tag, csrf });
      assert.equal(added.status, 201);
      await page.reload();
      const me = await call(page, world, "GET", "/auth/me");
      assert.deepEqual([me.status, me.body.csrf_token, me.csrf], [200, csrf, csrf]);
      const ended = await call(page, world, "POST", "/auth/logout", { csrf: me.csrf });
      assert.equal(ended.status, 204);
      assert.equal((await call(page, world, "GET", "/auth/me")).status, 401);
    });
  }

  for (const [name, hosts] of Object.entries({ "one site": SAME_SITE, "two sites": CROSS_SITE })) {
    test(`a keeper of another host needs the header's name alone: ${name}`, async (t) => {
      const world = await start(t, hosts);
      const page = await world.open(hosts.page, "/keeper.html");
      await keep(page, world);
      assert.equal(await signIn(page, world), 200);
      assert.equal(await addTag(page, "a"), 201, "it is in the answer of the sign-in");
      await page.reload();
      await keep(page, world);
      assert.equal(await addTag(page, "b"), 201, "it is asked for, or was verified already");
      const user = await verifiedUser(page);
      assert.deepEqual([user.username, user.csrf_token], ["ada", undefined]);

      // As an access token that has run out: only the refresh's own 403 tells the token.
      await forgetCookie(page, world, "__Host-session");
      await page.reload();
      await keep(page, world);
      await until("a refresh by the cookie", () => signedIn(page), { within: 20_000 });
      assert.equal(await addTag(page, "c"), 201);

      await page.evaluate(() => window.keeper.signOut());
      await signOutTold(page);
      assert.equal((await call(page, world, "GET", "/auth/me")).status, 401);
    });
  }

  test("a sign-out that was owed when the page was left carries the token later", async (t) => {
    const world = await start(t, SAME_SITE);
    const page = await world.open(SAME_SITE.page, "/keeper.html");
    await keep(page, world);
    await signIn(page, world);
    await until("it is verified", () => signedIn(page));
    world.isDown = true;
    await page.evaluate(() => window.keeper.signOut());
    await page.reload();
    await keep(page, world);
    assert.equal(await page.evaluate(() => window.keeper.snapshot.signedIn), false);
    world.isDown = false;
    await signOutTold(page);
    assert.equal((await call(page, world, "GET", "/auth/me")).status, 401);
  });

  test("a page of the API's own host reads the CSRF token from the cookie", async (t) => {
    const world = await start(t, SAME_SITE);
    const page = await world.open(SAME_SITE.api);
    await call(page, world, "POST", "/auth/login", { body: CREDENTIALS });
    const csrf = await page.evaluate(() => /__Host-csrf=([^;]+)/.exec(document.cookie)?.[1]);
    const added = await call(page, world, "POST", "/api/tags", { body: { name: "x" }, csrf });
    assert.equal(added.status, 201);
  });

  test("a page that nobody listed ends no session and reads none", async (t) => {
    const world = await start(t, SAME_SITE);
    const page = await world.open(SAME_SITE.page);
    await call(page, world, "POST", "/auth/login", { body: CREDENTIALS });
    // The same site, so that the browser sends the cookies; and another one.
    for (const host of ["evil.shop.test", "evil.test"]) {
      const evil = await world.open(host);
      const own = await tokens(world);
      await evil.evaluate(
        async (url, body) => {
          const init = { method: "POST", mode: "no-cors", credentials: "include", body };
          await fetch(url, init).catch(() => {});
        },
        `${world.api}/auth/logout`,
        JSON.stringify({ refresh_token: own.refresh_token }),
      );
      await submitForm(evil, `${world.api}/auth/logout`, own.refresh_token);
      const read = await call(evil, world, "GET", "/auth/me");
      assert.equal(read.status, undefined, "it may not read the answer");
      const still = await call(page, world, "GET", "/auth/me");
      assert.equal(still.status, 200, `${host} signed the user out`);
    }
  });
});

const keep = (page, { api }) =>
  page.evaluate(async (baseUrl) => {
    const csrf = { header: "X-CSRF-Token" };
    const options = { signOut: { path: "/auth/logout" }, refresh: { path: "/auth/refresh" } };
    window.keepSession({ baseUrl, auth: "cookie", csrf, ...options });
    await window.keeper.start();
  }, api);

const signIn = (page, { api }) =>
  page.evaluate(
    async (url, body) => {
      const headers = { "content-type": "application/json" };
      const init = { method: "POST", headers, credentials: "include", body };
      const response = await fetch(url, init);
      await window.keeper.signIn(await response.json());
      return response.status;
    },
    `${api}/auth/login`,
    JSON.stringify(CREDENTIALS),
  );

const addTag = async (page, name) =>
  (await page.evaluate((name) => window.addTag(name), name)).status;

const signedIn = (page) => page.evaluate(() => window.keeper.snapshot.session === "signed-in");

async function verifiedUser(page) {
  await until("it is verified", () => signedIn(page));
  return page.evaluate(() => window.keeper.snapshot.user);
}

async function signOutTold(page) {
  const told = () => window.keeper.history().some(({ code }) => code === "sign-out-told");
  await until("the server knows of the sign-out", () => page.evaluate(told), { within: 30_000 });
}

async function forgetCookie(page, { api }, name) {
  const cdp = await page.createCDPSession();
  const { cookies } = await cdp.send("Network.getCookies", { urls: [api] });
  const found = cookies.filter((cookie) => cookie.name === name);
  assert.equal(found.length, 1);
  const { domain, path, partitionKey } = found[0];
  await cdp.send("Network.deleteCookies", { name, domain, path, partitionKey });
  await cdp.detach();
}

/** A form of `text/plain` whose name and value make JSON, sent by a navigation. */
async function submitForm(page, url, token) {
  const arrived = page.waitForNavigation();
  await page.evaluate(
    (action, name) => {
      const form = Object.assign(document.createElement("form"), { action, method: "post" });
      form.enctype = "text/plain";
      form.append(Object.assign(document.createElement("input"), { name, value: '"}' }));
      document.body.append(form);
      form.submit();
    },
    url,
    `{"refresh_token":"${token}","x":"`,
  );
  const answer = await arrived;
  assert.equal(answer.status(), 403);
  assert.equal((await answer.json()).code, "foreign_origin");
  await page.goBack();
}

/** What the page is told; without `status` where it may not read the answer. */
function call(page, { api }, method, at, { body, csrf } = {}) {
  return page.evaluate(
    async (url, method, body, csrf) => {
      const headers = {};
      if (body) headers["content-type"] = "application/json";
      if (csrf) headers["x-csrf-token"] = csrf;
      const init = { method, headers, credentials: "include", body: body && JSON.stringify(body) };
      try {
        const answer = await fetch(url, init);
        const text = await answer.text();
        const header = answer.headers.get("x-csrf-token");
        return { status: answer.status, body: text && JSON.parse(text), csrf: header };
      } catch (error) {
        return { error: String(error) };
      }
    },
    `${api}${at}`,
    method,
    body,
    csrf,
  );
}

/** A pair of somebody else's, who is a user too. */
async function tokens({ backend }) {
  const { cookie, ...credentials } = CREDENTIALS;
  assert.equal(cookie, true);
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(credentials) };
  return (await fetch(`${backend}/auth/login`, init)).json();
}

async function start(t, { api, page, options }) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-hosts-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const world = { backend: undefined };
  const front = await startFront(folder, api, world);
  t.after(() => {
    front.closeAllConnections();
    front.close();
  });
  const { port } = front.address();
  await addUser(folder);
  const origin = `https://${page}:${port}`;
  const more = ["--allow-origin", origin, "--refresh", "--trusted-proxies", "1", ...options];
  const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", ...more], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines = readline.createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    new Promise((resolve) => lines.once("line", (text) => resolve([text]))),
    new Promise((_, reject) => child.once("exit", (code) => reject(new Error(`ended: ${code}`)))),
  ]);
  world.backend = line.replace("listening on ", "");
  world.api = `https://${api}:${port}`;
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROME || "/usr/bin/chromium",
    headless: true,
    acceptInsecureCerts: true,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
      "--host-resolver-rules=MAP *.test 127.0.0.1",
      // As browsers that block third parties' cookies: what is not partitioned is not kept.
      "--test-third-party-cookie-phaseout",
    ],
  });
  t.after(() => browser.close());
  world.open = async (host, at = "/page") => {
    const opened = await browser.newPage();
    await opened.goto(`https://${host}:${port}${at}`);
    return opened;
  };
  return world;
}

async function addUser(folder) {
  const child = spawn(program, ["user", "add", "ada", "--password-stdin"], {
    cwd: folder,
    stdio: ["pipe", "ignore", "inherit"],
  });
  child.stdin.end(PASSWORD);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(code, 0);
}

/** What a page with a keeper loads. */
const FILES = {
  "/keeper.html": path.join(testPages, "keeper.html"),
  "/keeper.js": path.join(testPages, "keeper.js"),
  "/session-keeper/index.js": path.join(dist, "index.js"),
};
const TYPES = { ".html": "text/html", ".js": "text/javascript" };

/** https for all hosts: a page on each, and the backend behind the API's. */
async function startFront(folder, api, world) {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name));
  const subject = ["-subj", "/CN=test", "-addext", "subjectAltName=DNS:*.shop.test,DNS:*.test"];
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await run("openssl", [...make, "-keyout", key, "-out", cert, "-days", "2", ...subject]);
  const pair = { key: await readFile(key), cert: await readFile(cert) };
  const server = createServer(pair, async (incoming, outgoing) => {
    const isApi = incoming.headers.host.startsWith(`${api}:`);
    const file = !isApi && FILES[incoming.url];
    if (file) {
      outgoing.setHeader("content-type", TYPES[path.extname(file)]);
      return outgoing.end(await readFile(file));
    }
    if (isApi && world.isDown) return outgoing.destroy();
    if (incoming.url === "/page" || !isApi) {
      outgoing.setHeader("content-type", "text/html");
      outgoing.end("<!doctype html><title>page</title><body></body>");
      return;
    }
    const headers = { ...incoming.headers, "x-forwarded-proto": "https" };
    headers["x-forwarded-for"] = "192.0.2.1";
    const { method, url } = incoming;
    const passed = request(`${world.backend}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
