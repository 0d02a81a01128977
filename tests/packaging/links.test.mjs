// What a reader of the package clicks: on the registry's page there is no repository around it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file) => readFile(path.join(root, file), "utf8");
const linksOf = (text) => [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);

it("README's links are absolute, and those into the repository lead to a file", async () => {
  const { repository } = JSON.parse(await read("package.json"));
  const home = repository.url.replace(/^git\+|\.git$/g, "");
  const links = linksOf(await read("README.md"));
  assert.ok(links.length > 10);
  for (const link of links.filter((link) => !link.startsWith("#"))) {
    assert.match(link, /^https:\/\//);
    const [, file] = link.match(new RegExp(`^${home}/(?:blob|tree)/main/([^#]+)`)) ?? [];
    assert.ok(!link.startsWith(home) || existsSync(path.join(root, file)), `${link} leads nowhere`);
  }
});

it("the links of the pages for frameworks lead to files", async () => {
  const folder = "docs/frameworks";
  const pages = linksOf(await read(`${folder}/README.md`));
  assert.ok(pages.length >= 10);
  for (const page of pages) {
    for (const link of linksOf(await read(path.join(folder, page)))) {
      if (/^(https:|#)/.test(link)) continue;
      const file = path.join(folder, link.replace(/#.*/, ""));
      assert.ok(existsSync(path.join(root, file)), `${page}: ${link} leads nowhere`);
    }
  }
});
