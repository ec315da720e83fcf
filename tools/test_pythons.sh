#!/usr/bin/env bash
# The one wheel on every other CPython that is here: each gets an environment, the wheel and a core of the suite.
#   tools/test_pythons.sh WHEEL
# The suite is copied away from the sources, so that what is tested is the wheel and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(realpath "$1")
root=$PWD
work=$root/build/pythons
subset=(tests/test_scenarios.py tests/test_tensor.py tests/multiprocessing)

find_python() { # prints an interpreter of version $1 that runs
    local candidate
    for candidate in "python$1" "$(pyenv root 2>/dev/null || true)"/versions/"$1".*/bin/python; do
        if [[ $("$candidate" -c 'import ensurepip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) == "$1" ]]; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}

status=0
for version in 3.10 3.11 3.12 3.13 3.14; do
    [[ $(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') == "$version" ]] && continue
    python=$(find_python "$version")
    if [[ -z $python ]]; then
        echo "· CPython $version: not here"
        continue
    fi
    here=$work/$version
    rm -rf "$here"
    mkdir -p "$here"
    cp -r tests examples pyproject.toml "$here"
    "$python" -m venv "$here/venv"
    "$here/venv/bin/python" -m pip -qq --disable-pip-version-check install "$wheel[test]"
    echo "· CPython $version"
    # worksteal, and a bound: a hang is a failure
    (cd "$here" && timeout --kill-after=10 200 venv/bin/pytest -q -n auto --dist=worksteal -p no:cacheprovider "${subset[@]}") || status=1
done
exit $status
