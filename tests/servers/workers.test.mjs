// Workers that do not share their tokens, on servers that others wrote: the same token is refused
// and accepted by turns, as chance has it. The usual rule signs out at the first refusal.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../e2e/harness.mjs";
import { OVER_WITHIN_MS, useBrowser } from "./visitor.mjs";

/** They wait for minutes and do next to nothing meanwhile, so all of them wait together. */
const AT_ONCE = 6;
/** Refusals that are seen refuted, so that it was no single accident. */
const REFUTED = 3;
/**
 * How long chance alone decides who answers: before a backend could be known to be consistent
 * (four accepted answers, 6 s apart), and long before a suspicion ends the session.
 */
const BY_CHANCE_MS = 9_000;
/** Less than a request may wait for its answer, and more than a verification takes to come. */
const FROZEN_MS = 8_000;
const MOST_TURNS = 12;

describe("workers that do not share their tokens", { concurrency: AT_ONCE }, () => {
  const arrive = useBrowser();

  for (const kind of ["uvicorn", "node cluster", "gunicorn sync", "gunicorn gthread"]) {
    it(`${kind}: a token in one worker's memory is kept until all refuse it`, async (t) => {
      const visitor = await arrive(t, { kind, workers: 4, tokens: "memory" });
      await visitor.signIn();
      await assertRefusalsAreRefuted(visitor);

      await visitor.assertRevocationIsMet(OVER_WITHIN_MS.disagreeing);
    });
  }

  for (const kind of ["node cluster", "gunicorn sync"]) {
    it(`${kind}: a file that each worker read at its start is fixed by a restart`, async (t) => {
      const visitor = await arrive(t, { kind, workers: 4, tokens: "file-once" });
      await visitor.signIn();
      await assertRefusalsAreRefuted(visitor);

      await visitor.server.restart();
      const back = Date.now();
      await visitor.verified(back);
      await visitor.assertNeverSignedOut();
      const refused = visitor.answers.filter(({ at, status }) => status === 401 && at > back);
      assert.deepEqual(refused, [], "all workers have read the file");
      await visitor.assertRevocationIsMet(OVER_WITHIN_MS.disagreeing);
    });
  }
});

/** Waits for refusals and for what refutes them; the session goes on, and the cause is named. */
async function assertRefusalsAreRefuted(visitor) {
  await helpChance(visitor);
  const answers = visitor.answers.map(({ status }) => status);
  const first = answers.indexOf(401);
  assert.notEqual(first, -1, "the usual rule signs out here");
  assert.ok(answers.indexOf(200, first) > first, "the same token is accepted later");
  const workers = new Set(visitor.answers.map(({ worker }) => worker));
  assert.ok(workers.size > 1, "one worker answered all");

  await visitor.assertNeverSignedOut();
  await visitor.named("workers-disagree");
  await visitor.assertNeverSignedOut();
}

/**
 * Waits until enough refusals were refuted.
 *
 * Which worker takes a connection is up to the kernel, and it prefers the one that it woke last:
 * measured on two workers of uvicorn, one answered 9 of 10. A worker that never answers is refused
 * or accepted for ever, and a keeper that knows nothing else rightly ends the session after 60 s.
 * So chance decides for some seconds only; then the workers that it prefers are frozen for a
 * while. No session can end wrongly meanwhile, whatever the dispatch is: a suspicion is met by
 * the worker that knows the token within two turns.
 */
async function helpChance(visitor) {
  const { server } = visitor;
  const enough = async () => (await visitor.refuted()) >= REFUTED;
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const seen = await visitor.refuted();
    const changed = async () => (await enough()) || (await visitor.refuted()) > seen;
    if (await isSoon(changed, BY_CHANCE_MS)) {
      if (await enough()) return;
      continue;
    }
    // Node's cluster deals connections in turn, and would deal them to a frozen worker too.
    if (server.kind === "node cluster") continue;
    const { home } = visitor;
    const others = (await server.workers()).filter((worker) => worker !== home);
    const { session } = await visitor.snapshot();
    const isSuspect = async () => (await visitor.snapshot()).session === "suspect";
    if (session === "suspect") await server.frozen(others, () => isSoon(changed, FROZEN_MS));
    else await server.frozen([home], () => isSoon(isSuspect, FROZEN_MS));
  }
  assert.fail(`too few refusals were refuted\n${await visitor.story()}`);
}

const isSoon = (fact, within) =>
  until("", fact, { within }).then(
    () => true,
    () => false,
  );
