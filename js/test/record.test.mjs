// The fallback's reader of records, on the fixtures that the core's reader is held to as well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { API, load } from "./face.mjs";

const { readRecord, writeLive, writeTombstone } = await load("record.ts");
const fixture = (name) =>
  readFileSync(new URL(`../../tests/formats/${name}.json`, import.meta.url), "utf8");

test("the record of the frozen format is read, and written as it was", () => {
  const { kind, live } = readRecord(fixture("record"), API, true);
  assert.deepEqual([kind, live.generation, live.token], ["live", 3, "opaque-or-jwt"]);
  assert.deepEqual(JSON.parse(writeLive(API, live)), JSON.parse(fixture("record")));
});

test("the tombstone of the frozen format is read, and written as it was", () => {
  const { kind, tombstone } = readRecord(fixture("tombstone"), API, true);
  assert.deepEqual([kind, tombstone.signOut.evidence.rule], ["tombstone", "instances"]);
  assert.deepEqual(JSON.parse(writeTombstone(API, tombstone)), JSON.parse(fixture("tombstone")));
});

test("what is no record is told apart", () => {
  const record = JSON.parse(fixture("record"));
  const kinds = {
    absent: [null, undefined],
    corrupt: ["", "{", "null", "[]", { origin: undefined }, { v: "1" }, { token: undefined }],
    foreign: [{ origin: "https://other.example" }, { v: 2 }, { v: 2, token: undefined }],
  };
  for (const [kind, all] of Object.entries(kinds)) {
    for (const given of all) {
      const isChange = typeof given === "object" && given;
      const stored = isChange ? JSON.stringify({ ...record, ...given }) : given;
      assert.equal(readRecord(stored, API, true).kind, kind, String(stored));
    }
  }
  const marker = JSON.stringify({ ...record, token: undefined });
  assert.equal(readRecord(marker, API, false).kind, "live", "in cookie mode there is no token");
});
