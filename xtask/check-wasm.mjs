// Compiles the wasm that will be delivered, as a browser would, and looks at what it imports.
//
// An optimiser may write what no engine takes, and a native call that slipped in shows as an
// import from "env" that nothing provides. A path of the machine it was built on would make the
// bytes differ from one machine to the next.

import { readFileSync } from "node:fs";
import { homedir } from "node:os";

const path = process.argv[2];
const bytes = readFileSync(path);
const module = new WebAssembly.Module(bytes);
const strangers = WebAssembly.Module.imports(module).filter(({ module }) => module === "env");
if (strangers.length > 0) {
  const names = strangers.map(({ name }) => name).join(", ");
  fail(`${path} imports from "env", which no page provides: ${names}`);
}
for (const folder of [homedir(), process.cwd()]) {
  if (bytes.includes(`${folder}/`)) fail(`${path} contains the path ${folder}/ of this machine`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
