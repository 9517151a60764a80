#!/usr/bin/env bash
# An LMDB of 64×64 Datums from a list of images: the same bytes with every core, or by Caffe's own convert_imageset.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/create_lmdb.sh [--builder foolcaffe|caffe] [--size N] [--skip-bad] [--quiet] ROOT LIST DB

Reads the images that LIST names (lines "<path below ROOT> <class id>"), resizes them to 64×64 (aspect squashed, as the
post did), and writes the LMDB DB. It is built aside and renamed: DB is whole or not there. An image that cannot be read
whole is named and stops the build. ROOT may lead into a tar or a zip (see python -m foolcaffe.lmdb --help).

    --builder B  foolcaffe (default): python -m foolcaffe.lmdb, every core, resumed after an interruption, checksums;
                 caffe: Caffe's convert_imageset. Keys and values are the same bytes.
    --size N     pixels a side (default: 64)
    --skip-bad   leave unreadable images out and name them in DB/bad_images.txt
    --quiet      only errors
TEXT
}

BUILDER=foolcaffe
SIZE=64
SKIP_BAD=
parse_options "builder= size= skip-bad quiet" "$@"
[ ${#ARGUMENTS[@]} -eq 3 ] || usage_error "expected ROOT, LIST and DB"
[[ $SIZE =~ ^[1-9][0-9]*$ ]] || usage_error "--size '$SIZE' is no number of pixels"
SOURCE=${ARGUMENTS[0]%/}; LIST=${ARGUMENTS[1]}; DB=${ARGUMENTS[2]%/}
case $BUILDER in foolcaffe|caffe) ;; *) usage_error "--builder '$BUILDER': foolcaffe or caffe was expected" ;; esac
[ ! -e "$DB" ] || die "$DB is there already" "remove it to build it again"
if [ "$BUILDER" = foolcaffe ]; then
    engine_python
    exec "${PYTHON[@]}" -m foolcaffe.lmdb build --size "$SIZE" ${SKIP_BAD:+--skip-bad} ${QUIET:+--quiet} "$SOURCE" "$LIST" "$DB"
fi
[ -d "$SOURCE" ] || die "no folder of images at $SOURCE"
engine_tool convert_imageset
"${PYTHON[@]}" -m foolcaffe.lists --check "$LIST"      # a malformed line would become label 0 in silence

PARENT=$(dirname "$DB")
need_folder "$PARENT"
COUNT=$(awk 'END { print NR }' "$LIST")
NEED=$((COUNT * (SIZE * SIZE * 3 + 4096) / 1024 + 4096))
FREE=$(free_kib "$PARENT")
[ "$FREE" -ge "$NEED" ] || die "not enough space for $DB: $((FREE / 1024)) MiB free, about $((NEED / 1024)) MiB needed" "make room and run it again"

ASIDE=$DB.partial
exec 8>"$ASIDE.lock" || die "cannot write to $PARENT"
if command -v flock >/dev/null && ! flock -n 8; then die "another build of $DB is running"; fi
cleanup() { rm -rf "$ASIDE" "$ASIDE.lock" "$ASIDE.log" "$ASIDE.bad" "$ASIDE.list"; }
trap cleanup EXIT
rm -rf "$ASIDE"

convert() { # convert LIST: into $ASIDE; everything that it says goes to the log
    GLOG_minloglevel=0 GLOG_logtostderr=1 quietly "$ASIDE.log" \
        "${TOOL[@]}" --resize_height "$SIZE" --resize_width "$SIZE" "$SOURCE/" "$1" "$ASIDE" && return
    case $(cat "$ASIDE.log") in
        *"No space left"*|*"MDB_MAP_FULL"*|*"Input/output error"*)
            die "writing $DB failed: the disk is full or a size limit was met ($(( $(free_kib "$PARENT") / 1024 )) MiB free now)" \
                "make room and run it again; nothing half-made was left" ;;
        *) die "convert_imageset failed on $LIST" "$(grep -E '^[EF][0-9]|rror' "$ASIDE.log" | tail -n 3)" ;;
    esac
}

say "$LIST: $COUNT images → $DB"
convert "$LIST"
# Two kinds of bad images: convert_imageset names what it cannot open and goes on; of a truncated JPEG libjpeg warns
# without a name, and the grey rest would be stored.
if grep -qE 'Could not open or find file|Corrupt JPEG|Premature end|Unsupported marker|libpng|Invalid SOS' "$ASIDE.log"; then
    "${PYTHON[@]}" -m foolcaffe.validate images --quiet "$SOURCE" "$LIST" > "$ASIDE.bad" || true
    sed -n 's/.*Could not open or find file //p' "$ASIDE.log" | while IFS= read -r path; do
        path=${path#"$SOURCE"/}
        grep -qF "$path	" "$ASIDE.bad" || printf '%s\tconvert_imageset could not read it\n' "$path" >> "$ASIDE.bad"
    done
    if [ -s "$ASIDE.bad" ]; then
        if [ -z "$SKIP_BAD" ]; then
            die "$(awk 'END { print NR }' "$ASIDE.bad") of the images cannot be read:" \
                "$(head -n 20 "$ASIDE.bad" | tr '\t' ' ')" "mend or remove them, or leave them out with --skip-bad"
        fi
        # the keys keep the line numbers: only the bad lines' content is taken out of what convert_imageset can open
        "${PYTHON[@]}" -m foolcaffe.lmdb drop "$ASIDE" "$ASIDE.bad"
        mv "$ASIDE.bad" "$ASIDE/bad_images.txt"
        say "left out $(awk 'END { print NR }' "$ASIDE/bad_images.txt") images: see $DB/bad_images.txt"
    fi
fi
sync -d "$ASIDE/data.mdb" 2>/dev/null || sync
mv "$ASIDE" "$DB"
