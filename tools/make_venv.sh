#!/usr/bin/env bash
# .venv: the machine's Python with foolcaffe, torchcaffe and what the tests and checks need.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/make_venv.sh [--quiet]

Makes .venv in the checkout from python3 (3.9 or later) and installs the checkout into it, with what its tests and
checks need. BASE_PYTHON names another interpreter. A second run only installs what is missing.
TEXT
}

parse_options "quiet" "$@"
no_arguments

BASE=${BASE_PYTHON:-python3}
command -v "$BASE" >/dev/null || die "no $BASE here" "install Python 3.9 or later"
"$BASE" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "$("$BASE" --version) is too old" "Python 3.9 or later is needed"
VENV=$ROOT/.venv
say "$VENV with $("$BASE" --version)"
if [ ! -x "$VENV/bin/python" ]; then
    "$BASE" -m venv --without-pip "$VENV" || die "$BASE cannot make a virtual environment" "on Debian: apt install python3-venv"
fi
# Debian's python3 has neither ensurepip nor pip; the pip of .caffe serves other Pythons too.
pip=("$VENV/bin/python" -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
    "$VENV/bin/python" -m ensurepip >/dev/null 2>&1 || true
fi
if ! "${pip[@]}" --version >/dev/null 2>&1; then
    [ -x "$ROOT/.caffe/bin/python" ] || die "no pip here, neither beside $BASE nor in .caffe" \
        "on Debian: apt install python3-venv; or: make .caffe, whose pip will do"
    pip=("$ROOT/.caffe/bin/python" -m pip --python "$VENV/bin/python")
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
(cd "$ROOT" && "${pip[@]}" install --disable-pip-version-check -e packaging/caffefiles -e packaging/torchcaffe -e 'packaging/foolcaffe[torch,test,lint,browser]') >"$log" 2>&1 \
    || die "pip could not install the packages" "$(grep -E '^(ERROR|error)' "$log" | tail -n 5)" "no network? no space ($(( $(free_kib "$ROOT") / 1024 )) MiB free)?"
# no wheel of it for every Python and machine, and nothing but old databases needs it
"${pip[@]}" install --disable-pip-version-check --only-binary plyvel -r "$ROOT/requirements/leveldb.txt" >"$log" 2>&1 \
    || say "no wheel of plyvel for this Python: LevelDB cannot be read"
touch "$VENV/READY"
