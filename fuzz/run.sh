#!/bin/sh
# Runs functions of `tests/fuzz/targets` under libFuzzer, one after another:
# run.sh <seconds each> [<name>...]
#
# Starts from the seed corpus; what is found of interest stays in `corpus/`, what breaks a promise
# in `artifacts/`, neither kept in git. The first find ends the run.
set -eu
cd "$(dirname "$0")"
seconds=${1:?usage: run.sh <seconds each> [<name>...]}
shift

# What `cargo fuzz` passes to rustc, without a nightly compiler and without a sanitizer, which safe
# code does not need. `--target` keeps it from build scripts.
target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --locked --release --target "$target"
binary=${CARGO_TARGET_DIR:-target}/$target/release/countersign-fuzz

[ $# -gt 0 ] || set -- $(cd ../tests/data/corpus && ls -d */ | tr -d /)
for name in "$@"; do
    mkdir -p "corpus/$name" artifacts
    echo "== $name"
    COUNTERSIGN_FUZZ_TARGET=$name "$binary" -max_total_time="$seconds" -timeout=20 -max_len=16384 \
        -artifact_prefix="artifacts/$name-" -print_final_stats=1 "corpus/$name" "../tests/data/corpus/$name" 2>&1 |
        tee "artifacts/$name.log" | grep -E 'stat::|ERROR|panicked|DONE|assert' || true
    # The pipe swallows the exit code; the kept input does not lie.
    for found in artifacts/"$name"-crash-* artifacts/"$name"-timeout-* artifacts/"$name"-oom-*; do
        [ ! -e "$found" ] || { echo "$name breaks on $found" >&2; exit 1; }
    done
done
