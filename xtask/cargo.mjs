// Starts `cargo xtask ARGS` for npm's scripts.
//
// It must run before anything is installed, so it uses Node alone; and it looks for the C linker,
// because without one cargo cannot even build the xtask that would say so.

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { constants, homedir } from "node:os";
import { delimiter, join } from "node:path";

const RUST_MISSING =
  "cargo was not found on PATH nor in ~/.cargo/bin: install Rust with rustup (https://rustup.rs)";
const LINKER_MISSING =
  "the C linker `cc` was not found: install a C compiler " +
  "(Debian: apt-get install -y gcc libc6-dev; macOS: xcode-select --install)";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node.js 20.19 or later is needed, and this is ${process.versions.node}`);
}
const cargo = findCargo();
if (cargo === undefined) fail(RUST_MISSING);
if (process.platform !== "win32" && !runs("cc")) fail(LINKER_MISSING);

const child = spawn(cargo, ["xtask", ...process.argv.slice(2)], {
  cwd: join(import.meta.dirname, ".."),
  env: withCargoOnPath(cargo),
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => fail(`cargo could not be started: ${error.message}`));
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));

function findCargo() {
  if (runs("cargo")) return "cargo";
  const home = process.env.CARGO_HOME || join(homedir(), ".cargo");
  const installed = join(home, "bin", process.platform === "win32" ? "cargo.exe" : "cargo");
  return existsSync(installed) ? installed : undefined;
}

// rustc and rustfmt lie beside cargo and are looked for on PATH.
function withCargoOnPath(cargo) {
  if (cargo === "cargo") return process.env;
  return { ...process.env, PATH: join(cargo, "..") + delimiter + process.env.PATH };
}

function runs(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
