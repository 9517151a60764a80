#!/usr/bin/env bash
# The mean image of an LMDB, with Caffe's compute_image_mean.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/make_mean.sh [--quiet] DB MEAN

Writes the mean image of the LMDB DB to MEAN (a binaryproto).
TEXT
}

parse_options "quiet" "$@"
[ ${#ARGUMENTS[@]} -eq 2 ] || usage_error "expected DB and MEAN"
DB=${ARGUMENTS[0]}; MEAN=${ARGUMENTS[1]}
[ -f "$DB/data.mdb" ] || die "no LMDB at $DB" "tools/create_lmdb.sh builds it"
engine_tool compute_image_mean
PARENT=$(dirname "$MEAN")
need_folder "$PARENT"
ASIDE=$MEAN.partial
LOG=$(mktemp)
trap 'rm -f "$ASIDE" "$LOG"' EXIT
export GLOG_logtostderr=1
# it aborts, or ends well and has written nothing that is a mean
if ! quietly "$LOG" "${TOOL[@]}" "$DB" "$ASIDE" || ! "${PYTHON[@]}" -c \
        'import pathlib, sys; from caffefiles.mean import read_mean; read_mean(pathlib.Path(sys.argv[1]))' "$ASIDE" >/dev/null 2>&1; then
    if [ "$(free_kib "$PARENT")" -lt 1024 ]; then die "no space for $MEAN in $PARENT" "make room and run it again"; fi
    die "compute_image_mean gave no mean of $DB" "$(grep -E '^[EF][0-9]|rror' "$LOG" | tail -n 3)" \
        "is the LMDB whole? tools/validate_lmdb.sh compares it with its list"
fi
mv "$ASIDE" "$MEAN"
say "$MEAN"
