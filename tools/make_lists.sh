#!/usr/bin/env bash
# Lists of a dataset's images with their class ids, and the names of the classes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/make_lists.sh [--seed N] ROOT OUT

Writes OUT/train.txt, OUT/val.txt and OUT/synset_words.txt for the images under ROOT (ILSVRC's layout or Tiny
ImageNet's). Class ids are positions in the sorted list of wnids. The training list is shuffled.

    --seed N   of the shuffle (default: 1)
TEXT
}

SEED=1
parse_options "seed=" "$@"
[ ${#ARGUMENTS[@]} -eq 2 ] || usage_error "expected ROOT and OUT"
engine_python
exec "${PYTHON[@]}" -m foolcaffe.lists --seed "$SEED" "${ARGUMENTS[@]}"
