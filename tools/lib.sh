# Shared by the shell tools: sourced, never run.
# Gives: die, say, need_value, and ROOT (the checkout that the tool lies in).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROGRAM=${PROGRAM:-$(basename "$0")}

# die MESSAGE [WHAT TO DO]...   one line a message, exit 1
die() {
    printf '%s: error: %s\n' "$PROGRAM" "$1" >&2
    shift
    local line
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# usage_error MESSAGE   exit 2, as getopt programs do
usage_error() {
    printf '%s: error: %s\n    see %s --help\n' "$PROGRAM" "$1" "$PROGRAM" >&2
    exit 2
}

say() {
    if [ -z "${QUIET:-}" ]; then printf '%s: %s\n' "$PROGRAM" "$*" >&2; fi
}

# need_value OPTION COUNT   COUNT is $#, the option included
need_value() {
    if [ "$2" -lt 2 ]; then usage_error "$1 needs a value"; fi
}

# free_kib FOLDER   free space of the file system that FOLDER lies on (FOLDER may not exist yet)
free_kib() {
    local folder=$1
    while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk 'NR == 2 { print $4 }'
}
