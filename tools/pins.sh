#!/usr/bin/env bash
# requirements/pins/: every version that is installed, with the hashes of its files.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/pins.sh [--upgrade] [--quiet]

Writes requirements/pins/*.txt from requirements/*.txt with uv, which .venv has. Pins that still fit are kept. The index
and the certificates are those that pip is configured with.

    --upgrade  take the newest versions that fit
    --quiet    only errors
TEXT
}

UPGRADE=
parse_options "upgrade quiet" "$@"
no_arguments

UV=$ROOT/.venv/bin/uv
[ -x "$UV" ] || die "there is no uv at $UV" "make .venv installs it"
# uv does not read pip's configuration
setting() { "$ROOT/.venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }
index=${PIP_INDEX_URL:-$(setting index-url)}
cert=${PIP_CERT:-$(setting cert)}
if [ -n "$index" ]; then export UV_DEFAULT_INDEX=$index; fi
if [ -n "$cert" ]; then export SSL_CERT_FILE=$cert; fi

cd "$ROOT/requirements"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
cp pins/*.txt "$new" 2>/dev/null || true

# compile NAME ARGUMENTS...   NAME.txt; what it holds already is what uv prefers
compile() {
    local name=$1
    shift
    say "$name.txt"
    "$UV" pip compile --quiet --no-config --generate-hashes --no-annotate --no-emit-index-url \
        --custom-compile-command 'make pins' ${UPGRADE:+--upgrade} "$@" --output-file "$new/$name.txt" >/dev/null 2>"$new/log" \
        || die "uv could not pin $name.txt" "$(tail -n 8 "$new/log")"
}

everywhere=(--universal --python-version 3.9)
# every file of a release has its hash here, too; only what is needed at all is that of one system
linux() { printf '%s\n' --python-version "$1" --python-platform "$2"; }
mapfile -t bullseye < <(linux 3.9 x86_64-manylinux_2_31)
mapfile -t bookworm < <(linux 3.11 x86_64-manylinux_2_36)

compile caffe "${bullseye[@]}" build.txt caffefiles.txt foolcaffe.txt pycaffe.txt hdf5.txt test.txt
compile venv "${everywhere[@]}" build.txt caffefiles.txt foolcaffe.txt images.txt hdf5.txt test.txt
compile lint "${everywhere[@]}" -c "$new/venv.txt" lint.txt browser.txt
compile leveldb "${everywhere[@]}" leveldb.txt
compile torch "${bookworm[@]}" -c "$new/venv.txt" -c ../.ci/constraints.txt torchcaffe.txt
compile nccl "${bullseye[@]}" nccl.txt
mkdir -p pins
mv "$new"/*.txt pins
