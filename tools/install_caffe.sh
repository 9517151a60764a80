#!/usr/bin/env bash
# Real Caffe 1.0 (CPU) with pycaffe, from Debian bullseye's packages, without root.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/install_caffe.sh [--prefix DIR] [--packages "NAME …"] [--force] [--debian] [--quiet]

Puts BVLC Caffe 1.0, pycaffe and a Python 3.9 for them into DIR (default: .caffe):
    DIR/bin/caffe  DIR/bin/convert_imageset  DIR/bin/compute_image_mean  DIR/bin/python
Debian bullseye's packages are downloaded with apt, signatures checked, and unpacked; nothing
outside DIR is written, and no root is needed. DIR may be moved afterwards.
A Caffe that the system already has (caffe on the PATH and "import caffe" in python3) is used as it is.

    --prefix DIR  where to (default: .caffe in the checkout)
    --packages "NAME …"  Python packages for DIR/bin/python beside those of requirements/pins/caffe.txt
    --force       install again even if DIR is there
    --debian      take Debian's packages even if the system has a Caffe
    --quiet       only errors

environment:
    DEBIAN_MIRROR   mirror that carries bullseye (default: the one that apt is configured with)
TEXT
}

PREFIX=$ROOT/.caffe
FORCE=
DEBIAN=
PACKAGES=
parse_options "prefix= packages= force debian quiet" "$@"
no_arguments

TOOLS="caffe convert_imageset compute_image_mean"
# What foolcaffe and its tests need beside pycaffe, in the versions that pycaffe works with.
PINS=$ROOT/requirements/pins/caffe.txt
# The closure of these is unpacked; of python3-caffe only the files of caffe itself, for its Debian dependencies
# (ipython, pandas, …) come as current wheels or are not needed.
CLOSURE="caffe libopenblas0-pthread libboost-python1.74.0 libpython3.9 python3.9 python3-distutils python3-lib2to3 python-pip-whl"
NEED_KIB=$((1500 * 1024))
WAYS_OUT=("ways out: DEBIAN_MIRROR=http://… (a mirror that carries bullseye: Debian's archive keeps it for good),"
          "          the Docker image (README, Docker), or another engine: ENGINE=torch")

works() { # works DIR: a Caffe that runs and imports
    local tool
    for tool in $TOOLS python; do [ -x "$1/bin/$tool" ] || return 1; done
    "$1/bin/python" -c 'import caffe, cv2, lmdb, matplotlib, simplejpeg, skimage, tqdm' >/dev/null 2>&1
}

# extras   the packages of --packages that are not there yet; into a system's Python nothing is installed
extras() {
    [ -n "$PACKAGES" ] || return 0
    local log
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! "$PREFIX/bin/python" -c \
            'import importlib.metadata as m, re, sys; [m.version(re.split("[<>=]", n)[0]) for n in sys.argv[1:]]' $PACKAGES 2>"$log"; then
        [ -d "$PREFIX/site-packages" ] || die "the system's Python lacks a package: $(tail -n 1 "$log")" "install it there: $PACKAGES"
        # what is pinned stays as it is
        # shellcheck disable=SC2086
        "$PREFIX/bin/python" -m pip install --disable-pip-version-check --no-warn-script-location \
            --target "$PREFIX/site-packages" -c <(sed -n 's/^\([^ ]*==[^ ;]*\).*/\1/p' "$PINS") $PACKAGES >"$log" 2>&1 \
            || die "pip could not install $PACKAGES" "$(grep -E '^(ERROR|error)' "$log" | tail -n 3)"
    fi
    rm -f "$log"
}

if [ -z "$FORCE" ] && [ -e "$PREFIX" ]; then
    if works "$PREFIX"; then
        say "$PREFIX is there and works ($(head -n 1 "$PREFIX/SOURCE"))"
        extras
        exit 0
    fi
    die "$PREFIX is there, but its caffe does not run" "remove it, or install over it with --force"
fi

ASIDE=$PREFIX.partial     # everything happens here; the last step renames
mkdir -p "$ASIDE" 2>/dev/null \
    || die "cannot write to $(dirname "$PREFIX")" "choose another place with --prefix"
ASIDE=$(cd "$ASIDE" && pwd)
exec 9>"$ASIDE/lock"
if command -v flock >/dev/null && ! flock -n 9; then die "another installation into $PREFIX is running"; fi

publish() { # publish NEW: what is whole takes the place of what was
    if [ -e "$PREFIX" ]; then mv "$PREFIX" "$ASIDE/old"; fi
    mv "$1" "$PREFIX"
    rm -rf "$ASIDE"
}

