#!/usr/bin/env bash
# The quick unit tests, without an engine, under every Python from 3.9 on that is found here.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/test_pythons.sh [--quiet] [3.12]...

Runs tests/unit, but for the slow ones, under each Python named (default: every one from 3.9 to 3.13 that is here, but for
those of .venv and .caffe, whose tests are make test; that no other is here is no failure), each in an environment in
build/pythons with the pinned packages and without PyTorch. Pythons are looked for on the PATH, in pyenv's folder, and
where uv keeps them. Each that is not here is named; the exit code is 1 if a test fails, or if none of the Pythons
named is here.

    --quiet  only errors and the tests' own words
TEXT
}

parse_options "quiet" "$@"
VERSIONS=("${ARGUMENTS[@]:-}")
done=""
if [ -z "${VERSIONS[0]}" ]; then
    VERSIONS=(3.9 3.10 3.11 3.12 3.13)
    for python in "$ROOT"/.venv/bin/python "$ROOT"/.caffe/bin/python; do
        done+=" $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true) "
    done
fi
cd "$ROOT"

# is PROGRAM VERSION   whether the program runs, and is that Python
is() { [ "$("$1" -c 'import ensurepip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$2" ]; }

# find_python VERSION   prints its program
find_python() {
    local program
    for program in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1"*/bin/python "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-"$1".*/bin/python; do
        if is "$program" "$1"; then printf '%s\n' "$program"; return; fi
    done
    return 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
ran=() failed=()
for version in "${VERSIONS[@]}"; do
    [[ $version =~ ^3\.[0-9]+$ ]] || usage_error "'$version' is no version of Python such as 3.12"
    if [[ $done = *" $version "* ]]; then continue; fi
    if ! python=$(find_python "$version"); then
        say "Python $version is not here: not tested"
        continue
    fi
    venv=build/pythons/$version
    say "$("$python" --version) of $python, in $venv"
    if ! "$python" -m venv "$venv" >"$log" 2>&1 || ! "$venv/bin/python" -m pip install --disable-pip-version-check \
            --require-hashes -r requirements/pins/venv.txt >"$log" 2>&1; then
        die "pip could not install the packages of requirements/pins/venv.txt for Python $version" "$(grep -E '^(ERROR|error)' "$log" | tail -n 5)"
    fi
    ran+=("$version")
    FOOLCAFFE_ENGINE='' "$venv/bin/python" -m pytest -q -p no:cacheprovider -n 2 tests/unit -m 'not slow' || failed+=("$version")
done
if [ ${#ran[@]} -eq 0 ]; then
    [ -n "${done// /}" ] || die "no Python was found to test with" "name one that is here, or install one: pyenv install 3.12, or uv python install 3.12"
    say "no other Python than those of make test is here"
    exit 0
fi
[ ${#failed[@]} -eq 0 ] || die "the tests fail under Python ${failed[*]}"
say "the tests pass under Python ${ran[*]}"
