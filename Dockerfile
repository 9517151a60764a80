# FoolCaffe with real BVLC Caffe 1.0 and pycaffe.
#   docker build -t foolcaffe .                             Caffe's own GPU solver, CUDA 11.2
#   docker build -t foolcaffe:cpu --build-arg CAFFE=cpu .   Debian's CPU packages
# PyTorch instead of Caffe: Dockerfile.torch. Why things are as they are: docs/decisions/docker.md.

ARG BASE=debian:bullseye

FROM $BASE AS build
ARG CAFFE=cuda
# A mirror with /debian and /debian-security of bullseye, where the image's own no longer carry it.
ARG DEBIAN_MIRROR=
ARG CUDA_TOOLKIT=11.2.2-3+deb11u3
ENV DEBIAN_FRONTEND=noninteractive

# What matters is pinned, Caffe and CUDA; the rest is whatever bullseye has, which changes by security fixes only.
# hadolint ignore=DL3008
RUN set -eu; \
    case $CAFFE in cuda|cpu) ;; *) echo "CAFFE=$CAFFE: expected cuda or cpu" >&2; exit 1 ;; esac; \
    mirror=${DEBIAN_MIRROR%/}; \
    if [ -z "$mirror" ]; then mirror=$(awk '$1 == "deb" && $3 == "bullseye" { print $2; exit }' /etc/apt/sources.list); fi; \
    for kind in deb deb-src; do \
        echo "$kind $mirror bullseye main contrib non-free"; \
        echo "$kind ${mirror%/}-security bullseye-security main"; \
    done > /tmp/sources.list; \
    mv /tmp/sources.list /etc/apt/sources.list; \
    printf 'Acquire::Check-Valid-Until "0";\nAcquire::Retries "3";\n' > /etc/apt/apt.conf.d/90foolcaffe; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates python3 python3-venv; \
    if [ "$CAFFE" = cuda ]; then \
        apt-get install -y --no-install-recommends cmake dpkg-dev g++ make python3-dev python3-pip \
            libblas-dev libboost-filesystem-dev libboost-python-dev libboost-system-dev libboost-thread-dev \
            libgflags-dev libgoogle-glog-dev libhdf5-dev libleveldb-dev liblmdb-dev libopencv-dev libprotobuf-dev \
            libprotoc-dev libsnappy-dev protobuf-compiler python3-numpy \
            "nvidia-cuda-toolkit=$CUDA_TOOLKIT"; \
    fi; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb

# Everything that is Caffe goes to /opt/caffe: bin, lib, python.
ARG CAFFE_SOURCE=1.0.0+git20180821.99bd997-8
ARG CAFFE_BINARY=${CAFFE_SOURCE}+b2
WORKDIR /src
COPY requirements/pins/nccl.txt /src/
RUN set -eu; \
    apt-get update; \
    if [ "$CAFFE" = cpu ]; then \
        apt-get download "caffe=$CAFFE_BINARY" "libcaffe1=$CAFFE_BINARY" "python3-caffe=$CAFFE_BINARY"; \
        for deb in ./*.deb; do dpkg-deb -x "$deb" unpacked; done; \
    else \
        apt-get source "caffe=$CAFFE_SOURCE"; \
        python3 -m pip install --no-cache-dir --no-deps --require-hashes --target nccl -r nccl.txt; \
    fi; \
    rm -rf /var/lib/apt/lists/*

# Code for a GPU runs on the later ones of its generation too (5.0 on 5.2, 8.6 on 8.9); PTX is what a newer GPU's driver
# compiles when Caffe starts.
ARG CUDA_CODE="35 50 60 70 75 80 86"
ARG CUDA_PTX="86"
ARG JOBS=
RUN set -eu; \
    if [ "$CAFFE" = cuda ]; then \
        cmake -S caffe-*/ -B made -DCMAKE_BUILD_TYPE=Release -DCMAKE_SKIP_RPATH=ON -DBUILD_SHARED_LIBS=ON -DBLAS=Generic \
            -DBUILD_docs=OFF -DBUILD_matlab=OFF -DBUILD_python=ON -DBUILD_python_layer=ON -Dpython_version=3 \
            -DUSE_OPENCV=ON -DUSE_LMDB=ON -DUSE_LEVELDB=ON -DALLOW_LMDB_NOLOCK=OFF \
            -DCPU_ONLY=OFF -DUSE_CUDNN=OFF -DCUDA_ARCH_NAME=Manual "-DCUDA_ARCH_BIN=$CUDA_CODE" "-DCUDA_ARCH_PTX=$CUDA_PTX" \
            -DUSE_NCCL=ON -DNCCL_INCLUDE_DIR=/src/nccl/nvidia/nccl/include \
            -DNCCL_LIBRARIES=/src/nccl/nvidia/nccl/lib/libnccl.so.2; \
        cmake --build made -j "${JOBS:-$(nproc)}" --target caffe pycaffe caffe.bin convert_imageset compute_image_mean \
            extract_features upgrade_net_proto_text upgrade_net_proto_binary upgrade_solver_proto_text; \
    fi

