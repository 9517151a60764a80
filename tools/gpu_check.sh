#!/usr/bin/env bash
# Checks and measures this machine's GPU with torchcaffe.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/gpu_check.sh [--minutes 8] [--out FILE.json] [--device cuda|cpu] [--steps NAME,NAME]

Measures the GPU's copies and products, compares torchcaffe on it with real Caffe's stored results, times the post's
classifier at ImageNet's size, an LMDB, well-known nets and fooling images, and trains twice from one seed. Every step
has a line, and a part of FILE.json (default: gpu_check.json), which is written as it goes. What the minutes do not
allow is skipped. Without a GPU, or with --device cpu, the same steps run small. Exit code 1 if a step failed.

python benchmarks/gpu_check.py --table FILE.json prints a file as Markdown.
TEXT
}

MINUTES="" OUT="" DEVICE="" STEPS=""  # nothing is taken from the environment
parse_options "minutes= out= device= steps=" "$@"
no_arguments
OURS=$ROOT/.venv/bin/python
[ -x "$OURS" ] || OURS=$(command -v python3) || die "no Python: neither .venv/bin/python nor python3" "make .venv installs one"
OPTIONS=()
[ -z "$MINUTES" ] || OPTIONS+=(--minutes "$MINUTES")
[ -z "$OUT" ] || OPTIONS+=(--out "$OUT")
[ -z "$DEVICE" ] || OPTIONS+=(--device "$DEVICE")
[ -z "$STEPS" ] || OPTIONS+=(--steps "$STEPS")
exec "$OURS" "$ROOT/benchmarks/gpu_check.py" "${OPTIONS[@]}"
