// Express in Node's cluster, as its tutorials have it. A refusal is `sendStatus(401)`: plain text.

const cluster = require("node:cluster");
const fs = require("node:fs");
const path = require("node:path");

if (cluster.isPrimary) {
  for (let i = 0; i < Number(process.env.WORKERS); i += 1) cluster.fork();
} else {
  serve();
}

function serve() {
  const express = require("express");
  const tokens = require("./tokens.cjs");
  const app = express();
  const bearer = (req) => (req.get("Authorization") ?? "").replace(/^Bearer /, "");

  app.use(express.json());
  app.use((req, res, next) => {
    res.set("X-Worker", process.pid);
    next();
  });

  app.post("/auth/login", (req, res) => {
    res.json({ access_token: tokens.issue(req.body.username), token_type: "bearer" });
  });

  app.get("/auth/me", (req, res) => {
    const username = tokens.nameOf(bearer(req));
    if (!username) return res.sendStatus(401);
    res.json({ username });
  });

  app.post("/auth/logout", (req, res) => {
    tokens.revoke(bearer(req));
    res.sendStatus(204);
  });

  app.get("/api/health", (req, res) => res.json({ status: "ok" }));
  app.use("/session-keeper", express.static(process.env.PACKAGE));
  app.use(express.static(process.env.PAGES));

  const server = app.listen(Number(process.env.PORT), "127.0.0.1", () => {
    fs.writeFileSync(path.join(process.env.DATA, "workers", String(process.pid)), "");
  });
  server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS);
}
