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

ARGUMENTS=()
while [ $# -gt 0 ]; do
    case $1 in
        --quiet) QUIET=1 ;;
        -h|--help) usage; exit 0 ;;
        -*) usage_error "unknown option '$1'" ;;
        *) ARGUMENTS+=("$1") ;;
    esac
    shift
done
[ ${#ARGUMENTS[@]} -eq 2 ] || usage_error "expected DB and MEAN"
DB=${ARGUMENTS[0]}; MEAN=${ARGUMENTS[1]}
[ -f "$DB/data.mdb" ] || die "no LMDB at $DB" "tools/create_lmdb.sh builds it"
engine_tool compute_image_mean
ASIDE=$MEAN.partial
trap 'rm -f "$ASIDE" "$ASIDE.log"' EXIT
if ! GLOG_logtostderr=1 "${TOOL[@]}" "$DB" "$ASIDE" > "$ASIDE.log" 2>&1; then
    die "compute_image_mean failed on $DB" "$(grep -E '^[EF][0-9]|rror' "$ASIDE.log" | tail -n 3)"
fi
[ -s "$ASIDE" ] || die "compute_image_mean wrote nothing to $ASIDE" "is the disk full? $(( $(free_kib "$(dirname "$MEAN")") / 1024 )) MiB free"
"${PYTHON[@]}" -c 'import pathlib, sys; from foolcaffe.mean import read_mean; read_mean(pathlib.Path(sys.argv[1]))' "$ASIDE" 2>/dev/null \
    || die "what compute_image_mean wrote is no mean" "is the disk full? $(( $(free_kib "$(dirname "$MEAN")") / 1024 )) MiB free"
mv "$ASIDE" "$MEAN"
say "$MEAN"
