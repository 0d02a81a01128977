// Loads every entry of the unpacked package the two ways Node has, and looks for what breaks
// consumers.
//
// Importing must do nothing: no fetch, no top-level await, no DOM. Node has no document, so a
// package that touched one would throw here.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// Angular's libraries are finished by its compiler, which an app's build runs.
import "@angular/compiler";

const folder = process.argv[2];
const { exports, files } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const require = createRequire(import.meta.url);

/** Entries for a page or a bundler, which Node has no use for. */
const NOT_FOR_NODE = ["./global", "./wasm-url", "./core.wasm", "./package.json"];
/** What breaks bundlers. Only one entry is for those that know `new URL`. */
const FORBIDDEN = ["import.meta", "import("];

globalThis.fetch = () => fail("an entry fetches at import");
for (const [name, entry] of Object.entries(exports)) {
  if (NOT_FOR_NODE.includes(name)) continue;
  const imported = await import(join(folder, entry.import.default));
  const required = require(join(folder, entry.require.default));
  const [names, also] = [imported, required].map((it) => Object.keys(it).sort().join(", "));
  if (!names || names !== also) fail(`${name}: import gives ${names}, require gives ${also}`);
  const declared = readFileSync(join(folder, entry.import.types), "utf8");
  const missing = names.split(", ").filter((it) => !new RegExp(`\\b${it}\\b`).test(declared));
  if (name !== "./slim" && missing.length) fail(`${name}: ${missing} has no declaration`);
  const source = readFileSync(join(folder, entry.import.default), "utf8");
  for (const forbidden of FORBIDDEN) {
    if (source.includes(forbidden)) fail(`${name} contains ${forbidden}, which breaks bundlers`);
  }
}

for (const file of paths(exports)) readFileSync(join(folder, file));
for (const file of files.filter((file) => /^[A-Z]/.test(file))) readFileSync(join(folder, file));
for (const format of ["js", "cjs"]) {
  const map = readFileSync(join(folder, `dist/index.${format}.map`), "utf8");
  if (/[0-9a-f]{1000}/.test(map)) fail("a source map carries the wasm once more");
}

function paths(value) {
  return typeof value === "string" ? [value] : Object.values(value).flatMap(paths);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
