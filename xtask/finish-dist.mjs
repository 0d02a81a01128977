// Writes the declarations of each entry, once for `import` and once for `require`, and takes the
// wasm's digits out of the source maps: they would double what an installation downloads.
//
// The text is the same for both: a type that `import` and `require` see must say which of them it
// is for, and name its neighbours in the same way.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [dist, declarations] = process.argv.slice(2);

const sources = {
  index: "js/types.d.ts",
  slim: "js/slim.d.ts",
};
for (const file of readdirSync(declarations)) {
  sources[file.replace(/\.d\.ts$/, "")] = join(declarations, file);
}

for (const [entry, file] of Object.entries(sources)) {
  const text = readFileSync(file, "utf8").replace(/"\.\.?\/types\.js"/g, '"./index.js"');
  writeFileSync(join(dist, `${entry}.d.ts`), text);
  writeFileSync(join(dist, `${entry}.d.cts`), text.replace(/"(\.\/[\w-]+)\.js"/g, '"$1.cjs"'));
}

const single = {
  "global.d.ts": 'export * from "./index.js";\nexport as namespace sessionKeeper;\n',
  "wasm-url.d.ts":
    "/** Where the wasm lies, for `init` of `session-keeper/slim`. */\n" +
    "declare const url: string;\nexport default url;\n",
  "core.wasm.d.ts":
    '/** What it is depends on the bundler. */\nimport type { WasmInput } from "./slim.js";\n' +
    "declare const wasm: WasmInput;\nexport default wasm;\n",
};
for (const [file, text] of Object.entries(single)) writeFileSync(join(dist, file), text);

for (const file of readdirSync(dist).filter((name) => name.endsWith(".map"))) {
  const map = JSON.parse(readFileSync(join(dist, file), "utf8"));
  map.sourcesContent = map.sourcesContent.map((text, index) =>
    map.sources[index].endsWith("/bytes.js") ? null : text,
  );
  writeFileSync(join(dist, file), JSON.stringify(map));
}
