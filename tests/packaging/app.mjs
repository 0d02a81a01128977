// The app that every consumer builds, the files it is made of, and a server for what comes out.

import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { gzipSync } from "node:zlib";

import { useApp } from "../e2e/runners/api.mjs";

/** Uses the keeper of `createKeeper` as an app does, and leaves in the page what it saw. */
const USE = `
const api = new URLSearchParams(location.search).get("api");
(${useApp})(createKeeper, api).then(
  (seen) => (document.documentElement.dataset.seen = JSON.stringify(seen)),
  (error) => (document.documentElement.dataset.seen = JSON.stringify(String(error))),
);
`;

export const sources = {
  /** The main entry. */
  main: `import { createKeeper } from "session-keeper";\n${USE}`,
  /** The wasm as a file of its own. */
  slim: `import { createKeeper, init } from "session-keeper/slim";
import wasm from "session-keeper/wasm-url";
init(wasm);
${USE}`,
  /** A classic script. */
  classic: `const { createKeeper } = window.sessionKeeper;\n${USE}`,
};

/** A page with these scripts. */
export const page = (...scripts) => `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><link rel="icon" href="data:," />${scripts.join("")}</head>
  <body></body>
</html>
`;

/** Writes an app's files into a folder of its own. */
export async function makeApp(workshop, name, files) {
  const folder = path.join(workshop, "apps", name.replace(/\W+/g, "-"));
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), text);
  }
  return folder;
}

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Serves a folder on a free port, each answer with `headers`. */
export async function serveFolder(folder, headers = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = path.join(folder, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    const isThere = await stat(file).then(
      (it) => it.isFile() && file.startsWith(folder),
      () => false,
    );
    if (!isThere) return response.writeHead(404).end();
    const type = TYPES[path.extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, ...headers });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a visitor downloads of a folder: scripts and wasm, raw and gzip -9. */
export async function weigh(folder) {
  const names = await readdir(folder, { recursive: true });
  const size = { raw: 0, gzip: 0 };
  for (const name of names.filter((name) => /\.(m?js|wasm)$/.test(name))) {
    const bytes = await readFile(path.join(folder, name));
    size.raw += bytes.length;
    size.gzip += gzipSync(bytes, { level: 9 }).length;
  }
  return size;
}
