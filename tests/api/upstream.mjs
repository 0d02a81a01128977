// The backend before an API of somebody else's, to which it signs in itself: one token for all its
// processes, kept across restarts. The OAuth server is Authlib's.
//
// Rule: what that server was asked for is counted there. A user's session never depends on it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { PASSWORD, program } from "./backend.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
const CREDENTIALS = {
  UPSTREAM_CLIENT_ID: "backend",
  UPSTREAM_CLIENT_SECRET: "s3cret-of-the-backend",
};
/** With what must be escaped in a form. */
const ODD_CREDENTIALS = {
  UPSTREAM_CLIENT_ID: "back end",
  UPSTREAM_CLIENT_SECRET: "s3cret: 100% & more",
};

/** All that is promised of the upstream token, with the Python that has Authlib. */
export async function askUpstream(python) {
  const folder = await mkdtemp(path.join(tmpdir(), "session-keeper-upstream-"));
  const oauth = await listen(spawn(python, [path.join(here, "oauth_server.py")], piped()));
  const world = { folder, oauth, servers: [] };
  try {
    await run(folder, ["user", "add", "ada", "--password-stdin"], PASSWORD);
    await restartsAskForNothing(world);
    await whatIsBadIsRemoved(world);
    await aRefusedTokenIsReplaced(world);
    await aClearedTokenIsReplacedByOneWorker(world);
    await diskTroubleMeansMemory(world);
    await persistenceCanBeSwitchedOff(world);
    await aWrongSecretIsNobodysSignOut(world);
    await nothingOfTheUserGoesThere(world);
  } finally {
    for (const server of world.servers) server.child.kill("SIGKILL");
    oauth.child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}

async function restartsAskForNothing(world) {
  const first = await start(world);
  await first.line(/Token persistence enabled\. File: \S+session-keeper-\d+\/upstream-\S+\.json/);
  await first.line(/Successfully obtained new token\. Expires in 4\d{4} seconds \(1[12] hours\)/);
  const token = await signIn(first);
  assert.equal((await nodes(first, token)).status, 200);
  await first.kill("SIGKILL");
  const second = await start(world, ["--workers", "2"]);
  await second.line(/Loaded valid token from disk\. Expires in \d+ seconds \(1[12] hours\)/);
  const answers = await Promise.all(Array.from({ length: 20 }, () => nodes(second, token)));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(await asked(world), 1, "no restart and no worker asks again");
  const file = await tokenFile(second);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await stat(path.dirname(file))).mode & 0o777, 0o700);
  await showsTheTokenToNobody(second, file);
  await second.kill("SIGTERM");
}

async function showsTheTokenToNobody(server, file) {
  const { access_token: secret } = JSON.parse(await readFile(file, "utf8"));
  const text = await (await fetch(`${server.origin}/api/debug/token`)).text();
  const shown = JSON.parse(text);
  assert.deepEqual(Object.keys(shown), ["status", "token_available", "token_info"]);
  assert.equal(shown.token_available, true);
  const { has_token: has, is_valid: valid, expires_in: left, expiry_time: end } = shown.token_info;
  assert.deepEqual([has, valid], [true, true]);
  assert.ok(left > 43_000 && left <= 43_200, `${left}`);
  assert.match(end, /^\d{4}-\d\d-\d\dT/);
  assert.ok(!text.includes(secret) && !server.log.includes(secret), "the token was shown");
  assert.ok(!server.log.includes(CREDENTIALS.UPSTREAM_CLIENT_SECRET), "the secret was shown");
}

async function whatIsBadIsRemoved(world) {
  const before = await asked(world);
  const file = world.servers.at(-1).file;
  const whole = JSON.parse(await readFile(file, "utf8"));
  const expired = { ...whole, expires_at: "2020-01-01T00:00:00.000Z" };
  const ofOthers = { ...whole, settings: "0".repeat(64) };
  const bad = ["{ half a fi", "", JSON.stringify(expired), JSON.stringify(ofOthers)];
  for (const [index, text] of bad.entries()) {
    await writeFile(file, text);
    const server = await start(world);
    await server.line(/The token file (is corrupt|has expired, or is of other settings): removed/);
    await server.line(/Successfully obtained new token/);
    assert.equal(await asked(world), before + index + 1, text);
    await server.kill("SIGTERM");
  }
  // Another program's file is not ours to remove.
  const foreign = path.join(world.folder, "package.json");
  await writeFile(foreign, '{"name":"theirs"}');
  const refused = await run(world.folder, serveLine(world, ["--upstream-token-file", foreign]), "");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /is no token file of ours/);
  assert.equal(await readFile(foreign, "utf8"), '{"name":"theirs"}');
}

