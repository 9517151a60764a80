# shellcheck shell=bash
# Shared by the shell tools: sourced, never run.
# Gives: die, usage_error, say, parse_options, need_folder, free_kib, quietly, engine_tool, engine_python, and ROOT (the
# checkout that the tool lies in).

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    echo "tools/lib.sh is what the other tools share; it does nothing by itself. Each of them has --help:" >&2
    ls "$(dirname "$0")"/[!l]*.sh >&2
    exit 2
fi
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROGRAM=${PROGRAM:-$(basename "$0")}

# die MESSAGE [WHAT TO DO]...   one line a message, exit 1
die() {
    printf '%s: error: %s\n' "$PROGRAM" "$1" >&2
    shift
    local line
    for line in "$@"; do
        if [ -n "$line" ]; then printf '    %s\n' "$line" >&2; fi
    done
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

# parse_options KNOWN "$@"   KNOWN names the options, "size= skip-bad" say: one with = takes a value.
# --size 32 sets SIZE to 32, --skip-bad sets SKIP_BAD to 1, and all else is left in the array ARGUMENTS. --help prints
# the tool's usage.
parse_options() {
    local known=" $1 " name variable
    shift
    ARGUMENTS=()
    while [ $# -gt 0 ]; do
        name=${1#--}
        variable=${name^^}
        variable=${variable//-/_}
        case $1 in
            -h|--help) usage; exit 0 ;;
            --*[!a-z-]*) usage_error "unknown option '$1'" ;;
            --*)
                if [[ $known = *" $name= "* ]]; then
                    [ $# -ge 2 ] || usage_error "$1 needs a value"
                    printf -v "$variable" %s "$2"
                    shift
                elif [[ $known = *" $name "* ]]; then
                    printf -v "$variable" 1
                else
                    usage_error "unknown option '$1'"
                fi ;;
            -*) usage_error "unknown option '$1'" ;;
            *) ARGUMENTS+=("$1") ;;
        esac
        shift
    done
}

# no_arguments   for a tool that takes options only
no_arguments() {
    [ ${#ARGUMENTS[@]} -eq 0 ] || usage_error "unknown option '${ARGUMENTS[0]}'"
}

# free_kib FOLDER   free space of the file system that FOLDER lies on (FOLDER may not exist yet)
free_kib() {
    local folder=$1
    while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk 'NR == 2 { print $4 }'
}

# need_folder FOLDER   makes it; it must be one that can be written to
need_folder() {
    if ! mkdir -p "$1" 2>/dev/null || [ ! -w "$1" ]; then
        die "cannot write to $1" "choose another folder, or mend its permissions; is the file system read-only?"
    fi
}

# quietly LOG COMMAND...   all that it says goes to LOG, also what bash says of it when it aborts
quietly() {
    local log=$1
    shift
    { "$@" > "$log" 2>&1; } 2>/dev/null
}

# The engine behind Caffe's command line: ENGINE=caffe (default) or torch.
ENGINE=${ENGINE:-caffe}
case $ENGINE in
    caffe|torch) ;;
    *) usage_error "ENGINE='$ENGINE' is no engine: caffe or torch" ;;
esac

# engine_tool NAME   sets TOOL, an array: the command that is Caffe's NAME (caffe, convert_imageset, compute_image_mean)
# shellcheck disable=SC2034  # TOOL and PYTHON are for the caller
engine_tool() {
    engine_python
    if [ "$ENGINE" = caffe ]; then
        TOOL=("$ROOT/.caffe/bin/$1")
        [ -x "${TOOL[0]}" ] || die "real Caffe is not installed: no ${TOOL[0]}" "tools/install_caffe.sh installs it, or take another engine: ENGINE=torch"
    else
        TOOL=("${PYTHON[@]}" -m torchcaffe.tools."$1")
    fi
}

# engine_python   sets PYTHON, an array: the Python that foolcaffe runs in with this engine
engine_python() {
    local python=$ROOT/.caffe/bin/python
    [ "$ENGINE" = caffe ] || python=$ROOT/.venv/bin/python
    [ -x "$python" ] || die "no Python for ENGINE=$ENGINE at $python" "make $(basename "$(dirname "$(dirname "$python")")") ENGINE=$ENGINE"
    PYTHON=("$python")
    export FOOLCAFFE_ENGINE=$ENGINE PYTHONPATH="$ROOT/python${PYTHONPATH:+:$PYTHONPATH}"
}
