#!/usr/bin/env bash
# Train a rendered model with `caffe train`; resumes from the latest whole snapshot.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/train.sh [--gpu auto|cpu|all|0,1] [--quiet] DIR

Trains the model in DIR (train_val, deploy and solver.prototxt, as python -m foolcaffe.render writes them) until its
solver's max_iter. The log is DIR/train.log, the plot DIR/loss.png. Ctrl-C leaves a snapshot; the same command goes on
from it. A run whose loss explodes is said to diverge, and what to change.
TEXT
}

GPU=auto
parse_options "gpu= quiet" "$@"
[ ${#ARGUMENTS[@]} -eq 1 ] || usage_error "expected DIR"
engine_python
exec "${PYTHON[@]}" -m foolcaffe.train --gpu "$GPU" ${QUIET:+--quiet} "${ARGUMENTS[0]}"
