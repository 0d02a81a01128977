// Small apps of the frameworks, bundled as a bundler does, in Node: rendered as on a server, and in
// a document of jsdom with the real core.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";
import { JSDOM } from "jsdom";
import { compile, compileModule } from "svelte/compiler";

import { API, loadReal, replace, serve, turn } from "../face.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "session-keeper-apps-"));
const bundles = new Map();
let loads = 0;

/** What bundlers put in for React and Vue. */
const DEFINED = {
  "process.env.NODE_ENV": '"development"',
  __VUE_OPTIONS_API__: "true",
  __VUE_PROD_DEVTOOLS__: "false",
  __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true",
};

/** What the apps show, as text. */
export const RESTORING = "restoring - unknown";

/** A fresh copy of the module `source`, as the bundler of a server or of a page makes it. */
export async function load(source, { on = "page", svelte = {} } = {}) {
  const key = on + source;
  if (!bundles.has(key)) bundles.set(key, bundle(source, on === "server", svelte));
  return import(`${pathToFileURL(await bundles.get(key))}?${loads++}`);
}

async function bundle(source, isServer, svelte) {
  const outfile = join(folder, `${bundles.size}.mjs`);
  await build({
    stdin: { contents: source, resolveDir: root, loader: "js" },
    outfile,
    bundle: true,
    format: "esm",
    logLevel: "error",
    platform: isServer ? "node" : "browser",
    define: DEFINED,
    conditions: isServer ? ["node"] : ["browser", "development"],
    mainFields: isServer ? undefined : ["browser", "module", "main"],
    banner: isServer
      ? { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' }
      : undefined,
    plugins: [compileSvelte(svelte, isServer ? "server" : "client")],
  });
  return outfile;
}

/** Components by name, and the files of packages that hold runes. */
function compileSvelte(components, generate) {
  const options = { generate, dev: generate === "client" };
  return {
    name: "svelte",
    setup(builder) {
      builder.onResolve({ filter: /\.svelte$/ }, ({ path }) =>
        path in components ? { path, namespace: "component" } : undefined,
      );
      builder.onLoad({ filter: /.*/, namespace: "component" }, ({ path: filename }) => {
        const { js } = compile(components[filename], { ...options, filename });
        return { contents: js.code, resolveDir: root };
      });
      builder.onLoad({ filter: /\.svelte\.js$/ }, ({ path: filename }) => {
        const { js } = compileModule(readFileSync(filename, "utf8"), { ...options, filename });
        return { contents: js.code };
      });
    },
  };
}

/** A document that shows `html`, and an API; both until the test is over. */
export function openDocument(t, html = "") {
  const dom = new JSDOM(`<!doctype html><body><div id="app">${html}</div></body>`, {
    url: "https://app.example.com/",
  });
  const { window } = dom;
  const ends = [];
  t.after(async () => {
    for (const end of ends.reverse()) await end();
    // What a framework has put off to the next tasks still needs the document.
    for (let i = 0; i < 10; i++) await turn();
  });
  const bound = (name) => window[name].bind(window);
  const globals = {
    window,
    document: window.document,
    location: window.location,
    navigator: window.navigator,
    localStorage: window.localStorage,
    origin: "https://app.example.com",
    addEventListener: bound("addEventListener"),
    removeEventListener: bound("removeEventListener"),
    [Symbol.for("session-keeper")]: undefined,
  };
  for (const name of Object.getOwnPropertyNames(window)) {
    if (/^(HTML|SVG|Node|Element|Text|Comment|Document|MathML|Mutation|CharacterData)/.test(name)) {
      globals[name] = window[name];
    }
  }
  for (const key of Reflect.ownKeys(globals)) replace(t, key, globals[key]);
  const api = serve(t);
  const element = window.document.getElementById("app");
  /** What runs after the test while there still is a document, the last one first. */
  const atEnd = (end) => ends.push(end);
  return {
    api,
    atEnd,
    element,
    text: () => element.textContent,
    click: (id) => clickOn(window, id),
  };
}

function clickOn(window, id) {
  window.document.getElementById(id).dispatchEvent(new window.Event("click", { bubbles: true }));
}

/** A keeper of the page that is open, which ends with the test. */
export async function keep({ atEnd }, { token, ...options } = {}) {
  const { createKeeper } = await loadReal();
  const keeper = createKeeper({ baseUrl: API, log: "silent", ...options });
  atEnd(() => keeper.stop());
  const user = { name: "ada" };
  if (token) await keeper.signIn(typeof token === "string" ? { token, user } : { ...token, user });
  return keeper;
}

/** The keeper of a server: there is no document yet. */
export async function keepOnServer() {
  assert.equal(globalThis.document, undefined, "a server has no document");
  const { createKeeper } = await loadReal();
  return createKeeper({ baseUrl: API });
}

/** How many follow the keeper's changes. */
export function countSubscribers(keeper) {
  let followers = 0;
  const { subscribe } = keeper;
  keeper.subscribe = (onChange) => {
    followers++;
    const stop = subscribe(onChange);
    let isStopped = false;
    return () => {
      if (!isStopped) followers--;
      isStopped = true;
      stop();
    };
  };
  return () => followers;
}
