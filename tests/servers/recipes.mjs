// The recipes of docs/refresh.md, as they stand there: what a reader copies is what runs here.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const page = new URL("../../docs/refresh.md", import.meta.url);

/** The first block of code under a heading: a script that calls `createKeeper` with its options. */
export async function recipe(heading) {
  const text = await readFile(page, "utf8");
  const [, section] = text.split(`\n### ${heading}\n`);
  assert.ok(section, `docs/refresh.md has no recipe "${heading}"`);
  const [, code] = /```ts\n(.*?)```/s.exec(section);
  return code;
}

/** Runs in the page: the options that a recipe gives to `createKeeper`. */
export const optionsOf = `(code) => {
  let options;
  new Function("createKeeper", code)((given) => (options = given));
  return options;
}`;
