#!/usr/bin/env bash
# Compare the LMDBs and the mean of a dataset with its lists, before any training.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/validate_lmdb.sh [--size N] [--quiet] DIR

DIR holds train.txt, val.txt, synset_words.txt, train_lmdb, val_lmdb and mean.binaryproto, as make writes them. Counts,
keys, labels and shapes are compared; differences are printed and the exit code is 1.
TEXT
}

SIZE=64
ARGUMENTS=()
while [ $# -gt 0 ]; do
    case $1 in
        --size) need_value "$1" $#; SIZE=$2; shift ;;
        --quiet) QUIET=1 ;;
        -h|--help) usage; exit 0 ;;
        -*) usage_error "unknown option '$1'" ;;
        *) ARGUMENTS+=("$1") ;;
    esac
    shift
done
[ ${#ARGUMENTS[@]} -eq 1 ] || usage_error "expected DIR"
DIR=${ARGUMENTS[0]%/}
engine_python
for part in train val; do
    "${PYTHON[@]}" -m foolcaffe.validate lmdb ${QUIET:+--quiet} --size "$SIZE" --synsets "$DIR/synset_words.txt" \
        --bad "$DIR/bad_$part.txt" --mean "$DIR/mean.binaryproto" "$DIR/${part}_lmdb" "$DIR/$part.txt"
done
