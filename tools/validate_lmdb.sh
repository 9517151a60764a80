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
parse_options "size= quiet" "$@"
[ ${#ARGUMENTS[@]} -eq 1 ] || usage_error "expected DIR"
DIR=${ARGUMENTS[0]%/}
engine_python
exec "${PYTHON[@]}" -m foolcaffe.validate dataset ${QUIET:+--quiet} --size "$SIZE" "$DIR"
