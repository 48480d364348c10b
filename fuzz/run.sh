#!/bin/sh
# Fuzzes each target for SECONDS_EACH seconds (60) with the driver for stable Rust, or, if FUZZER is
# libfuzzer, guided by coverage (needs nightly Rust and a C++ compiler; the corpus stays in corpus/).
# What breaks an invariant is kept in regressions/ and ends the run with status 1.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-60}
targets="h1_request h1_answer chunks h1_exchange fcgi_answer"
cargo test --locked --quiet

if [ "${FUZZER:-mutate}" = mutate ]; then
  for target in $targets; do
    cargo run --locked --quiet --release --bin mutate -- "$target" "$seconds"
  done
  exit
fi

# What libFuzzer reads: a counter per edge, the edges' addresses, the operands of compares. Naming
# the triple keeps the flags away from build scripts.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
triple=$(rustc -vV | sed -n 's/^host: //p')
for target in $targets; do
  mkdir -p "corpus/$target"
  cargo +nightly run --locked --quiet --release --features libfuzzer --target "$triple" \
    --bin "$target" -- "corpus/$target" "seeds/$target" -max_total_time="$seconds" \
    -max_len=4096 -artifact_prefix="regressions/$target/" -print_final_stats=1
done
