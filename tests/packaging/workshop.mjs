// A folder with the bundlers at exact versions and the packed package, installed as an app does.
//
// Rule: exact versions, from the lock files beside this one; installed once for each state of
// those, and the package again each time. Nothing is downloaded but by npm.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = fileURLToPath(new URL("./", import.meta.url));
const root = path.resolve(here, "../..");
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const AT_MOST_MS = 10 * 60_000;

/** The packed package: as the step `package` left it, or packed now. */
export async function tarball() {
  if (process.env.PACKAGE_TARBALL) return path.resolve(root, process.env.PACKAGE_TARBALL);
  const folder = path.join(target, "packaging");
  await mkdir(folder, { recursive: true });
  const { stdout } = await attempt("npm", ["pack", "--silent", "--pack-destination", folder], root);
  return path.join(folder, stdout.trim());
}

/** `kind` is a folder here with a package.json; apps are made in the folder that comes back. */
export async function openWorkshop(kind) {
  const folder = path.join(target, "packaging", kind);
  await mkdir(folder, { recursive: true });
  const wanted = await fingerprint(kind);
  const stamp = path.join(folder, "stamp");
  if ((await readFile(stamp, "utf8").catch(() => "")) !== wanted) {
    await rm(stamp, { force: true });
    for (const name of ["package.json", "package-lock.json"]) {
      await cp(path.join(here, kind, name), path.join(folder, name));
    }
    await attempt("npm", ["ci", ...QUIET], folder);
    await writeFile(stamp, wanted);
  }
  // What npm would do with a tarball, without its minute of looking at everything else.
  const installed = path.join(folder, "node_modules/session-keeper");
  await rm(installed, { recursive: true, force: true });
  await mkdir(installed, { recursive: true });
  await attempt("tar", ["-xzf", await tarball(), "--strip-components=1", "-C", installed], folder);
  await rm(path.join(folder, "apps"), { recursive: true, force: true });
  return folder;
}

const QUIET = ["--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"];

async function fingerprint(kind) {
  const hash = createHash("sha256").update(process.version);
  for (const name of ["package.json", "package-lock.json"]) {
    hash.update(await readFile(path.join(here, kind, name)));
  }
  return hash.digest("hex");
}

/** Runs a tool; an error says what it was and what it complained about. */
export async function attempt(tool, args, cwd, env = {}) {
  try {
    const options = { cwd, timeout: AT_MOST_MS, maxBuffer: 1 << 26 };
    return await run(tool, args, { ...options, env: { ...process.env, ...env } });
  } catch (error) {
    const told = [error.stdout, error.stderr].filter(Boolean).join("\n") || error.message;
    throw new Error(
      `\`${[path.basename(tool), ...args].join(" ")}\` failed\n${told.slice(-4_000)}`,
    );
  }
}
