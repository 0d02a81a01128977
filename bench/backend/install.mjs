// Installs Flask, gunicorn and the clients of the stores into an environment of their own.
//
// Rule: exact versions, from the file beside this one; done once for each state of that file.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Cargo's folder. */
export const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");

const installed = path.join(target, "bench-backend");
const stamp = path.join(installed, "stamp");
const requirements = fileURLToPath(new URL("./requirements.txt", import.meta.url));

export const python = path.join(installed, "venv/bin/python");

/** Installs what is not installed yet, and gives the versions for the table's heading. */
export async function install() {
  const pinned = await readFile(requirements, "utf8");
  const wanted = createHash("sha256").update(installed).update(pinned).digest("hex");
  const isThere = () =>
    access(python)
      .then(() => true)
      .catch(() => false);
  if ((await readFile(stamp, "utf8").catch(() => "")) !== wanted || !(await isThere())) {
    await mkdir(installed, { recursive: true });
    await rm(stamp, { force: true });
    await makeEnvironment();
    await writeFile(stamp, wanted);
  }
  const version = (name) => new RegExp(`^${name}==(\\S+)`, "im").exec(pinned)?.[1];
  const { stdout } = await run(python, ["--version"]);
  return `Flask ${version("flask")}, gunicorn ${version("gunicorn")}, ${stdout.trim()}`;
}

async function makeEnvironment() {
  console.log("  Flask and gunicorn (pip install) …");
  const venv = path.join(installed, "venv");
  await rm(venv, { recursive: true, force: true });
  await run("python3", ["-m", "venv", venv]).catch((error) => {
    const help = "install Python 3.10 or later with venv (`apt-get install python3-venv`)";
    throw new Error(`python3 makes no environment: ${help}\n${error.stderr ?? error.message}`);
  });
  const pip = ["-m", "pip", "install", "--no-deps", "--quiet", "-r", requirements];
  await run(python, pip).catch((error) => {
    throw new Error(`pip failed; is the registry reachable?\n${error.stderr ?? error.message}`);
  });
  await run(python, ["-m", "pip", "check"]);
}
