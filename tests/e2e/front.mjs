// A front before the platform's demo that adds headers to every answer, as a host of pages does.
//
// Rule: everything else goes through as it is.

import { createServer, request } from "node:http";

/** Starts it. `origin` is where the page is then. */
export async function startFront(upstream, headers) {
  const { hostname, port, host } = new URL(upstream);
  const server = createServer((incoming, outgoing) => {
    const { method, url: path } = incoming;
    const options = { hostname, port, method, path, headers: { ...incoming.headers, host } };
    const passed = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode, { ...answer.headers, ...headers });
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, end };
}
