// A small API that knows one token, for tests of an app that run it for real.

import { createServer } from "node:http";

/** Starts it on a free port; `seen` are the credentials that came; `revoke()` forgets the token. */
export async function startApi() {
  const seen = [];
  let good = "Bearer good";
  const server = createServer((request, response) => {
    const { origin = "*", authorization, cookie } = request.headers;
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Access-Control-Allow-Credentials", "true");
    response.setHeader("Access-Control-Allow-Headers", "authorization, x-background");
    response.setHeader("Content-Type", "application/json");
    if (request.method === "OPTIONS") return response.end();
    seen.push({ path: request.url, authorization, cookie });
    const isRefused = request.url === "/auth/me" && authorization !== good;
    response.statusCode = isRefused ? 401 : 200;
    response.end(JSON.stringify({ name: "ada" }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, seen, end, revoke: () => (good = undefined) };
}

/** What an app does in its tests. Runs in the environment, from its text. */
export async function useApp(createKeeper, baseUrl) {
  const keeper = createKeeper({ baseUrl, log: "silent" });
  await keeper.start();
  const before = keeper.snapshot.session;
  await keeper.signIn("good");
  const { status } = await keeper.fetch("/items");
  const { session, user, failure } = await keeper.verify();
  const stored = localStorage.getItem(`session-keeper:${baseUrl}`);
  await keeper.signOut();
  keeper.stop();
  const after = keeper.snapshot.session;
  return { before, status, session, user, failure, isStored: !!stored, after };
}

/** What it sees where everything works. */
export const WORKS = {
  before: "signed-out",
  status: 200,
  session: "signed-in",
  user: { name: "ada" },
  failure: undefined,
  isStored: true,
  after: "signed-out",
};
