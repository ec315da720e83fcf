#!/usr/bin/env bash
# The one wheel on every other CPython that is here: each gets an environment with the wheel, and a command is run there.
#   tools/each_python.sh WHEEL SECONDS COMMAND...    (in a folder with the tests; `python` is the environment's)
# The tests are copied away from the sources, so that what is tested is the wheel and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(realpath "$1")
seconds=$2
shift 2
work=$PWD/build/pythons

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
    if [[ ! $here/.made -nt $wheel ]]; then
        rm -rf "$here"
        mkdir -p "$here"
        "$python" -m venv "$here/venv"
        "$here/venv/bin/python" -m pip -qq --disable-pip-version-check install "$wheel[test]"
        touch "$here/.made"
    fi
    rm -rf "$here/run"
    mkdir "$here/run"
    cp -r tests examples pyproject.toml "$here/run"
    echo "· CPython $version"
    # a bound: a hang is a failure
    (cd "$here/run" && PATH="$here/venv/bin:$PATH" timeout --kill-after=10 "$seconds" "$@") || status=1
done
exit $status
