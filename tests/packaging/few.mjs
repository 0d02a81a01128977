// The consumers of every `npm test`: as a person sets them up who reads the first page of their
// manual, and nothing configured for this package.
//
// Each makes an app in `folder` with the tools of `bin`, and says which folder a visitor gets.

import path from "node:path";

import { page, sources } from "./app.mjs";

const MODULE = '<script type="module" src="./main.js"></script>';
const DEFERRED = '<script defer src="./main.js"></script>';

export const few = [
  {
    name: "Vite 8",
    files: { "index.html": page(MODULE), "main.js": sources.main },
    build: ({ node, folder }) =>
      node("vite/bin/vite.js", ["build", "--logLevel", "warn"]).then(() => inside(folder, "dist")),
  },
  {
    name: "Vite 8, slim",
    files: { "index.html": page(MODULE), "main.js": sources.slim },
    build: ({ node, folder }) =>
      node("vite/bin/vite.js", ["build", "--logLevel", "warn"]).then(() => inside(folder, "dist")),
  },
  {
    name: "esbuild",
    files: { "out/index.html": page(DEFERRED), "main.js": sources.main },
    build: ({ node, folder }) =>
      node("esbuild/bin/esbuild", [
        "main.js",
        "--bundle",
        "--minify",
        "--outfile=out/main.js",
      ]).then(() => inside(folder, "out")),
  },
  {
    name: "Rollup",
    files: { "out/index.html": page(DEFERRED), "main.js": sources.main },
    build: ({ node, folder }) =>
      node("rollup/dist/bin/rollup", [
        ...["main.js", "--format", "iife", "--file", "out/main.js"],
        ...["--plugin", "node-resolve", "--silent"],
      ]).then(() => inside(folder, "out")),
  },
  {
    name: "webpack",
    files: {
      "out/index.html": page(DEFERRED),
      "main.js": sources.main,
      "build.mjs": `
        import webpack from "webpack";
        const output = { path: import.meta.dirname + "/out", filename: "main.js" };
        const performance = { hints: false };
        webpack({ mode: "production", entry: "./main.js", output, performance }, (error, stats) => {
          if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
          const { warnings } = stats.toJson();
          if (warnings.length) throw new Error(JSON.stringify(warnings));
        });`,
    },
    build: ({ script, folder }) => script("build.mjs").then(() => inside(folder, "out")),
  },
  {
    name: "import map",
    files: {
      "index.html": page(
        `<script type="importmap">
          { "imports": { "session-keeper": "./session-keeper/index.js" } }
        </script>`,
        MODULE,
      ),
      "main.js": sources.main,
    },
    package: ["index.js"],
  },
  {
    name: "import map, slim",
    files: {
      "index.html": page(
        `<script type="importmap">
          { "imports": {
            "session-keeper/slim": "./session-keeper/slim.js",
            "session-keeper/wasm-url": "./session-keeper/wasm-url.js"
          } }
        </script>`,
        MODULE,
      ),
      "main.js": sources.slim,
    },
    package: ["slim.js", "wasm-url.js", "core.wasm"],
  },
  {
    name: "classic script",
    files: {
      "index.html": page('<script src="./session-keeper/global.js"></script>', DEFERRED),
      "main.js": sources.classic,
    },
    package: ["global.js"],
  },
  {
    name: "classic script, strict CSP",
    files: {
      "index.html": page('<script src="./session-keeper/global.js"></script>', DEFERRED),
      "main.js": sources.classic,
    },
    package: ["global.js"],
    headers: {
      "Content-Security-Policy": [
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src http:",
        "img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
      ].join("; "),
    },
  },
];

const inside = (folder, name) => path.join(folder, name);
