// The processes of a backend with several workers, by the `instance` of their answers.
//
// Rule: what is held is let go of, however the test ends.

import { readFile } from "node:fs/promises";

/** Kills the worker that answers as `instance`; another takes its place. */
export async function killWorker(platform, instance) {
  const workers = await workersOf(platform);
  process.kill(workers.get(instance), "SIGKILL");
}

/** Whoever connects during `act` meets a worker for which `meets` is true of its instance. */
export async function meeting(platform, meets, act) {
  const workers = await workersOf(platform);
  const held = [...workers].filter(([instance]) => !meets(instance)).map(([, pid]) => pid);
  held.forEach((pid) => process.kill(pid, "SIGSTOP"));
  try {
    return await act();
  } finally {
    held.forEach((pid) => process.kill(pid, "SIGCONT"));
  }
}

async function workersOf(platform) {
  const { pid } = await platform.state();
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim();
  const workers = children.split(" ").map(async (child) => {
    const words = (await readFile(`/proc/${child}/cmdline`, "utf8")).split("\0");
    return [words[words.indexOf("--worker") + 1], Number(child)];
  });
  return new Map(await Promise.all(workers));
}
