// A visit of a page that has no wasm, on a server of the test's own making and a clock that stands
// still unless it is told to go on.

import { API, hush, json, load, openPage, stopTheClock } from "./face.mjs";

export const NAME = `session-keeper:${API}`;
export const ID = "00000000000000aa";
export const blocked = () => new WebAssembly.CompileError("blocked by CSP");

export const stored = (more) => ({
  [NAME]: JSON.stringify({ v: 1, origin: API, generation: 3, token_id: ID, ...more }),
});

export const ME = { name: "ada" };
export const page = (status) =>
  new Response("<!doctype html>", { status, headers: { "Content-Type": "text/html" } });

/** A keeper without wasm, on an API that knows one token. */
export async function visit(t, { options, refuse = blocked(), ...page } = {}) {
  const { store } = openPage(t, page);
  const lines = hush(t);
  const pass = stopTheClock(t);
  globalThis.refuseWasm = refuse;
  t.after(() => delete globalThis.refuseWasm);
  const api = { good: "good", sent: [], answer: undefined, health: () => json(200, {}) };
  t.mock.method(globalThis, "fetch", async (input, init) => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    const token = request.headers.get("authorization");
    api.sent.push({ path: pathname, token, method: request.method, request, init });
    if (pathname === "/api/health") return api.health();
    if (api.answer) return api.answer(request);
    return token === `Bearer ${api.good}` ? json(200, ME) : json(401, { detail: "no" });
  });
  const keeper = (await load()).createKeeper({ baseUrl: API, ...options });
  const events = [];
  for (const type of ["change", "signin", "signout", "forbidden", "server"]) {
    keeper.addEventListener(type, (event) => events.push(event));
  }
  const typed = (type) => events.filter((event) => event.type === type);
  const record = () => JSON.parse(store.get(NAME) ?? "null");
  return { keeper, api, store, lines, pass, typed, record };
}
