// The built package where there is no document: nothing happens, and nothing keeps the process up.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { dist } from "./platform.mjs";

const run = promisify(execFile);

/** What an app does when it is rendered on a server. */
const app = `
  const keeper = createKeeper({ baseUrl: "https://api.example.com" });
  const first = keeper.snapshot;
  await keeper.start();
  await keeper.signIn("token");
  await keeper.verify();
  keeper.reportResponse({ url: "https://api.example.com/x", status: 401 });
  keeper.subscribe(() => {})();
  await keeper.signOut();
  keeper.stop();
  console.log(JSON.stringify({
    constant: first === keeper.snapshot,
    session: first.session,
    signedIn: String(first.signedIn),
    headers: keeper.authHeaders("https://api.example.com/x"),
    history: keeper.history(),
    said: (() => { try { createKeeper({ auth: "basic" }); } catch (e) { return e.option; } })(),
  }));
`;
const inert = {
  constant: true,
  session: "restoring",
  signedIn: "undefined",
  headers: {},
  history: [],
  said: "auth",
};

describe("without a document", () => {
  const ways = {
    import: ["module", `import { createKeeper } from ${quoted("index.js")};${app}`],
    require: [
      "commonjs",
      `const { createKeeper } = require(${quoted("index.cjs")});(async () => {${app}})();`,
    ],
  };
  for (const [name, [type, source]] of Object.entries(ways)) {
    it(`the package that is taken by ${name} is inert and lets the process end`, async () => {
      const options = { timeout: 10_000 };
      const args = [`--input-type=${type}`, "--eval", source];
      const { stdout, stderr } = await run(process.execPath, args, options);
      assert.equal(stderr, "");
      assert.deepEqual(JSON.parse(stdout), inert);
    });
  }
});

function quoted(file) {
  return JSON.stringify(path.join(dist, file));
}
