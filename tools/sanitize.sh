#!/usr/bin/env bash
# The C core under the compiler's sanitizers: a stress of threads and forks without Python (tests/core/stress.c) under
# ThreadSanitizer and under AddressSanitizer with UBSan, then a core of the Python suite under the latter two.
#   tools/sanitize.sh PYTHON        the interpreter of an environment with the test requirements
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")
here=build/sanitize
core=minitensor/core
mkdir -p "$here"
find "$here" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} + # the objects in build/ are used again
"$python" $core/build/_build.py # makes the generated sources

build() { # name, flags of the compiler
    local name=$1
    shift
    # shellcheck disable=SC2046
    "$python" $core/build/objects.py "$here/stress-$name" "${CC:-gcc}" -std=c11 -O1 -g -fwrapv -fno-strict-aliasing \
        -D_GNU_SOURCE -Wall -Wextra -Werror -I$core "$@" \
        -- tests/core/stress.c $(find $core -name "*.c" -not -path "*/python/*")
}
stress() {
    echo "· stress under $1"
    for seed in 1 2 3; do timeout --kill-after=5 240 "$here/stress-$1" "${ROUNDS:-200}" $seed; done
}
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=die_after_fork=0
build thread -fsanitize=thread &
build address -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,--wrap=posix_memalign
wait $! # with its status: set -e ends it all where that is not 0
stress thread
stress address

echo "· the Python suite's core under address and undefined"
cp -r minitensor tests examples docs pyproject.toml setup.py setup.cfg README.md "$here"
cd "$here"
rm -rf minitensor/backend/_core.abi3.so
MINITENSOR_SANITIZE=address,undefined "$python" setup.py -q build_ext --inplace >build.log 2>&1 || { tail -n 30 build.log; exit 1; }
# The interpreter isn't built with them: their run-time comes first, and Python's own arenas are no leaks of ours.  Forks beside
# other threads are left out, since AddressSanitizer's own allocator may then be copied locked.
LD_PRELOAD="$("${CC:-gcc}" -print-file-name=libasan.so) $("${CC:-gcc}" -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONPATH=$PWD PYTHONMALLOC=malloc \
    timeout --kill-after=10 800 "$python" -m pytest -q -p no:cacheprovider -n auto --dist=worksteal \
    tests/core tests/backend tests/test_tensor.py tests/test_runtime.py tests/test_fork.py tests/ops/test_indexing.py tests/ops/test_reduce.py \
    tests/ops/test_shape.py -k "not threads"
