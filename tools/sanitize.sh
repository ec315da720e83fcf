#!/usr/bin/env bash
# The C core under the compiler's sanitizers: a stress of threads and forks without Python
# (tests/core/stress.c) under ThreadSanitizer and under AddressSanitizer with UBSan, then a core of
# the Python suite under the latter two.
#   tools/sanitize.sh PYTHON        the interpreter of an environment with the test requirements
#
# The core is built twice.  The stress under AddressSanitizer links the objects of the extension
# module; the one under ThreadSanitizer is built, and runs, while these are compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")
here=$PWD/build/sanitize
core=minitensor/core
mkdir -p "$here"
find "$here" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} + # the objects in build/ are used again
"$python" $core/build/_build.py # makes the generated sources
cp -r minitensor tests examples docs pyproject.toml setup.py setup.cfg README.md "$here"
cd "$here"
rm -rf minitensor/backend/_core.abi3.so

compiler=("${CC:-gcc}" -std=c11 -O1 -g -fwrapv -fno-strict-aliasing -D_GNU_SOURCE -Wall -Wextra -Werror -I$core)
stress() { # its name: it runs in three orders
    local seed begin=$SECONDS
    for seed in 1 2 3; do
        timeout --kill-after=5 600 "./stress-$1" "${ROUNDS:-100}" $seed || {
            echo "· stress under $1, order $seed: exit code $? (124: it did not end in 600 s)"
            return 1
        }
    done
    echo "· stress under $1: $((SECONDS - begin)) s"
}
thread() {
    # shellcheck disable=SC2046
    "$python" $core/build/objects.py stress-thread "${compiler[@]}" -fsanitize=thread \
        -- tests/core/stress.c $(find $core -name "*.c" -not -path "*/python/*")
    TSAN_OPTIONS=die_after_fork=0 stress thread
}
extension() {
    MINITENSOR_SANITIZE=address,undefined "$python" setup.py build_ext --inplace
}
address() {
    # shellcheck disable=SC2046
    "${compiler[@]}" -fsanitize=address,undefined -fno-sanitize-recover=undefined \
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,--wrap=posix_memalign tests/core/stress.c \
        $(grep -o "build/objects/[^ ]*/$core/[^ ]*\.o" build.log | grep -v /python/ | sort -u) \
        -lm -lpthread -o stress-address
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 stress address
}
suite() {
    # The interpreter isn't built with them: their run-time comes first, and Python's own arenas are
    # no leaks of ours.  Forks beside other threads are left out, since AddressSanitizer's own
    # allocator may then be copied locked.
    LD_PRELOAD="$("${CC:-gcc}" -print-file-name=libasan.so) $("${CC:-gcc}" -print-file-name=libubsan.so)" \
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONPATH=$PWD PYTHONMALLOC=malloc \
        MINITENSOR_TEST_PROFILE=few \
        timeout --kill-after=10 1200 "$python" -m pytest -q -p no:cacheprovider -n auto --dist=worksteal \
        tests/core tests/backend tests/test_tensor.py tests/test_runtime.py tests/test_fork.py \
        tests/ops/test_indexing.py tests/ops/test_reduce.py tests/ops/test_shape.py -k "not threads"
}
export UBSAN_OPTIONS=print_stacktrace=1
thread >thread.log 2>&1 &
waiting=$!
extension >build.log 2>&1 || {
    tail -n 30 build.log
    exit 1
}
echo "· the extension module is built: $SECONDS s"
address
status=0
wait $waiting || status=$?
cat thread.log
((status == 0)) || exit $status
echo "· the Python suite's core under address and undefined"
suite
