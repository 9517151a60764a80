"""A worker process: takes ranges of positions, decodes, and lays finished records into shared memory; or reads back.

Runs as ``python -m foolcaffe.lmdb.worker`` under :mod:`pool`, over its standard input and output; it ends when its
input does, so that nothing is left when the builder is killed. What images may cost is limited here: memory by
``RLIMIT_AS``, processor time by an alarm that ends the process, for no handler runs while a decoder does.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from caffefiles import listfile
from foolcaffe.archives.sources import BadImage, Fetcher
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.decode import Decoder, versions
from foolcaffe.lmdb.plan import Item, Plan, load
from foolcaffe.lmdb.slots import (
    CPU_SECONDS,
    HEADER,
    KEY_ROOM,
    LENGTH,
    NOTHING,
    SIZES,
    TASK,
    Done,
    Shape,
    crc32,
    for_digest,
    head,
    tail,
)
from foolcaffe.lmdb.verify import Verifier

MEMORY = 3 << 30
"""Beyond what the process has when it starts. Decoding at the pixel limit takes less than half."""


class Worker:
    """Decodes the items of a plan into slots."""

    def __init__(self, plan: Plan, memory: mmap.mmap, chunk: int, cpu_seconds: float = CPU_SECONDS) -> None:
        settings = plan.settings
        self._plan = plan
        self._memory = memory
        self._view = memoryview(memory)
        self._bytes = np.frombuffer(memory, np.uint8)
        self._planes: dict[int, list[npt.NDArray[np.uint8]]] = {}
        self._verifier: Verifier | None = None
        self._shape = shape = Shape.of(settings)
        self._slot_bytes, self._stride = shape.slot_bytes(chunk), shape.stride
        self._head = head(shape.channels, shape.height, shape.width)
        self._before_tail = len(self._head) + shape.channels * shape.height * shape.width
        self._decoder = Decoder(
            settings.height, settings.width, settings.gray, settings.resize == "area", settings.max_pixels
        )
        self._fetcher = Fetcher(plan.root, plan.archives, plan.staging)
        self._cpu_seconds = cpu_seconds

    def run(self, slot: int, first: int, count: int, condemned: dict[str, str]) -> Done:
        """Work on positions [first, first + count) into a slot; ``condemned`` are {index: reason} of the hopeless."""
        base = slot * self._slot_bytes
        sizes, checksums, digested, bad, warned = [], [], [], [], []
        for index, item in enumerate(self._plan.items(first, count)):
            LENGTH.pack_into(self._memory, base, index)
            signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
            size = checksum = 0
            key = listfile.key(first + index, item.path)
            try:
                if str(index) in condemned:
                    raise BadImage(condemned[str(index)])
                pixels, warning = self._pixels(item)
                size, checksum = self._lay(base + HEADER + index * self._stride, key, pixels, item.label)
                digested.append(for_digest(key, checksum))
                if warning:
                    warned.append((index, warning))
            except BadImage as error:
                bad.append((index, str(error)))
            except MemoryError:
                bad.append((index, "more than the memory limit allows"))
            sizes.append(SIZES.pack(len(key), size))
            checksums.append(LENGTH.pack(checksum))
        signal.setitimer(signal.ITIMER_PROF, 0)
        LENGTH.pack_into(self._memory, base, NOTHING)
        return Done(b"".join(sizes), b"".join(checksums), b"".join(digested), bad, warned)

    def _pixels(self, item: Item) -> tuple[npt.NDArray[np.uint8], str]:
        fetched = self._fetcher.fetch(item.locator, item.path)
        if isinstance(fetched, bytes):
            return self._decoder.decode(fetched)
        pixels = self._decoder.resize(fetched)
        return (cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if self._shape.channels == 1 else pixels), ""

    def _lay(self, at: int, key: bytes, pixels: npt.NDArray[np.uint8], label: int) -> tuple[int, int]:
        """Lay a record to where it belongs in its slot: the size of its value, and that value's CRC-32."""
        planes = self._planes.get(at)
        if planes is None:
            planes = self._planes[at] = self._place(at)
        if len(planes) == 1:
            planes[0][:] = pixels
        else:
            cv2.split(pixels, planes)  # written in place: nothing is copied on the way to the writer
        after = tail(label)
        begin = at + KEY_ROOM
        end = begin + self._before_tail + len(after)
        view = self._view
        view[at : at + len(key)] = key
        view[end - len(after) : end] = after
        return end - begin, crc32(view[begin:end])

    def _place(self, at: int) -> list[npt.NDArray[np.uint8]]:
        """Write what all values begin with; views of where the planes of the record at ``at`` go."""
        begin = at + KEY_ROOM
        self._view[begin : begin + len(self._head)] = self._head
        pixels = self._bytes[begin + len(self._head) : begin + self._before_tail]
        return list(pixels.reshape(self._shape.channels, self._shape.height, self._shape.width))

    def read_back(self, folder: str, first: int, count: int) -> list[str]:
        """What is wrong with positions [first, first + count) of a finished database."""
        if self._verifier is None:
            self._verifier = Verifier(Path(folder), self._plan)
        return self._verifier.check(first, count)


def send(file: BinaryIO, message: Any) -> None:
    """Write a message with its length before it."""
    data = pickle.dumps(message)
    file.write(LENGTH.pack(len(data)) + data)
    file.flush()


def main() -> None:
    """Serve tasks until the input ends. Arguments: plan, descriptor and size of the memory, chunk, CPU seconds."""
    folder, descriptor, size, chunk, cpu_seconds = sys.argv[1:]
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    gc.disable()  # nothing here makes cycles, and looking for them takes its time
    os.dup2(2, 1)  # whatever a library prints must not get into the messages
    try:
        memory = mmap.mmap(int(descriptor), int(size))
        worker: Worker | None = None
        _limit_memory()
        send(target, ("ready", versions()))
        while True:
            task = source.read(TASK.size)
            if len(task) < TASK.size:
                break
            slot, first, count, size_of_extra = TASK.unpack(task)
            extra = json.loads(source.read(size_of_extra)) if size_of_extra else {}
            if worker is None:  # workers start while the plan is still being made
                worker = Worker(load(Path(folder)), memory, int(chunk), float(cpu_seconds))
            if isinstance(extra, str):
                send(target, ("done", slot, worker.read_back(extra, first, count)))
            else:
                send(target, ("done", slot, tuple(worker.run(slot, first, count, extra))))
    except FoolCaffeError as error:
        send(target, ("failed", error.message, error.hint))
    except BrokenPipeError:
        pass
    os._exit(0)  # nothing is left to be flushed, and shared memory still has views


def _limit_memory() -> None:
    import resource  # which Windows does not have

    try:
        now = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return  # no Linux: only the limits on bytes and pixels hold
    limit = resource.getrlimit(resource.RLIMIT_AS)
    most = now + MEMORY
    if limit[0] == resource.RLIM_INFINITY or most < limit[0]:
        resource.setrlimit(resource.RLIMIT_AS, (most, limit[1]))


if __name__ == "__main__":
    main()
