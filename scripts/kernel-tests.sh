#!/bin/sh
# Builds and runs the kernel tests without CMake: scripts/kernel-tests.sh [filter]. BENCH=1 builds and runs the microbenchmark.
# CXX, FLAGS, LINK and OUT choose a compiler, options and a folder for them, e.g. for sanitizers or clang. RUN is a program that
# runs the result, e.g. an emulator: scripts/neon-tests.mjs.
set -e
cd "$(dirname "$0")/.."
out=${OUT:-build/kernels}
cxx=${CXX:-g++}
openmp=${OPENMP--fopenmp}
mkdir -p $out
flags="-std=c++20 -O3 -g1 -ffp-contract=off -fno-math-errno -Wall -Wextra -fvisibility=hidden $openmp -Inative ${FLAGS:-}"
compile() { # only what changed: the kernels are one big unit per ISA
  object=$out/$(echo "$1" | tr / _).o
  if [ ! -f "$object" ] || [ -n "$(find native "$(dirname "$1")" -newer "$object" \( -name '*.inl' -o -name '*.h' -o -name '*.def' -o -name '*.list' -o -path "$1" \) | head -1)" ]; then
    $cxx $flags -c "$1" -o "$object"
  fi
  objects="$objects $object"
}
objects=
for file in native/cpu/*.cpp native/cpu/isa/*.cpp; do compile "$file"; done
if [ -n "$BENCH" ]; then
  for file in test/kernels/bench/*.cpp; do compile "$file"; done
  $cxx $openmp ${LINK:-} $objects -o $out/kernel_bench
  exec ${RUN:-} $out/kernel_bench "$@"
fi
for file in test/kernels/*.cpp; do compile "$file"; done
$cxx $openmp ${LINK:-} $objects -o $out/kernel_tests
exec ${RUN:-} $out/kernel_tests "$@"
