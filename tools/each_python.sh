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

environment() { # in the folder $2, of the interpreter $1, with the wheel
    rm -rf "$2"
    mkdir -p "$2"
    "$1" -m venv "$2/venv"
    "$2/venv/bin/python" -m pip -qq --disable-pip-version-check install "$wheel[test]"
    touch "$2/.made"
}

here=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
versions=() making=() status=0
for version in 3.10 3.11 3.12 3.13 3.14; do
    [[ $here == "$version" ]] && continue
    python=$(find_python "$version")
    if [[ -z $python ]]; then
        echo "· CPython $version: not here"
        continue
    fi
    versions+=("$version")
    [[ $work/$version/.made -nt $wheel ]] && continue
    environment "$python" "$work/$version" & # side by side: pip mostly waits
    making+=($!)
done
for pid in ${making[@]+"${making[@]}"}; do wait "$pid"; done
for version in ${versions[@]+"${versions[@]}"}; do
    rm -rf "$work/$version/run"
    mkdir "$work/$version/run"
    cp -r tests examples pyproject.toml "$work/$version/run"
    echo "· CPython $version"
    # a bound: a hang is a failure
    (cd "$work/$version/run" && PATH="$work/$version/venv/bin:$PATH" timeout --kill-after=10 "$seconds" "$@") || status=1
done
exit $status