# 1. The system's own
if [ -z "$DEBIAN" ]; then
    found=1
    for tool in $TOOLS; do command -v "$tool" >/dev/null || found=; done
    if [ -n "$found" ] && python3 -c 'import caffe' >/dev/null 2>&1; then
        rm -rf "$ASIDE/system"; mkdir -p "$ASIDE/system/bin"
        for tool in $TOOLS; do ln -s "$(command -v "$tool")" "$ASIDE/system/bin/$tool"; done
        # a wrapper, for a symlink would hide a virtual environment's pyvenv.cfg from its python
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$(python3 -c 'import sys; print(sys.executable)')" > "$ASIDE/system/bin/python"
        chmod +x "$ASIDE/system/bin/python"
        printf 'system: %s\n' "$(command -v caffe)" > "$ASIDE/system/SOURCE"
        works "$ASIDE/system" || die "the system has a Caffe, but its python3 lacks a package that foolcaffe needs" \
            "$("$ASIDE/system/bin/python" -c 'import cv2, lmdb, matplotlib, simplejpeg, skimage, tqdm' 2>&1 | tail -n 1)" \
            "install it there, or take Debian's Caffe instead: tools/install_caffe.sh --debian"
        publish "$ASIDE/system"
        extras
        say "using the system's Caffe: $(command -v caffe)"
        exit 0
    fi
fi

# 2. What Debian's packages need
for program in apt-get apt-cache dpkg dpkg-deb; do
    command -v "$program" >/dev/null \
        || die "no $program here: Debian's Caffe packages cannot be fetched on this system" "${WAYS_OUT[@]}"
done
KEYRING=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
[ -r "$KEYRING" ] || die "Debian's signing keys are not at $KEYRING" \
    "install the package debian-archive-keyring, or set DEBIAN_KEYRING" "${WAYS_OUT[@]}"
free=$(free_kib "$ASIDE")
[ "$free" -ge "$NEED_KIB" ] || die "not enough space for $PREFIX: $((free / 1024)) MiB free, $((NEED_KIB / 1024)) MiB needed" \
    "make room, or choose another place with --prefix"
MIRROR=${DEBIAN_MIRROR:-}
if [ -z "$MIRROR" ]; then
    # shellcheck disable=SC2016  # $(…) is apt's own format
    MIRROR=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
        | awk -F'|' '$1 == "Debian" && $2 == "Debian" && !seen { print $3; seen = 1 }')
    # before the first apt-get update apt knows no origins: then the first source that is configured
    if [ -z "$MIRROR" ]; then
        # shellcheck disable=SC2016
        MIRROR=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
            | awk '/\/debian\/?$/ && !seen { print; seen = 1 }')
    fi
fi
[ -n "$MIRROR" ] || die "apt is configured with no Debian mirror" "set DEBIAN_MIRROR" "${WAYS_OUT[@]}"

# 3. An apt of our own: own sources, own state, nothing installed, only bullseye
mkdir -p "$ASIDE/apt/lists/partial" "$ASIDE/apt/cache/archives/partial"
: > "$ASIDE/apt/status"
printf 'deb [signed-by=%s] %s bullseye main\n' "$KEYRING" "$MIRROR" > "$ASIDE/apt/sources.list"
cat > "$ASIDE/apt/conf" <<TEXT
Dir::Etc::sourcelist "$ASIDE/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$ASIDE/apt";
Dir::State::Lists "$ASIDE/apt/lists";
Dir::State::status "$ASIDE/apt/status";
Dir::Cache "$ASIDE/apt/cache";
APT::Install-Recommends "0";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "0";
Debug::NoLocking "1";
TEXT
own_apt() { APT_CONFIG=$ASIDE/apt/conf "$@"; }
LOG=$ASIDE/log
: > "$LOG"
say "package lists of Debian bullseye"
if ! own_apt apt-get update -o APT::Update::Error-Mode=any >>"$LOG" 2>&1; then
    reason=$(grep -E '^(E|W|Err)' "$LOG" | tail -n 3)
    case $reason in
        *"Could not resolve"*|*"Could not connect"*|*"Unable to connect"*|*"Connection failed"*|*"timed out"*|*"Network is unreachable"*)
            die "no network: the mirror $MIRROR cannot be reached" "$reason" "${WAYS_OUT[@]}" ;;
        *"does not have a Release file"*|*"404"*)
            die "the mirror $MIRROR does not carry Debian bullseye" "$reason" "${WAYS_OUT[@]}" ;;
        *NO_PUBKEY*|*"not signed"*|*"invalid"*)
            die "the signature of bullseye on $MIRROR is not one of $KEYRING" "$reason" ;;
        *) die "apt could not read bullseye's package lists from $MIRROR" "$reason" "${WAYS_OUT[@]}" ;;
    esac
fi

# 4. Download the closure (apt checks every file against the signed lists), and python3-caffe and patchelf alone
say "downloading Caffe and the libraries it needs (about 95 MB)"
fetch() {
    own_apt "$@" >>"$LOG" 2>&1 && return
    case $(tail -n 20 "$LOG") in
        *"No space left"*|*"enough free space"*) die "the disk became full" "make room and run this again: what was downloaded is kept" ;;
        *"Unable to locate package"*) die "the mirror $MIRROR has no caffe for $(dpkg --print-architecture)" "${WAYS_OUT[@]}" ;;
        *) die "download from $MIRROR failed" "$(grep -E '^(E|Err)' "$LOG" | tail -n 3)" "run this again: what was downloaded is kept" ;;
    esac
}
# shellcheck disable=SC2086
fetch apt-get install -y --download-only $CLOSURE
mkdir -p "$ASIDE/alone"
(cd "$ASIDE/alone" && fetch apt-get download python3-caffe patchelf)

