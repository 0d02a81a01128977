// The consumers of `npm run test:consumers` that need Node 22. That Node comes from the registry,
// as a package for x64 or arm64 Linux; elsewhere they are left out, and say so.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";

import { sources } from "./app.mjs";
import { TEST } from "./many.mjs";
import { startProgram } from "./program.mjs";
import { attempt } from "./workshop.mjs";

const inside = (folder, name) => path.join(folder, name);
/** The app's use of a keeper, as a function. */
const USE = sources.main.split("\n").slice(1).join("\n");

/** Node 22, where the machine is one that it was installed for. */
function node22(workshop) {
  const file = path.join(workshop, "node_modules", `node-linux-${process.arch}`, "bin/node");
  return process.platform === "linux" && existsSync(file) ? file : undefined;
}

const run = ({ workshop, program, folder }, name, args) =>
  attempt(node22(workshop), [program(name), ...args], folder, {
    NG_CLI_ANALYTICS: "false",
    PATH: `${path.dirname(node22(workshop))}${path.delimiter}${process.env.PATH}`,
  });

const angular = {
  name: "Angular 22",
  shows: "app: signed-out",
  files: {
    "package.json": JSON.stringify({ name: "app", private: true }),
    "angular.json": JSON.stringify({
      version: 1,
      projects: {
        app: {
          projectType: "application",
          root: "",
          sourceRoot: "src",
          architect: {
            build: {
              builder: "@angular/build:application",
              options: {
                browser: "src/main.ts",
                index: "src/index.html",
                tsConfig: "tsconfig.json",
                outputPath: "dist",
              },
            },
          },
        },
      },
    }),
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        ...{ target: "es2022", module: "preserve", moduleResolution: "bundler", strict: true },
        ...{ experimentalDecorators: true, types: [], lib: ["es2022", "dom", "dom.iterable"] },
      },
      files: ["src/main.ts"],
    }),
    "src/index.html": `<!doctype html>
      <html lang="en">
        <head><meta charset="utf-8" /><base href="/" /><link rel="icon" href="data:," /></head>
        <body><app-root></app-root></body>
      </html>`,
    "src/use.ts": `// @ts-nocheck
      import { createKeeper } from "session-keeper";
      export function use() { ${USE} }`,
    "src/main.ts": `
      import { HttpClient, provideHttpClient, withInterceptors } from "@angular/common/http";
      import { Component, inject, provideZonelessChangeDetection } from "@angular/core";
      import { bootstrapApplication } from "@angular/platform-browser";
      import { provideRouter } from "@angular/router";
      import { createKeeper } from "session-keeper";
      import { injectSession, provideSessionKeeper, sessionGuard } from "session-keeper/angular";
      import { keeperInterceptor } from "session-keeper/angular-http";
      import { use } from "./use";
      const baseUrl = new URLSearchParams(location.search).get("api") ?? undefined;
      const keeper = createKeeper<{ name: string }>({ baseUrl, log: "silent" });
      @Component({ selector: "app-root", template: "<p>app: {{ session() }} {{ user()?.name }}</p>" })
      class App {
        protected readonly http = inject(HttpClient);
        protected readonly session = injectSession().session;
        protected readonly user = injectSession<{ name: string }>().user;
      }
      void bootstrapApplication(App, {
        providers: [
          provideZonelessChangeDetection(),
          provideRouter([{ path: "private", component: App, canActivate: [sessionGuard("/login")] }]),
          provideSessionKeeper(keeper),
          provideHttpClient(withInterceptors([keeperInterceptor(keeper)])),
        ],
      }).then(use);`,
  },
  build: async (tools) => {
    await run(tools, "@angular/cli/bin/ng.js", ["build", "--output-hashing", "none"]);
    return inside(tools.folder, "dist/browser");
  },
};

const svelteKit = {
  name: "SvelteKit 3",
  shows: "store: signed-out, rune: signed-out",
  files: {
    "package.json": JSON.stringify({ name: "app", private: true, type: "module" }),
    "vite.config.js": `
      import adapter from "@sveltejs/adapter-node";
      import { sveltekit } from "@sveltejs/kit/vite";
      export default { plugins: [sveltekit({ adapter: adapter() })] };`,
    "src/app.html": `<!doctype html>
      <html lang="en">
        <head><meta charset="utf-8" /><link rel="icon" href="data:," />%sveltekit.head%</head>
        <body><div>%sveltekit.body%</div></body>
      </html>`,
    "src/lib/session.js": `
      import { createKeeper } from "session-keeper";
      import { sessionStore } from "session-keeper/svelte";
      const page = typeof location === "object" ? location.search : "";
      const baseUrl = new URLSearchParams(page).get("api") ?? "https://api.example.com";
      export const keeper = createKeeper({ baseUrl, log: "silent" });
      export const session = sessionStore(keeper);`,
    "src/routes/+page.svelte": `
      <script>
        import { onMount } from "svelte";
        import { createKeeper } from "session-keeper";
        import { session } from "../lib/session.js";
        onMount(() => { ${USE} });
      </script>
      <p>store: {$session.session}, rune: {session.current.session}</p>`,
  },
  async serve(tools) {
    await run(tools, "vite/bin/vite.js", ["build", "--logLevel", "warn"]);
    const started = await startProgram(
      inside(tools.folder, "build/index.js"),
      () => [],
      tools.folder,
      (port) => ({ PORT: port }),
      node22(tools.workshop),
    );
    const html = await fetch(started.origin).then((response) => response.text());
    assert.match(html.replace(/<!--.*?-->/g, ""), /store: restoring, rune: restoring/);
    return started;
  },
};

const vitest = {
  name: "Vitest 5, node",
  files: {
    "app.test.js": `
      import { createKeeper } from "session-keeper";
      import { expect, test } from "vitest";
      test("a keeper is made", async () => {${TEST}});`,
  },
  check: (tools) => run(tools, "vitest/vitest.mjs", ["run", "--reporter", "dot"]),
};

export const newest = [angular, svelteKit, vitest];
export const isThere = (workshop) => node22(workshop) !== undefined;
