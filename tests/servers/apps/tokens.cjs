// Where the tokens are kept, as in tokens.py: rightly, and in the ways in which backends lose
// their users.
//
// Rule: `TOKENS` names the way. Whatever the way, a token that was revoked is refused by every
// worker.

const { randomBytes } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const jwt = require("jsonwebtoken");

const file = path.join(process.env.DATA, "tokens");
const revoked = path.join(process.env.DATA, "revoked");
const linesOf = (name) => (fs.existsSync(name) ? fs.readFileSync(name, "utf8").split("\n") : []);
const readTokens = () => new Map(linesOf(file).filter(Boolean).map(JSON.parse));
const opaque = () => randomBytes(24).toString("base64url");

/** Each worker knows the tokens that it issued itself, until it ends. */
function inMemory() {
  const names = new Map();
  return {
    issue(name) {
      const token = opaque();
      names.set(token, name);
      return token;
    },
    nameOf: (token) => names.get(token),
  };
}

/** A file: read at the start only, or, where it is shared, again at each request. */
function inFile({ shared }) {
  const names = readTokens();
  return {
    issue(name) {
      const token = opaque();
      names.set(token, name);
      fs.appendFileSync(file, `${JSON.stringify([token, name])}\n`);
      return token;
    },
    nameOf: (token) => (shared ? readTokens() : names).get(token),
  };
}

/** A signed token. Where the environment gives no key, each start silently makes a new one. */
function signed() {
  const key = process.env.SECRET_KEY || randomBytes(32).toString("hex");
  return {
    issue: (name) => jwt.sign({}, key, { subject: name, expiresIn: "12h" }),
    nameOf(token) {
      try {
        return jwt.verify(token, key).sub;
      } catch {
        return undefined;
      }
    },
  };
}

const ways = {
  memory: inMemory,
  "file-once": () => inFile({ shared: false }),
  shared: () => inFile({ shared: true }),
  signed,
};
const kept = ways[process.env.TOKENS]();

exports.issue = kept.issue;
exports.nameOf = (token) => (linesOf(revoked).includes(token) ? undefined : kept.nameOf(token));
exports.revoke = (token) => fs.appendFileSync(revoked, `${token}\n`);
