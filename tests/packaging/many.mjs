// The consumers of `npm run test:consumers` beside the few: older, slower, larger, and those that
// make no page. As a person sets them up, and nothing configured for this package.

import assert from "node:assert/strict";
import path from "node:path";

import { page, sources } from "./app.mjs";
import { next } from "./next.mjs";
import { startProgram } from "./program.mjs";

const MODULE = '<script type="module" src="./main.js"></script>';
const DEFERRED = '<script defer src="./main.js"></script>';
const inside = (folder, name) => path.join(folder, name);

/** What an app's own test does with its keeper in a runner without a page of a browser. */
export const TEST = `
  const keeper = createKeeper({ baseUrl: "https://api.example.com", log: "silent" });
  await keeper.start();
  await keeper.signIn("token");
  expect(["restoring", "unverified"]).toContain(keeper.snapshot.session);
  keeper.stop();
`;

const vitest = (environment) => ({
  name: `Vitest 4, ${environment}`,
  files: {
    "app.test.js": `
      import { createKeeper } from "session-keeper";
      import { expect, test } from "vitest";
      test("a keeper is made", async () => {${TEST}});`,
  },
  check: ({ node }) =>
    node("vitest/vitest.mjs", ["run", "--environment", environment, "--reporter", "dot"]),
});

const jest = (environment) => ({
  name: `Jest 30, ${environment}`,
  files: {
    "package.json": JSON.stringify({ jest: { testEnvironment: environment } }),
    "app.test.js": `
      const { createKeeper } = require("session-keeper");
      test("a keeper is made", async () => {${TEST}});`,
  },
  check: ({ node, folder }) => node("jest/bin/jest.js", ["--rootDir", folder]),
});

/** `module` and `moduleResolution` of a user who has not looked at them for years, and of others. */
const typescript = (resolution, more) => ({
  name: `TypeScript 5.0, ${resolution}`,
  files: {
    "package.json": JSON.stringify({ type: "module" }),
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        ...{ target: "es2022", lib: ["es2022", "dom", "dom.iterable"], strict: true, types: [] },
        ...{ noEmit: true, moduleResolution: resolution, exactOptionalPropertyTypes: true },
        // Whether the declarations of others suit an old compiler is for them to say.
        ...{ skipLibCheck: true, ...more },
      },
      files: ["app.ts"],
    }),
    "app.ts": `
      import { createKeeper, type Snapshot } from "session-keeper";
      import { useSession } from "session-keeper/react";
      import { init } from "session-keeper/slim";
      interface User { name: string }
      const keeper = createKeeper<User>({ baseUrl: "/v1" });
      export const name = (snapshot: Snapshot<User>): string | undefined =>
        snapshot.session === "signed-in" ? snapshot.user.name : snapshot.user?.name;
      export function Header(): string | undefined {
        const view = useSession(keeper);
        return view.session === "signed-in" ? view.user.name : view.lastSignOut?.reason;
      }
      init("/core.wasm");
      // @ts-expect-error: no such option
      createKeeper({ basePath: "/v1" });`,
  },
  check: ({ node }) => node("typescript50/bin/tsc", ["-p", "."]),
});

export const many = [
  {
    name: "Vite 7",
    files: { "index.html": page(MODULE), "main.js": sources.main },
    build: ({ node, folder }) =>
      node("vite/bin/vite.js", ["build", "--logLevel", "warn"]).then(() => inside(folder, "dist")),
  },
  {
    name: "Vite 7, its server",
    files: { "index.html": page(MODULE), "main.js": sources.main },
    serve: ({ program, folder }) =>
      startProgram(program("vite/bin/vite.js"), (port) => ["--port", port, "--strictPort"], folder),
  },
  {
    name: "rspack",
    files: {
      "out/index.html": page(DEFERRED),
      "main.js": sources.main,
      "build.mjs": `
        import { rspack } from "@rspack/core";
        const output = { path: import.meta.dirname + "/out", filename: "main.js" };
        rspack({ mode: "production", entry: "./main.js", output }, (error, stats) => {
          if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
        });`,
    },
    build: ({ script, folder }) => script("build.mjs").then(() => inside(folder, "out")),
  },
  {
    name: "Parcel 2",
    files: { "index.html": page(MODULE), "main.js": sources.main },
    build: ({ node, folder }) => {
      const places = ["--dist-dir", "dist", "--no-cache", "--no-source-maps", "--public-url", "./"];
      return node("parcel/lib/bin.js", ["build", "index.html", ...places]).then(() =>
        inside(folder, "dist"),
      );
    },
  },
  next("Turbopack", []),
  next("webpack", ["--webpack"]),
  ...["node", "jsdom", "happy-dom"].map(vitest),
  ...["node", "jsdom"].map(jest),
  typescript("bundler", { module: "es2022" }),
  typescript("node16", { module: "node16" }),
  typescript("nodenext", { module: "nodenext" }),
  typescript("node", { module: "es2022" }),
];

assert.equal(new Set(many.map(({ name }) => name)).size, many.length);
