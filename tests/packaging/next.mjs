// Next's app router: a page with the adapter for React, rendered on the server and taken over, and
// a proxy with `requireCookie`.

import assert from "node:assert/strict";

import { sources } from "./app.mjs";
import { startProgram } from "./program.mjs";

const QUIET = { NEXT_TELEMETRY_DISABLED: "1" };

const files = {
  "app/layout.js": `
    import { Keeper } from "./keeper.js";
    export default function Layout({ children }) {
      return <html lang="en"><body><Keeper>{children}</Keeper></body></html>;
    }`,
  "app/keeper.js": `
    "use client";
    import { createKeeper } from "session-keeper";
    import { KeeperProvider, useSession } from "session-keeper/react";
    const keeper = createKeeper({ baseUrl: "https://api.example.com", health: false, log: "silent" });
    export function Keeper({ children }) {
      return <KeeperProvider keeper={keeper}>{children}</KeeperProvider>;
    }
    export function Session() {
      return <p>session: {useSession().session}</p>;
    }`,
  "app/page.js": `
    import { Session } from "./keeper.js";
    import { Use } from "./use.js";
    export default function Page() {
      return <><Session /><Use /></>;
    }`,
  "app/use.js": `
    "use client";
    import { createKeeper } from "session-keeper";
    import { useEffect } from "react";
    function use() {
      ${sources.main.split("\n").slice(1).join("\n")}
    }
    export function Use() {
      useEffect(use, []);
      return null;
    }`,
  "app/private/page.js": `
    import { cookies } from "next/headers";
    import { askUser } from "session-keeper/next";
    export default async function Page() {
      const url = "http://127.0.0.1:9/auth/me";
      const user = await askUser(await cookies(), { url, cookie: "sid" });
      return <p>{user ? user.name : "nobody is known here"}</p>;
    }`,
  "app/icon.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" />',
  "proxy.js": `
    import { requireCookie } from "session-keeper/next";
    export const proxy = requireCookie({ cookie: "sid" });
    export const config = { matcher: "/private/:path*" };`,
  "next.config.mjs": `
    import path from "node:path";
    const root = path.resolve(import.meta.dirname, "../..");
    export default { turbopack: { root }, outputFileTracingRoot: root };`,
};

/** One of Next's two bundlers. */
export const next = (bundler, options) => ({
  name: `Next 16, ${bundler}`,
  files,
  async serve({ node, program, folder }) {
    await node("next/dist/bin/next", ["build", ...options], QUIET);
    const started = await startProgram(
      program("next/dist/bin/next"),
      (port) => ["start", "--port", port],
      folder,
      () => QUIET,
    );
    await check(started.origin).catch(async (error) => {
      await started.end();
      throw error;
    });
    return started;
  },
});

/** What its server sends. */
async function check(origin) {
  const html = await fetch(origin).then((response) => response.text());
  assert.match(html.replace(/<!-- -->/g, ""), /session: restoring/);
  const led = await fetch(`${origin}/private`, { redirect: "manual" });
  assert.equal(led.status, 307);
  assert.equal(new URL(led.headers.get("location"), origin).search, "?returnUrl=%2Fprivate");
  const passed = await fetch(`${origin}/private`, { headers: { Cookie: "sid=s1" } });
  assert.match(await passed.text(), /nobody is known here/);
}
