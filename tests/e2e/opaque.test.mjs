// Pages without an origin of their own: a sandboxed frame, and a file. They have no address that a
// relative `baseUrl` could mean, and a frame has no storage either.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { AT_ONCE, until, useBrowser } from "./harness.mjs";
import { dist } from "./platform.mjs";
import { startApi } from "./runners/api.mjs";

/** What a page finds that is told where its API is, and one that is not. */
async function tryBoth(createKeeper, baseUrl) {
  const inert = createKeeper();
  createKeeper({ baseUrl: "/v1" });
  await inert.start();
  const { session } = await inert.signIn("good");
  const keeper = createKeeper({ baseUrl });
  await keeper.signIn("good");
  const { status } = await keeper.fetch("/items");
  const verified = await keeper.verify();
  const { storage } = keeper.debug();
  keeper.stop();
  return { origin: globalThis.origin, session, status, verified: verified.session, storage };
}

describe("a page without an origin", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  it("in a sandboxed frame is inert, or works on the API that it is told", async (t) => {
    const api = await startApi();
    t.after(api.end);
    const visitor = await arrive(t, { headers: { "Access-Control-Allow-Origin": "*" } });
    await visitor.page.evaluate(() => {
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts";
      frame.src = "/keeper.html";
      document.body.append(frame);
    });
    const frame = await until("the frame", () => visitor.page.frames()[1]);
    await until("its script ran", () => frame.evaluate(() => window.ready));
    const source = `(${tryBoth})(window.createKeeper, ${JSON.stringify(api.origin)})`;
    assert.deepEqual(await frame.evaluate(source), {
      origin: "null",
      session: "restoring",
      status: 200,
      verified: "signed-in",
      storage: "memory",
    });
    const [, storage] = assertTold(visitor.consoleLines, 2);
    assert.match(storage, /Storage blocked or full/);
  });

  it("that is a file is inert, or works on the API that it is told", async (t) => {
    const api = await startApi();
    t.after(api.end);
    const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-file-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, "page.html");
    const code = await readFile(path.join(dist, "index.cjs"), "utf8");
    const script = `var module = { exports: {} };\n${code}\nvar keeperPackage = module.exports;`;
    await writeFile(file, "<!doctype html><script src=package.js></script>");
    await writeFile(path.join(folder, "package.js"), script);
    const visitor = await arrive(t);
    await visitor.page.goto(pathToFileURL(file).href);
    const source = `(${tryBoth})(keeperPackage.createKeeper, ${JSON.stringify(api.origin)})`;
    const seen = await visitor.page.evaluate(source);
    const works = { session: "restoring", status: 200, verified: "signed-in", storage: "local" };
    assert.deepEqual(seen, { origin: "null", ...works });
    assertTold(visitor.consoleLines, 1);
  });
});

/** The lines of ours, of which the first says what is missing. */
function assertTold(lines, count) {
  const told = lines.filter((line) => line.startsWith("[session-keeper]"));
  assert.equal(told.length, count, told.join("\n"));
  assert.match(told[0], /has no origin .*set baseUrl/);
  return told;
}
