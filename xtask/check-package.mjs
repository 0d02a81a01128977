// Loads the unpacked package the two ways Node has, and looks for what breaks consumers.
//
// Importing must do nothing: no fetch, no top-level await, no DOM. Node has no document, so a
// package that touched one would throw here.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const folder = process.argv[2];
const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const face = exports["."];

const imported = await import(join(folder, face.import.default));
const required = createRequire(import.meta.url)(join(folder, face.require.default));
for (const [how, module] of [
  ["import", imported],
  ["require", required],
]) {
  const names = Object.keys(module).sort().join(", ");
  if (names !== "KeeperError, createKeeper") {
    fail(`${how} gives ${names || "nothing"}, and types.d.ts declares KeeperError, createKeeper`);
  }
}

for (const { types } of [face.import, face.require]) readFileSync(join(folder, types));
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) readFileSync(join(folder, licence));

const source = readFileSync(join(folder, face.import.default), "utf8");
for (const forbidden of ["import.meta", "import("]) {
  if (source.includes(forbidden)) fail(`the package contains ${forbidden}, which breaks bundlers`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