# No pipefail without a SHELL; what the pipe of cuobjdump gives is checked.
# hadolint ignore=DL4006
RUN set -eu; \
    mkdir -p /opt/caffe/bin /opt/caffe/lib /opt/caffe/python; \
    if [ "$CAFFE" = cpu ]; then \
        programs=unpacked/usr/bin; libraries=$(dirname unpacked/usr/lib/*/libcaffe.so.1.0.0); \
        package=unpacked/usr/lib/python3/dist-packages/caffe; \
        echo "Debian bullseye: caffe $CAFFE_BINARY, CPU" > /opt/caffe/SOURCE; \
    else \
        programs=made/tools; libraries=made/lib; package=$(echo caffe-*/python/caffe); \
        cp nccl/nvidia/nccl/lib/libnccl.so.2 /opt/caffe/lib/; \
        echo "Debian bullseye's source: caffe $CAFFE_SOURCE, CUDA $CUDA_TOOLKIT, code $CUDA_CODE, PTX $CUDA_PTX," \
            "NCCL $(sed -n 's/^nvidia-nccl-cu11==\([0-9.]*\).*/\1/p' nccl.txt)" \
            > /opt/caffe/SOURCE; \
    fi; \
    for program in caffe convert_imageset compute_image_mean extract_features \
            upgrade_net_proto_text upgrade_net_proto_binary upgrade_solver_proto_text; do \
        cp "$programs/$program" /opt/caffe/bin/; \
    done; \
    cp "$libraries/libcaffe.so.1.0.0" /opt/caffe/lib/; \
    cp -RL "$package" /opt/caffe/python/; \
    rm -rf /opt/caffe/python/caffe/test; \
    if [ "$CAFFE" = cuda ]; then \
        strip --strip-unneeded /opt/caffe/bin/* /opt/caffe/lib/libcaffe.so.1.0.0 /opt/caffe/python/caffe/_caffe.so; \
        for kind in elf ptx; do \
            cuobjdump --list-$kind /opt/caffe/lib/libcaffe.so.1.0.0 | grep -o 'sm_[0-9]*' | sort | uniq -c \
                | sed "s/^/$kind/" >> /opt/caffe/GPU_CODE; \
        done; \
        for code in $CUDA_CODE; do grep -q "^elf.*sm_$code\$" /opt/caffe/GPU_CODE; done; \
        for code in $CUDA_PTX; do grep -q "^ptx.*sm_$code\$" /opt/caffe/GPU_CODE; done; \
        cat /opt/caffe/GPU_CODE; \
    fi

COPY requirements/pins/caffe.txt /src/
RUN set -eu; \
    python3 -m venv /opt/python; \
    sed -n '/^pip==/,/[^\\]$/p' caffe.txt > pip.txt; \
    /opt/python/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r pip.txt; \
    /opt/python/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r caffe.txt; \
    /opt/python/bin/pip check; \
    printf '/foolcaffe/python\n/opt/caffe/python\n' > /opt/python/lib/python3.9/site-packages/foolcaffe.pth


FROM $BASE AS foolcaffe
ARG CAFFE=cuda
ARG CUDA_TOOLKIT=11.2.2-3+deb11u3
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="FoolCaffe" \
      org.opencontainers.image.description="Breaking Linear Classifiers on ImageNet, reproduced with real BVLC Caffe 1.0" \
      org.opencontainers.image.licenses="BSD-2-Clause" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      foolcaffe.engine="caffe" \
      foolcaffe.caffe="$CAFFE"

COPY --from=build /etc/apt/sources.list /etc/apt/sources.list
COPY --from=build /etc/apt/apt.conf.d/90foolcaffe /etc/apt/apt.conf.d/90foolcaffe
# The driver's own libraries come from the nvidia runtime; the image must have none.
# hadolint ignore=DL3008
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends make python3 \
        libboost-filesystem1.74.0 libboost-python1.74.0 libboost-thread1.74.0 libgflags2.2 libgoogle-glog0v5 \
        libhdf5-103-1 libhdf5-hl-100 libleveldb1d liblmdb0 libopenblas0-pthread libopencv-core4.5 libopencv-imgcodecs4.5 \
        libopencv-imgproc4.5 libprotobuf23 libpython3.9 libsnappy1v5; \
    if [ "$CAFFE" = cuda ]; then \
        toolkit=$CUDA_TOOLKIT; \
        apt-get install -y --no-install-recommends "libcublas11=*~$toolkit" "libcudart11.0=*~$toolkit" "libcurand10=*~$toolkit"; \
    fi; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb; \
    useradd --uid 1000 --create-home foolcaffe; \
    echo /opt/caffe/lib > /etc/ld.so.conf.d/caffe.conf
COPY --from=build /opt/caffe /opt/caffe
COPY --from=build /opt/python /opt/python
COPY --chown=foolcaffe:foolcaffe . /foolcaffe
WORKDIR /foolcaffe
# What a newer GPU's driver compiles from PTX is kept with the results, for the next run.
ENV PATH=/opt/python/bin:/opt/caffe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis \
    CUDA_CACHE_PATH=/foolcaffe/build/.cuda \
    CUDA_CACHE_MAXSIZE=1073741824 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Results may be written by any user (docker run --user), so that they belong to whom they should.
RUN set -eu; \
    ldconfig; \
    tools/install_caffe.sh; \
    ln -s ../caffe/SOURCE /opt/python/SOURCE; \
    mkdir -p build data; \
    chown -R foolcaffe:foolcaffe .caffe; chmod 1777 . build data; \
    rm -rf /tmp/*
USER 1000:1000
HEALTHCHECK --interval=10m --timeout=2m --start-period=1m CMD ["python", "-m", "foolcaffe.doctor", "--quiet"]
CMD ["make", "help"]
