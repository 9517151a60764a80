"""A worker process: takes ranges of positions, decodes, and lays finished records into shared memory.

Runs as ``python -m foolcaffe.lmdb.worker`` under :mod:`pool`, over its standard input and output; it ends when its
input does, so that nothing is left when the builder is killed. What images may cost is limited here: memory by
``RLIMIT_AS``, processor time by an alarm that ends the process, for no handler runs while a decoder does.
"""

from __future__ import annotations

import json
import mmap
import os
import pickle
import resource
import signal
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb import datum, listfile
from foolcaffe.lmdb.decode import BadImage, Decoder, versions
from foolcaffe.lmdb.plan import Plan, Settings, load
from foolcaffe.lmdb.sources import Fetcher

TASK = struct.Struct("<IQII")
"""slot, first position, count, bytes of the condemned that follow as JSON: {index: reason}."""
SIZES = struct.Struct("<HII")
"""Of a record: length of the key, length of the value (0: rejected), CRC-32 of the value."""
LENGTH = struct.Struct("<I")
KEY_ROOM = 512
HEADER = 64
"""At the start of a slot: the index of the image being worked on, so that a death can be told which image it was."""
NOTHING = 0xFFFFFFFF
CPU_SECONDS = 60.0
MEMORY = 3 << 30
"""Beyond what the process has when it starts. Decoding at the pixel limit takes less than half."""


@dataclass(frozen=True)
class Shape:
    """How records lie in a slot: at a fixed stride, key first, value from ``KEY_ROOM``."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, settings: Settings) -> Shape:
        """Of the records that a plan asks for."""
        return cls(settings.channels, settings.height, settings.width)

    @property
    def value_bytes(self) -> int:
        """The largest value."""
        return len(datum.head(self.channels, self.height, self.width)) + self.channels * self.height * self.width + 16

    @property
    def stride(self) -> int:
        """Bytes from a record to the next."""
        return -(-(KEY_ROOM + self.value_bytes) // 64) * 64

    def slot_bytes(self, chunk: int) -> int:
        """Bytes of a slot for ``chunk`` records."""
        return HEADER + chunk * self.stride


class Worker:
    """Decodes the items of a plan into slots."""

    def __init__(self, plan: Plan, memory: mmap.mmap, chunk: int, cpu_seconds: float = CPU_SECONDS) -> None:
        settings = plan.settings
        self._plan = plan
        self._memory = memory
        self._view = memoryview(memory)
        self._bytes = np.frombuffer(memory, np.uint8)
        self._shape = shape = Shape.of(settings)
        self._slot_bytes, self._stride = shape.slot_bytes(chunk), shape.stride
        self._head = datum.head(shape.channels, shape.height, shape.width)
        self._decoder = Decoder(
            settings.height, settings.width, settings.gray, settings.resize == "area", settings.max_pixels
        )
        self._fetcher = Fetcher(plan.root, plan.archives, plan.staging)
        self._cpu_seconds = cpu_seconds

    def run(self, slot: int, first: int, count: int, condemned: dict[str, str]) -> Any:
        """Work on positions [first, first + count) into a slot.

        Returns:
            (sizes as packed ``SIZES``, [(index, reason)] of rejected images, [(index, warning)] of stored ones).
        """
        base = slot * self._slot_bytes
        sizes, bad, warned = bytearray(), [], []
        for index, item in enumerate(self._plan.items(first, count)):
            LENGTH.pack_into(self._memory, base, index)
            signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
            try:
                if str(index) in condemned:
                    raise BadImage(condemned[str(index)])
                warning = self._store(base + HEADER + index * self._stride, first + index, item, sizes)
                if warning:
                    warned.append((index, warning))
            except BadImage as error:
                sizes += SIZES.pack(0, 0, 0)
                bad.append((index, str(error)))
            except MemoryError:
                sizes += SIZES.pack(0, 0, 0)
                bad.append((index, "more than the memory limit allows"))
        signal.setitimer(signal.ITIMER_PROF, 0)
        LENGTH.pack_into(self._memory, base, NOTHING)
        return bytes(sizes), bad, warned

    def _store(self, at: int, position: int, item: Any, sizes: bytearray) -> str:
        shape = self._shape
        fetched = self._fetcher.fetch(item.locator, item.path)
        if isinstance(fetched, bytes):
            pixels, warning = self._decoder.decode(fetched)
        else:
            pixels, warning = self._decoder.resize(fetched), ""
            if shape.channels == 1:
                pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        key = listfile.key(position, item.path)
        tail = datum.tail(item.label)
        view, begin = self._view, at + KEY_ROOM
        data = begin + len(self._head)
        end = data + shape.channels * shape.height * shape.width
        view[at : at + len(key)] = key
        view[begin:data] = self._head
        planes = self._bytes[data:end].reshape(shape.channels, shape.height, shape.width)
        if shape.channels == 1:
            planes[0] = pixels
        else:
            cv2.split(pixels, list(planes))  # written in place: nothing is copied on the way to the writer
        view[end : end + len(tail)] = tail
        end += len(tail)
        sizes += SIZES.pack(len(key), end - begin, zlib.crc32(view[begin:end]))
        return warning


def send(file: BinaryIO, message: Any) -> None:
    """Write a message with its length before it."""
    data = pickle.dumps(message)
    file.write(LENGTH.pack(len(data)) + data)
    file.flush()


def main() -> None:
    """Serve tasks until the input ends. Arguments: plan, descriptor and size of the memory, chunk, CPU seconds."""
    folder, descriptor, size, chunk, cpu_seconds = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to handle
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get into the messages
    try:
        memory = mmap.mmap(int(descriptor), int(size))
        worker = Worker(load(Path(folder)), memory, int(chunk), float(cpu_seconds))
        _limit_memory()
        send(target, ("ready", versions()))
        while True:
            task = source.read(TASK.size)
            if len(task) < TASK.size:
                break
            slot, first, count, extra = TASK.unpack(task)
            condemned = json.loads(source.read(extra)) if extra else {}
            send(target, ("done", slot, worker.run(slot, first, count, condemned)))
    except FoolCaffeError as error:
        send(target, ("failed", error.message, error.hint))
    except BrokenPipeError:
        pass
    os._exit(0)  # nothing is left to be flushed, and shared memory still has views


def _limit_memory() -> None:
    try:
        now = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return  # no Linux: only the limits on bytes and pixels hold
    limit = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + MEMORY
    if limit[0] == resource.RLIM_INFINITY or wanted < limit[0]:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, limit[1]))


if __name__ == "__main__":
    main()