# 5. Unpack. The rest of the closure (dpkg, perl, debconf, …) serves package management only; glibc must be the system's.
say "unpacking"
rm -rf "$ASIDE/root" "$ASIDE/patchelf" "$ASIDE/packages"
mkdir -p "$ASIDE/root/bin" "$ASIDE/patchelf"
unpack() { dpkg-deb -x "$1" "$2" 2>>"$LOG" || die "unpacking $(basename "$1") failed" "$(tail -n 1 "$LOG")"; }
for deb in "$ASIDE"/apt/cache/archives/*.deb "$ASIDE"/alone/python3-caffe_*.deb; do
    name=$(basename "$deb"); name=${name%%_*}
    case $name in
        libc6|libc-bin) continue ;;
        caffe|lib*|odbcinst1debian2|python3.9*|python3-caffe|python3-distutils|python3-lib2to3|python-pip-whl)
            unpack "$deb" "$ASIDE/root"
            basename "$deb" .deb >> "$ASIDE/packages" ;;
    esac
done
unpack "$ASIDE"/alone/patchelf_*.deb "$ASIDE/patchelf"
cd "$ASIDE/root"
rm -rf usr/share/doc usr/share/man usr/share/lintian usr/share/locale usr/include etc var
TRIPLET=$(basename "$(dirname "$(find usr/lib -name 'libcaffe.so*' | head -n 1)")")

# The programs find their libraries beside themselves, wherever the folder is moved to, and pass nothing on to
# their children, as LD_LIBRARY_PATH would.
rpath=
for folder in "usr/lib/$TRIPLET/openblas-pthread" "usr/lib/$TRIPLET" "lib/$TRIPLET" usr/lib; do
    # shellcheck disable=SC2016  # $ORIGIN is the loader's
    rpath=$rpath${rpath:+:}'$ORIGIN/../../'$folder
done
for program in $TOOLS upgrade_net_proto_text upgrade_net_proto_binary upgrade_solver_proto_text extract_features python3.9; do
    [ -e "usr/bin/$program" ] || continue
    "$ASIDE/patchelf/usr/bin/patchelf" --force-rpath --set-rpath "$rpath" "usr/bin/$program"
    case $program in python3.9) ln -s ../usr/bin/python3.9 bin/python ;; *) ln -s "../usr/bin/$program" "bin/$program" ;; esac
done

# 6. Python: wheels of today beside Debian's pycaffe; a .pth with relative paths keeps the folder movable
say "Python packages"
mkdir -p site-packages
SITE=usr/lib/python3/dist-packages
printf '../../../../site-packages\n../../../../../python\n' > "$SITE/foolcaffe.pth"
# Debian's old pip installs the pinned pip, which installs the rest.
awk -v first="$ASIDE/first.txt" -v rest="$ASIDE/rest.txt" \
    '/^[a-z]/ { to = /^(pip|setuptools)==/ ? first : rest } /^[ a-z]/ { print > to }' "$PINS"
# install LIST PIP...   PIP is the command that pip is
install() {
    "${@:2}" install --disable-pip-version-check --no-warn-script-location --target site-packages --require-hashes -r "$1" >>"$ASIDE/pip.log" 2>&1 \
        || die "pip could not install the packages of $PINS" "$(grep -E '^(ERROR|error)' "$ASIDE/pip.log" | tail -n 3)" \
               "run this again: what was downloaded is kept"
}
: > "$ASIDE/pip.log"
wheels=$(printf '%s:' "$PWD"/usr/share/python-wheels/*.whl)
PYTHONPATH=$wheels install "$ASIDE/first.txt" bin/python -W ignore -m pip
install "$ASIDE/rest.txt" bin/python -m pip
rm -rf usr/share/python-wheels

# 7. It must run before it gets its name
cd "$ASIDE"
works "$ASIDE/root" || die "what was unpacked does not run" "$("$ASIDE/root/bin/python" -c 'import caffe' 2>&1 | tail -n 2)" \
    "$("$ASIDE/root/bin/caffe" --version 2>&1 | tail -n 1)" "${WAYS_OUT[@]}"
{
    printf 'Debian bullseye: caffe %s (CPU)\n' "$(basename "$ASIDE"/alone/python3-caffe_*.deb .deb | cut -d_ -f2)"
    cat "$ASIDE/packages"
} > "$ASIDE/root/SOURCE"
publish "$ASIDE/root"
extras
say "installed: $("$PREFIX/bin/caffe" --version 2>/dev/null | head -n 1), $("$PREFIX/bin/python" --version) in $PREFIX"
