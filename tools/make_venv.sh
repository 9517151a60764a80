#!/usr/bin/env bash
# .venv: the machine's Python with foolcaffe, torchcaffe and what the tests and checks need.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/make_venv.sh [--quiet]

Makes .venv in the checkout from python3 (3.9 or later) and installs the checkout into it, with what its tests and
checks need: the versions of requirements/pins, their hashes checked. PyTorch alone is left to pip's choice, for it
depends on the machine. A second run only installs what is missing.

environment:
    BASE_PYTHON   another interpreter than python3
    TORCH         cpu: PyTorch without CUDA, which saves 4.5 GB on Linux x86-64; or a version, 2.13.0 say
    TORCH_INDEX   the address of the index that PyTorch comes from, where pip's own has no such build; PyTorch's
                  installation page names the one of its CPU builds
    PINS          no: what pip chooses within requirements/*.txt, for a Python or a machine that the pins do not fit
TEXT
}

parse_options "quiet" "$@"
no_arguments
case ${PINS:=yes} in yes|no) ;; *) usage_error "PINS='$PINS': yes or no was expected" ;; esac

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
cd "$ROOT"
# install WHAT ARGUMENTS...   HINTS say what can be done
install() {
    local what=$1 hints=("no network? no space ($(( $(free_kib "$ROOT") / 1024 )) MiB free)?" "${HINTS[@]}")
    shift
    "${pip[@]}" install --disable-pip-version-check "$@" >"$log" 2>&1 \
        || die "pip could not install $what" "$(grep -E '^(ERROR|error)' "$log" | tail -n 5)" "${hints[@]}"
}

pins=requirements/pins
torch=(-r requirements/torchcaffe.txt)
HINTS=()
case ${TORCH:-} in
    "") ;;
    cpu)
        # elsewhere, and on an index of PyTorch's CPU builds, there are no others
        if [ "$(uname -sm)" = "Linux x86_64" ] && [ -z "${TORCH_INDEX:-}" ]; then
            torch=("$(sed -n 's/^\(torch==[^ ]*\).*/\1+cpu/p' "$pins/torch.txt")")
            HINTS=("TORCH=cpu needs an index with PyTorch's CPU builds: give its address, which PyTorch's installation page names, as TORCH_INDEX")
        fi ;;
    *) torch=("torch==$TORCH") ;;
esac
install "PyTorch (${torch[*]})" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "${torch[@]}"

checkout=(-e packaging/caffefiles -e packaging/torchcaffe)
if [ "$PINS" = yes ]; then
    HINTS=("for a Python or a machine that the pins do not fit: PINS=no")
    install "the packages of $pins" --require-hashes -r "$pins/venv.txt" -r "$pins/lint.txt"
    install "the checkout" --no-deps --no-build-isolation "${checkout[@]}" -e packaging/foolcaffe
else
    HINTS=()
    install "the checkout and what requirements/ lists" "${checkout[@]}" -e 'packaging/foolcaffe[torch,test,lint,browser]'
fi
# There is no wheel of plyvel for every Python and machine, and nothing but old databases needs it.
"${pip[@]}" install --disable-pip-version-check --require-hashes --only-binary plyvel -r "$pins/leveldb.txt" >"$log" 2>&1 \
    || say "no wheel of plyvel for this Python: LevelDB cannot be read"

found=$("$VENV/bin/python" -c 'import torch; print(torch.__version__, "with CUDA " + torch.version.cuda if torch.version.cuda else "for the CPU")') \
    || die "PyTorch was installed, but cannot be imported" "remove .venv, and try another version: TORCH=2.13.0"
say "PyTorch $found"
case ${TORCH:-}:$found in
    cpu:*CUDA*) die "TORCH=cpu was asked for, and $VENV has PyTorch $found" "remove .venv, and make it anew with TORCH=cpu" ;;
esac
touch "$VENV/READY"
