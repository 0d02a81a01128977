// The built package where the tests of an app run it: in documents that are none of a browser's.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { JSDOM, VirtualConsole } from "jsdom";
import { dist } from "./platform.mjs";
import { startApi, useApp, WORKS } from "./runners/api.mjs";

const run = promisify(execFile);
const source = readFileSync(path.join(dist, "index.cjs"), "utf8");
/** What jsdom has not, and Jest's usual remedies bring. */
const NODE = {
  ...{ fetch, Request, Response, Headers, TextDecoder, TextEncoder },
  ...{ AbortController, AbortSignal },
};

/** A document of jsdom as Jest makes it, and the package as loaded in it. */
function openDocument(t, { url = "http://localhost/", more = {} } = {}) {
  const lines = [];
  const virtualConsole = new VirtualConsole();
  for (const level of ["warn", "error", "jsdomError"]) {
    virtualConsole.on(level, (text) => lines.push(`${level}: ${text}`));
  }
  const { window } = new JSDOM("", { url, runScripts: "outside-only", virtualConsole });
  t.after(() => window.close());
  Object.assign(window, more);
  const load = window.eval(`(function (module) { ${source}\nreturn module.exports; })`);
  return { window, lines, ...load({ exports: {} }) };
}

describe("in the tests of an app, the package", () => {
  it("is inert in Jest's jsdom, which has no fetch and TextDecoder, and says so", async (t) => {
    const { window, lines, createKeeper, KeeperError } = openDocument(t);
    assert.equal(window.TextDecoder, undefined, "this jsdom is not the one of Jest any more");
    const keeper = createKeeper({ baseUrl: "https://api.example.com" });
    createKeeper({ baseUrl: "https://other.example.com" });
    const { snapshot } = keeper;
    await keeper.start();
    await keeper.signIn("token");
    await keeper.verify();
    await keeper.signOut();
    keeper.stop();
    assert.equal(keeper.snapshot, snapshot);
    assert.equal(snapshot.session, "restoring");
    assert.throws(() => createKeeper({ helth: {} }), KeeperError);
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^warn: \[session-keeper\] Nothing is kept here: .*TextDecoder.*fetch/);
  });

  it("works in a jsdom that was given what it lacks", async (t) => {
    const api = await startApi();
    t.after(api.end);
    const { window, lines, createKeeper } = openDocument(t, { more: NODE });
    const app = window.eval(`(${useApp})`);
    const seen = await app(createKeeper, api.origin);
    assert.deepEqual(JSON.parse(JSON.stringify(seen)), JSON.parse(JSON.stringify(WORKS)));
    const credentials = api.seen.map(({ authorization }) => authorization);
    assert.ok(credentials.filter((sent) => sent === "Bearer good").length >= 2);
    assert.deepEqual(lines, []);
  });

  it("works where the document's AbortSignal is not the one that fetch knows", async (t) => {
    const api = await startApi();
    t.after(api.end);
    const { AbortController: _, AbortSignal: __, ...more } = NODE;
    const { window, createKeeper } = openDocument(t, { more });
    const app = window.eval(`(${useApp})`);
    const seen = await app(createKeeper, api.origin);
    assert.deepEqual(JSON.parse(JSON.stringify(seen)), JSON.parse(JSON.stringify(WORKS)));
  });

  it("works in Vitest's happy-dom, which has no globalThis.origin", async () => {
    const script = fileURLToPath(new URL("./runners/happy-dom.mjs", import.meta.url));
    const { stdout, stderr } = await run(process.execPath, [script], { timeout: 20_000 });
    assert.equal(stderr, "");
    const { origin, seen, ...result } = JSON.parse(stdout);
    assert.equal(origin, "undefined", "this happy-dom is not the one that it was");
    assert.deepEqual(result, JSON.parse(JSON.stringify(WORKS)));
    const sent = seen.filter(({ path }) => path === "/items").map((it) => it.authorization);
    assert.deepEqual(sent, ["Bearer good"]);
  });
});
