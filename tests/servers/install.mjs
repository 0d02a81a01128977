// Installs the servers that others wrote: a Python environment and a folder of npm packages.
//
// Rule: exact versions, from the files beside this one; done once for each state of those files.
// What the machine lacks is an error that says what to install.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = fileURLToPath(new URL("./", import.meta.url));
const root = path.resolve(here, "../..");
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");

/** Where everything is installed. */
export const installed = path.join(target, "servers");
export const python = path.join(installed, "venv/bin/python");
export const nodeModules = path.join(installed, "npm/node_modules");

const stamp = path.join(installed, "stamp");
const lock = path.join(installed, "lock");
const AT_MOST_MS = 5 * 60_000;

/** Installs what is not installed yet. `say` gets one line for each step. */
export async function install(say = (line) => console.log(line)) {
  const wanted = await fingerprint();
  await mkdir(installed, { recursive: true });
  if (await isStamped(wanted)) return;
  await alone(async () => {
    if (await isStamped(wanted)) return;
    await rm(stamp, { force: true });
    // One waits for the network, the other unpacks.
    await Promise.all([installPython(say), installNode(say)]);
    await writeFile(stamp, wanted);
    say("servers: installed");
  });
}

const pinned = ["requirements.txt", "package.json", "package-lock.json"];

async function fingerprint() {
  // An environment of Python knows its folder, and packages may know the version of Node.js.
  const hash = createHash("sha256").update(installed).update(process.version);
  for (const name of pinned) hash.update(await readFile(path.join(here, name)));
  return hash.digest("hex");
}

async function isStamped(wanted) {
  if ((await readFile(stamp, "utf8").catch(() => "")) !== wanted) return false;
  // The environment leads to the machine's Python, which may have been replaced.
  return access(python).then(
    () => true,
    () => false,
  );
}

/** Test files run at the same time: one installs, the others wait for it. */
async function alone(work) {
  while (!(await take())) await delay(250);
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** Takes the lock, also from a process that was killed while it held it. */
async function take() {
  try {
    await writeFile(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const holder = Number(await readFile(lock, "utf8").catch(() => ""));
  if (holder && !isAlive(holder)) await rm(lock, { force: true });
  return false;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

async function installPython(say) {
  say("servers: installing Flask, Django, gunicorn, FastAPI and uvicorn");
  await makePython(path.join(installed, "venv"), path.join(here, "requirements.txt"), say);
}

/** Makes a folder an environment of Python with the packages that a file names. */
export async function makePython(folder, requirements, say) {
  const { stdout } = await run("python3", ["--version"]).catch(() => {
    throw new Error("python3 is missing: install Python 3.10 or later");
  });
  say(`making an environment of ${stdout.trim()}`);
  await rm(folder, { recursive: true, force: true });
  await makeEnvironment(folder, say);
  const its = path.join(folder, "bin/python");
  await attempt(its, ["-m", "pip", "install", "--no-deps", "--quiet", "-r", requirements]);
  await attempt(its, ["-m", "pip", "check"]);
}

async function makeEnvironment(folder, say) {
  const make = () => run("python3", ["-m", "venv", folder]);
  const hasVenv = await make().then(
    () => true,
    () => false,
  );
  if (hasVenv) return;
  await rm(folder, { recursive: true, force: true });
  const help = "python3 has no venv: `apt-get install -y python3-venv`";
  if (process.getuid?.() !== 0) throw new Error(help);
  say("installing python3-venv");
  await run("apt-get", ["install", "-y", "python3-venv"]).catch((error) => {
    throw new Error(`${help}\n${error.stderr ?? error.message}`);
  });
  await attempt("python3", ["-m", "venv", folder]);
}

async function installNode(say) {
  say("servers: installing Express and an OAuth 2.0 server");
  const folder = path.join(installed, "npm");
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  for (const name of ["package.json", "package-lock.json"]) {
    await cp(path.join(here, name), path.join(fresh, name));
  }
  const quiet = ["--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"];
  await attempt("npm", ["ci", ...quiet], { cwd: fresh });
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
}

/** Runs a tool; an error says what it was and what it complained about. */
async function attempt(tool, args, options = {}) {
  try {
    return await run(tool, args, { timeout: AT_MOST_MS, ...options });
  } catch (error) {
    const told = error.stderr || error.stdout || error.message;
    const command = [path.basename(tool), ...args].join(" ");
    throw new Error(`\`${command}\` failed; is the registry reachable?\n${told}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await install();
