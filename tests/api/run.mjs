// Asks the reference backend everything that its OpenAPI document allows, and much that it does
// not: schemathesis, with and without a user, over opaque and over signed tokens. Then tries names
// that exist beside names that do not.
//
// Rule: the real program on a folder of its own. It fails where an answer is not as documented,
// where the log shows a panic or a secret, or where an answer tells which names exist.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makePython } from "../servers/install.mjs";
import { askForAccounts, askUntilLimited } from "./accounts.mjs";
import { PASSWORD, target, withServer } from "./backend.mjs";
import { askUpstream } from "./upstream.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
const installed = path.join(target, "api");
const environment = path.join(installed, "venv");
const schemathesis = path.join(environment, "bin/schemathesis");

/** All that an answer may get wrong; what is left out would ask for a state that it made itself. */
const CHECKS = [
  ...["not_a_server_error", "status_code_conformance", "content_type_conformance"],
  ...["response_headers_conformance", "response_schema_conformance", "negative_data_rejection"],
  ...["missing_required_header", "unsupported_method", "allow_header_conformance", "ignored_auth"],
];
const UNLIMITED = ["--login-attempts", "1000000", "--login-attempts-per-address", "1000000"];
const EXAMPLES = 25;
const ALL_ON = ["--debug-token", "--bind-address", ...UNLIMITED];

await install();
await askUpstream(path.join(environment, "bin/python"));
console.log("upstream token: kept, shared, replaced");
// Python has one core to itself, and passwords take the other.
await Promise.all([documented(), accounts()]);

async function documented() {
  await withServer([...ALL_ON, "--refresh"], async (server) => {
    await schemathesisRun(server, "ada", "coverage,fuzzing");
    await schemathesisRun(server, "nobody", "coverage,fuzzing");
  });
  // The answers are the same ones: what differs is how a token is read.
  const others = ["--jwt", "eddsa", "--rotate-after-seconds", "60"];
  await withServer([...ALL_ON, ...others], (server) => schemathesisRun(server, "ada", "coverage"));
}

async function accounts() {
  await withServer(UNLIMITED, async (server) => {
    const asked = await askForAccounts(server);
    console.log(`${asked} sign-ins, to names that exist and to others: answered alike`);
  });
  await withServer(["--login-attempts", "5"], askUntilLimited);
  console.log("limits: alike too");
}

async function install() {
  const requirements = path.join(here, "requirements.txt");
  const stamp = path.join(installed, "stamp");
  const hash = createHash("sha256")
    .update(environment)
    .update(await readFile(requirements));
  const wanted = hash.digest("hex");
  const python = path.join(environment, "bin/python");
  const isThere = await access(python).then(
    () => true,
    () => false,
  );
  if (isThere && (await readFile(stamp, "utf8").catch(() => "")) === wanted) return;
  await mkdir(installed, { recursive: true });
  await rm(stamp, { force: true });
  await makePython(environment, requirements, (line) => console.log(`api: ${line}`));
  await writeFile(stamp, wanted);
}

async function schemathesisRun(server, as, phases) {
  const args = ["run", `${server.origin}/api/openapi.json`, "--checks", CHECKS.join(",")];
  args.push("--phases", phases, "--max-examples", `${EXAMPLES}`, "--seed", "1");
  args.push("--continue-on-failure", "--generation-database", "none", "--no-color");
  args.push("--warnings", "off", "--request-timeout", "30");
  const env = { ...process.env, ORIGIN: server.origin, PASSWORD, SECRETS: server.secrets, AS: as };
  // Its options would be another run's: it reads a file of settings where it is started.
  Object.assign(env, { SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: here });
  env.PYTHONDONTWRITEBYTECODE = "1";
  const child = spawn(schemathesis, args, { cwd: server.folder, env, stdio: "inherit" });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject).once("exit", resolve);
  });
  if (code !== 0) throw new Error(`schemathesis as ${as} failed: its report stands above`);
}
