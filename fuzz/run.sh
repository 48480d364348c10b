#!/bin/sh
# Fuzzes each target (or those named) for SECONDS_EACH seconds (60), JOBS (one per core) at a time,
# guided by edge coverage: libFuzzer, built by stable Rust and a C++ compiler; the corpus stays in
# corpus/. FUZZER=mutate takes the driver that needs no C++ compiler and is blind instead.
# What breaks an invariant is kept in regressions/ and ends the run with status 1; the last lines
# have each target's executions and the edges it reached of those there are.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-60}
targets=${*:-h1_request h1_answer chunks h1_exchange fcgi_answer engine}
jobs=${JOBS:-$(nproc)}

if [ "${FUZZER:-libfuzzer}" = mutate ]; then
  cargo build --locked --quiet --release --bin mutate
  program=${CARGO_TARGET_DIR:-target}/release/mutate
  echo "$targets" | tr ' ' '\n' | xargs -P "$jobs" -I{} "$program" {} "$seconds"
  exit
fi

command -v c++ >/dev/null || {
  echo "libFuzzer is C++: apt-get install g++ (or FUZZER=mutate, which is blind)" >&2
  exit 2
}

# What libFuzzer reads: a counter per edge, the edges' addresses, the operands of compares. Naming
# the triple keeps the flags away from build scripts.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
triple=$(rustc -vV | sed -n 's/^host: //p')
bins=$(for target in $targets; do printf ' --bin %s' "$target"; done)
# shellcheck disable=SC2086  # one word per option
cargo build --locked --quiet --release --features libfuzzer --target "$triple" $bins

# One target: its report on stdout, the whole of it only where an invariant broke.
fuzz() {
  mkdir -p "corpus/$1" "regressions/$1"
  words=$(mktemp)
  began=$(date +%s)
  if "${CARGO_TARGET_DIR:-target}/$triple/release/$1" "corpus/$1" "seeds/$1" "regressions/$1" \
    -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
    -artifact_prefix="regressions/$1/" -print_final_stats=1 >"$words" 2>&1; then
    code=0
  else
    code=1
    grep -v '^#[0-9]*\s\(NEW\|REDUCE\|pulse\)' "$words" | head -60
  fi
  awk -v target="$1" -v code="$code" -v took="$(($(date +%s) - began))" '
    /inline 8-bit counters/ { for (i = 1; i < NF; i++) if ($(i + 1) == "inline") edges = substr($i, 2) }
    { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
    /number_of_executed_units/ { runs = $2 }
    /average_exec_per_sec/ { each = $2 }
    END { printf "%s: %s inputs in %s s, %s/s, %s of %s edges, %s\n", target, runs, took, each, cov,
      edges, code ? "BROKEN" : "none broke it" }' "$words"
  rm -f "$words"
  return "$code"
}

# As many at a time as there are jobs; all are waited for, and one that broke is not forgotten.
broken=0
running=""
count=0
for target in $targets; do
  fuzz "$target" &
  running="$running $!"
  count=$((count + 1))
  if [ "$count" -ge "$jobs" ]; then
    for one in $running; do wait "$one" || broken=1; done
    running="" count=0
  fi
done
for one in $running; do wait "$one" || broken=1; done
exit "$broken"
