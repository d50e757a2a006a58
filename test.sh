#!/bin/sh
# Runs all tests, first installing what they need. Arguments go to the test runner.
set -eu
cd "$(dirname "$0")"

if ! command -v cargo >/dev/null 2>&1 && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
    . "${CARGO_HOME:-$HOME/.cargo}/env"
fi
sh tools/need.sh $(cat tools/test-packages)

# Most tests wait for disks, sockets and other processes more than they compute.
threads=$(($(nproc) * 2))
export NEXTEST_TEST_THREADS=$threads RUST_TEST_THREADS=$threads

if cargo nextest --version >/dev/null 2>&1; then
    cargo test --locked --doc --quiet
    cargo nextest run --locked "$@"
else
    cargo test --locked "$@"
fi
