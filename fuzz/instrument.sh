#!/bin/sh
# Compiles with the counters that libFuzzer steers by. Cargo calls it for the crates of this
# workspace only (RUSTC_WORKSPACE_WRAPPER): what they depend on is built once, for all commands.
set -eu
coverage=-Cllvm-args=-sanitizer-coverage
exec "$@" -Cpasses=sancov-module -Ccodegen-units=1 \
    "$coverage-level=4" "$coverage-inline-8bit-counters" "$coverage-pc-table" "$coverage-trace-compares"