async function aRefusedTokenIsReplaced(world) {
  const server = await start(world, ["--workers", "2"]);
  const token = await signIn(server);
  const before = await asked(world);
  await fetch(`${world.oauth.origin}/revoke`, { method: "POST" });
  const answers = await Promise.all(Array.from({ length: 12 }, () => nodes(server, token)));
  assert.ok(
    answers.every(({ status }) => status === 200),
    "a 401 of theirs is asked again with another token",
  );
  const more = (await asked(world)) - before;
  assert.ok(more >= 1 && more <= 2, `${more}: at most one for each worker that was refused`);
  assert.equal((await ask(server, "/auth/me", token)).status, 200);
  await server.kill("SIGTERM");
}

async function aClearedTokenIsReplacedByOneWorker(world) {
  const server = await start(world, ["--workers", "2"]);
  const token = await signIn(server);
  await nodes(server, token);
  const before = await asked(world);
  const line = ["upstream", "clear", "--upstream-token-url", `${world.oauth.origin}/oauth/token`];
  const cleared = await run(world.folder, [...line, "--upstream-scope", "nodes"], "", world);
  assert.equal(cleared.code, 0, cleared.stderr);
  assert.match(cleared.stdout, /^cleared \S+upstream-\S+\.json/);
  const answers = await Promise.all(Array.from({ length: 20 }, () => nodes(server, token)));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(await asked(world), before + 1, "one worker asks, and the other reads");
  await server.kill("SIGTERM");
}

async function diskTroubleMeansMemory(world) {
  const file = path.join(world.folder, "full", "upstream.json");
  // No temporary file can be made: what a full or a read-only disk does.
  await mkdir(`${file}.new`, { recursive: true });
  const server = await start(world, ["--upstream-token-file", file]);
  await server.line(/cannot write \S+upstream\.json: .*: the upstream token is in memory only/);
  const token = await signIn(server);
  const before = await asked(world);
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await nodes(server, token)).status, 200);
  assert.equal(await asked(world), before, "it has one, though it cannot keep it");
  await server.kill("SIGTERM");
  await rmdir(`${file}.new`);
}

async function persistenceCanBeSwitchedOff(world) {
  const file = path.join(world.folder, "off", "upstream.json");
  const more = ["--upstream-token-file", file];
  for (let turn = 0; turn < 2; turn += 1) {
    const before = await asked(world);
    const server = await start(world, more, { DISABLE_TOKEN_PERSISTENCE: "true" });
    await server.line(/Token persistence disabled: each start asks for another upstream token/);
    await server.line(/Successfully obtained new token/);
    assert.equal(await asked(world), before + 1);
    await server.kill("SIGTERM");
  }
  await assert.rejects(stat(file), { code: "ENOENT" });
}

async function aWrongSecretIsNobodysSignOut(world) {
  const file = path.join(world.folder, "wrong", "upstream.json");
  const wrong = { UPSTREAM_CLIENT_SECRET: "wrong" };
  const server = await start(world, ["--upstream-token-file", file], wrong);
  await server.line(/no upstream token yet: .*it answers 401 \(invalid_client\)/);
  const token = await signIn(server);
  const before = await asked(world);
  for (let turn = 0; turn < 5; turn += 1) {
    const answer = await nodes(server, token);
    assert.deepEqual([answer.status, answer.body.code], [502, "upstream_failed"]);
  }
  assert.ok((await asked(world)) <= before + 1, "a server in trouble is not asked each time");
  assert.equal((await ask(server, "/auth/me", token)).status, 200);
  await server.kill("SIGTERM");
}

