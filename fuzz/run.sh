#!/bin/sh
# Fuzzes each target for SECONDS_EACH seconds (60) with the driver for stable Rust, or, if FUZZER is
# libfuzzer, with cargo-fuzz and nightly Rust. What breaks an invariant is kept in regressions/.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-60}
cargo test --locked --quiet
for target in h1_exchange fcgi_answer; do
  if [ "${FUZZER:-mutate}" = libfuzzer ]; then
    mkdir -p "corpus/$target"
    cargo +nightly fuzz run --fuzz-dir . --features libfuzzer "$target" \
      "corpus/$target" "seeds/$target" "regressions/$target" -- -max_total_time="$seconds"
  else
    cargo run --locked --quiet --release --bin mutate -- "$target" "$seconds"
  fi
done
