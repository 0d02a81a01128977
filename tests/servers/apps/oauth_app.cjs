// @node-oauth/oauth2-server behind Express, as its documentation has it, for a public client. Each
// refresh hands out a new pair and revokes the old refresh token; what it knows outlives a restart.

const fs = require("node:fs");
const path = require("node:path");
const express = require("express");
const OAuth2Server = require("@node-oauth/oauth2-server");

const { Request, Response } = OAuth2Server;
const file = path.join(process.env.DATA, "oauth.json");
const client = { id: "web", grants: ["password", "refresh_token"] };
const known = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : [];
const keep = () => fs.writeFileSync(file, JSON.stringify(known));
const find = (name, token) => {
  const row = known.find((row) => row[name] === token);
  const asDate = (time) => time && new Date(time);
  return (
    row && {
      ...row,
      accessTokenExpiresAt: asDate(row.accessTokenExpiresAt),
      refreshTokenExpiresAt: asDate(row.refreshTokenExpiresAt),
    }
  );
};

const model = {
  getClient: async (id) => id === client.id && client,
  getUser: async (username, password) => username === "demo" && password === "demo" && { username },
  saveToken: async (token, client, user) => {
    const row = { ...token, client, user };
    known.push(row);
    keep();
    return row;
  },
  getAccessToken: async (token) => find("accessToken", token),
  getRefreshToken: async (token) => find("refreshToken", token),
  revokeToken: async ({ refreshToken }) => {
    const row = known.find((row) => row.refreshToken === refreshToken);
    if (row) delete row.refreshToken;
    keep();
    return !!row;
  },
};
const oauth = new OAuth2Server({
  model,
  accessTokenLifetime: Number(process.env.ACCESS_SECONDS),
  requireClientAuthentication: { password: false, refresh_token: false },
});

/** What the library says is the answer. */
const by = (work) => async (req, res) => {
  const response = new Response(res);
  const answer = await work(new Request(req), response).catch((error) => {
    res.status(error.code || 500);
    return { error: error.name, error_description: error.message };
  });
  res.set(response.headers).json(answer);
};
const token = async (request, response) => {
  await oauth.token(request, response);
  return response.body;
};
const user = async (request, response) => (await oauth.authenticate(request, response)).user;

const app = express();
app.use(express.urlencoded());
app.post("/oauth/token", by(token));
app.get("/auth/me", by(user));
app.post("/oauth/revoke", async (req, res) => {
  res.sendStatus((await model.revokeToken({ refreshToken: req.body.token })) ? 200 : 400);
});
app.get("/api/health", (req, res) => res.json({ status: "ok" }));
app.use("/session-keeper", express.static(process.env.PACKAGE));
app.use(express.static(process.env.PAGES));

app.listen(Number(process.env.PORT), "127.0.0.1", () => {
  fs.writeFileSync(path.join(process.env.DATA, "workers", String(process.pid)), "");
});