async function nothingOfTheUserGoesThere(world) {
  const body = { upstreamAuth: "body" };
  const file = path.join(world.folder, "body", "upstream.json");
  const more = ["--upstream-token-file", file, "--upstream-client-auth", "body"];
  const server = await start(world, more, ODD_CREDENTIALS);
  const token = await signIn(server);
  const headers = { "content-type": "application/json", cookie: "a=b", "x-csrf-token": "c" };
  const init = { method: "PUT", body: JSON.stringify(body), headers };
  const answer = await ask(server, "/api/upstream/nodes/7?x=1", token, init);
  assert.equal(answer.status, 200);
  assert.equal(answer.body.path, "/v2/nodes/7?x=1");
  assert.deepEqual([answer.body.method, answer.body.body], ["PUT", body]);
  for (const name of ["cookie", "x-csrf-token", "x-forwarded-for", "origin"]) {
    assert.ok(!answer.body.headers.includes(name), `${name} went there`);
  }
  assert.equal(answer.headers.get("set-cookie"), null, "no cookie of theirs comes back");
  const missing = await ask(server, "/api/upstream/missing", token);
  assert.deepEqual([missing.status, missing.body], [404, { error: "no such node" }]);
  const outside = await ask(server, "/api/upstream/..%2f..%2foauth/token", token);
  assert.equal(outside.status, 400);
  assert.equal((await ask(server, "/api/upstream/nodes", "wrong")).status, 401);
  await server.kill("SIGTERM");
}

function serveLine(world, more) {
  const { origin } = world.oauth;
  return [
    ...["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:data/tokens.sqlite"],
    ...["--upstream-url", `${origin}/v2`, "--upstream-token-url", `${origin}/oauth/token`],
    ...["--upstream-scope", "nodes", "--debug-token", ...more],
  ];
}

async function start(world, more = [], env = {}) {
  const options = { cwd: world.folder, ...piped(environment(world, env)) };
  const server = await listen(spawn(program, serveLine(world, more), options));
  server.file = world.servers.at(-1)?.file;
  world.servers.push(server);
  return server;
}

function environment({ folder }, env = {}) {
  return { ...process.env, ...CREDENTIALS, TMPDIR: folder, ...env };
}

function piped(env = process.env) {
  return { stdio: ["ignore", "pipe", "pipe"], env };
}

async function listen(child) {
  const server = { child, log: "" };
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.stderr.setEncoding("utf8").on("data", (text) => {
    server.log += text;
    child.emit("log");
  });
  const lines = readline.createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise((resolve) => lines.once("line", resolve)),
    ended.then((code) => `it ended with ${code}`),
  ]);
  server.origin = first.match(/^listening on (http:\S+)$/)?.[1];
  if (!server.origin) throw new Error(`nobody listens: ${first}\n${server.log}`);
  server.kill = async (signal) => {
    child.kill(signal);
    await ended;
  };
  server.line = (pattern) =>
    new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no ${pattern} in\n${server.log}`));
      const timer = setTimeout(late, 30_000);
      const look = () => {
        if (!pattern.test(server.log)) return;
        clearTimeout(timer);
        child.off("log", look);
        resolve();
      };
      child.on("log", look);
      look();
    });
  return server;
}

/** Runs the program to its end. */
async function run(folder, line, input, world = { folder }) {
  const env = environment(world);
  const child = spawn(program, line, { cwd: folder, stdio: ["pipe", "pipe", "pipe"], env });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
  }
  // One that has refused its arguments reads nothing.
  child.stdin.on("error", () => {}).end(input);
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  return { code, ...output };
}

async function tokenFile(server) {
  const [, file] = server.log.match(/Token persistence enabled\. File: (\S+)/) ?? [];
  server.file = file;
  return file;
}

async function asked({ oauth }) {
  return (await (await fetch(`${oauth.origin}/seen`)).json()).asked;
}

async function signIn(server) {
  const init = { method: "POST", body: JSON.stringify({ username: "ada", password: PASSWORD }) };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server.origin}/auth/login`, { ...init, headers });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

async function ask(server, target, token, init = {}) {
  const headers = { ...init.headers, authorization: `Bearer ${token}` };
  const answer = await fetch(`${server.origin}${target}`, { ...init, headers });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

function nodes(server, token) {
  return ask(server, "/api/upstream/nodes", token);
}
