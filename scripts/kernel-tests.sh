#!/bin/sh
# Builds and runs the kernel tests without CMake: scripts/kernel-tests.sh [filter]. BENCH=1 builds and runs the microbenchmark.
# CXX, FLAGS, LINK and OUT choose a compiler, options and a folder for them, e.g. for sanitizers or clang. RUN is a program that
# runs the result, e.g. an emulator: scripts/neon-tests.mjs. OBJECTS takes the kernels as an addon's build compiled them.
set -e
cd "$(dirname "$0")/.."
out=${OUT:-build/kernels}
cxx=${CXX:-g++}
openmp=${OPENMP--fopenmp}
mkdir -p $out
flags="-std=c++20 -O3 -g1 -ffp-contract=off -fno-math-errno -Wall -Wextra -fvisibility=hidden $openmp -Inative ${FLAGS:-}"
objects=
stale=
add() { # compiles only what changed: the kernels are one big unit per ISA
  object=$out/$(echo "$1" | tr / _).o
  if [ ! -f "$object" ] || [ -n "$(find native "$(dirname "$1")" -newer "$object" \( -name '*.inl' -o -name '*.h' -o -name '*.def' -o -name '*.list' -o -path "$1" \) | head -1)" ]; then
    stale="$stale $1=$object"
  fi
  objects="$objects $object"
}
if [ -n "$OBJECTS" ]; then
  objects="$OBJECTS/native/cpu/*.o $OBJECTS/native/cpu/isa/*.o"
else
  for file in native/cpu/isa/*.cpp native/cpu/*.cpp; do add "$file"; done
fi
name=kernel_tests
folder=test/kernels
[ -z "$BENCH" ] || name=kernel_bench folder=test/kernels/bench
for file in $folder/*.cpp; do add "$file"; done
# shellcheck disable=SC2086
printf '%s\n' $stale | CXX=$cxx FLAGS=$flags xargs -r -P "${JOBS:-2}" -n 1 sh -c '$CXX $FLAGS -c "${0%=*}" -o "${0#*=}"'
$cxx $openmp ${LINK:-} $objects -o $out/$name
exec ${RUN:-} $out/$name "$@"
