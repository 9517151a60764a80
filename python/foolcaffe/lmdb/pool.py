"""Worker processes and the order of their results.

Every worker has its own queue of tasks and its own slots in one shared memory; results come back in the order in which
the positions were given, whichever worker finishes first. Memory is the slots, whatever the number of images. A worker
that dies or makes no progress is replaced and its tasks are done again; an image that costs three workers is rejected.
"""

from __future__ import annotations

import json
import mmap
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from caffefiles import listfile
from foolcaffe.engine import child_environment
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb.plan import Settings, load
from foolcaffe.lmdb.slots import CPU_SECONDS, HEADER, KEY_ROOM, LENGTH, NOTHING, SIZES, TASK, Done, Shape

DEPTH = 16
"""Slots of a worker: enough work for the time that the writer spends in a commit."""
CHUNK = 64
CHUNK_BYTES = 1 << 20
READ_BACK = 512
"""Records that a worker reads back in one task."""
A_WORKER = 50
"""Fewer images are not worth one more process."""
DEATHS = 3
STALLED = 300.0
"""Seconds without any progress after which a worker is replaced, for instance one that was stopped, or that waits for a
hanging file system. An image may take :data:`slots.CPU_SECONDS` of processor time, which is much less.
``FOOLCAFFE_STALL_SECONDS`` in the environment sets another limit."""
_POLL = 0.5


class Chunk(NamedTuple):
    """Finished records. ``items`` are views of (key, value), valid until the next chunk is asked for."""

    first: int
    size: int
    items: list[tuple[memoryview, memoryview]]
    checksums: bytes
    """CRC-32 of each value, 4 bytes little-endian a position; 0 for a rejected one."""
    digested: bytes
    """What the records add to the digest, see :func:`slots.for_digest`."""
    bad: list[tuple[int, str]]
    """(position, reason)"""
    warned: list[tuple[int, str]]


@dataclass(eq=False)
class _Task:
    first: int
    count: int
    database: str = ""
    """Which one is to be read back; empty: images are to be decoded."""
    slot: int = -1
    result: Any = None


@dataclass(eq=False)
class _Member:
    process: subprocess.Popen[bytes]
    slots: list[int]
    queue: deque[_Task] = field(default_factory=deque)
    mark: tuple[int, int] | None = None
    """The position that it was seen at: the task's first one, and the index in the task."""
    still: float = 0.0
    """Seconds that it has stayed there while the builder had nothing to do but wait."""


def workers_for(images: int) -> int:
    """How many workers so many images keep busy: at most one for each processor that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, -(-images // A_WORKER)))


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes started meanwhile never see Ctrl-C, not even while they import: it is for this one to handle."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """Decodes positions of a plan in worker processes, and reads them back. A context manager.

    Args:
        plan: the folder of the plan, which need not be there before the first task: the processes start meanwhile.
        settings: the plan's.
        workers: how many processes.
        cpu_seconds: processor time an image may take.
    """

    def __init__(self, plan: Path, settings: Settings, workers: int, cpu_seconds: float = CPU_SECONDS) -> None:
        self._plan = plan
        self._cpu_seconds = cpu_seconds
        shape = Shape.of(settings)
        self._stride = shape.stride
        self._chunk_max = max(1, min(CHUNK, CHUNK_BYTES // shape.stride))
        self._slot_bytes = shape.slot_bytes(self._chunk_max)
        self._file: Any = (
            os.fdopen(os.memfd_create("lmdb"), "r+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()  # noqa: SIM115
        )
        size = self._slot_bytes * DEPTH * workers
        os.ftruncate(self._file.fileno(), size)
        self._memory = mmap.mmap(self._file.fileno(), size)
        self._view = memoryview(self._memory)
        self._deaths: Counter[int] = Counter()
        self._idle_deaths = 0
        self._stalled = float(os.environ.get("FOOLCAFFE_STALL_SECONDS", STALLED))
        self._condemned: dict[int, str] = {}
        self.versions: dict[str, str] = {}
        self._selector = selectors.DefaultSelector()
        self._members: list[_Member] = []
        try:
            with deaf_to_interrupts():
                for w in range(workers):
                    self._members.append(self._start(list(range(w * DEPTH, (w + 1) * DEPTH))))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, whatever they are at."""
        self._selector.close()
        for member in self._members:
            member.process.kill()
            self._end(member.process)
        self._file.close()

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [m.process.pid for m in self._members]

    def _start(self, slots: list[int]) -> _Member:
        # one thread a worker: the workers are the parallelism, and idle threads count against the memory limit
        environment = child_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        descriptor = self._file.fileno()
        arguments = self._plan, descriptor, len(self._memory), self._chunk_max, self._cpu_seconds
        process = subprocess.Popen(
            [sys.executable, "-m", "foolcaffe.lmdb.worker", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=[descriptor],
            env=environment,
        )
        member = _Member(process, slots)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, member)
        return member

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> int:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return process.wait()

    def run(self, ranges: Iterable[tuple[int, int]], expected: int) -> Iterator[Chunk]:
        """Decode positions.

        Args:
            ranges: [first, end) of positions, in the order in which results are wanted.
            expected: how many positions these are, to size the chunks.

        Yields:
            finished chunks, in that order.

        Raises:
            FoolCaffeError: workers cannot start, or an archive has changed.
        """
        most = max(1, min(self._chunk_max, expected // (8 * len(self._members))))
        for task in self._results(_tasks(ranges, most)):
            yield self._chunk(task)

    def read_back(self, database: Path, count: int) -> Iterator[tuple[int, list[str]]]:
        """Compare a finished database with the plan.

        Args:
            database: its folder.
            count: of the plan's positions.

        Yields:
            (how many positions were looked at, what is wrong with them), in key order.

        Raises:
            FoolCaffeError: it cannot be read.
        """
        most = min(READ_BACK, -(-count // len(self._members)))
        for task in self._results(_tasks([(0, count)], most, str(database))):
            yield task.count, task.result

    def _results(self, todo: Iterator[_Task]) -> Iterator[_Task]:
        """Finished tasks, in the order given; what is in a task's slot holds until the next is asked for."""
        order: deque[_Task] = deque()
        exhausted = False
        while True:
            while not exhausted:
                member = min((m for m in self._members if m.slots), key=lambda m: len(m.queue), default=None)
                if member is None:
                    break
                task = next(todo, None)
                if task is None:
                    exhausted = True
                    break
                task.slot = member.slots.pop()
                member.queue.append(task)
                order.append(task)
                self._give(member, task)
            if not order:
                return
            while order[0].result is None:
                self._wait()
            task = order.popleft()
            yield task
            self._members[task.slot // DEPTH].slots.append(task.slot)

    def _give(self, member: _Member, task: _Task) -> None:
        known = {p - task.first: reason for p, reason in self._condemned.items() if 0 <= p - task.first < task.count}
        more = task.database or known
        extra = json.dumps(more).encode() if more else b""
        LENGTH.pack_into(self._memory, task.slot * self._slot_bytes, NOTHING)
        try:
            assert member.process.stdin is not None
            member.process.stdin.write(TASK.pack(task.slot, task.first, task.count, len(extra)) + extra)
        except BrokenPipeError:
            pass  # its death is seen where its results are read, and the task is given again

    def _wait(self) -> None:
        ready = self._selector.select(_POLL)
        if not ready:
            self._end_stalled()
        for key, _ in ready:
            member: _Member = key.data
            member.still = 0.0
            message = self._receive(key.fd)
            if message is None:
                self._replace(member)
            elif message[0] == "ready":
                self.versions = message[1]
                self._idle_deaths = 0
            elif message[0] == "failed":
                raise FoolCaffeError(message[1], message[2])
            else:
                task = member.queue.popleft()
                assert task.slot == message[1]
                task.result = message[2]
                self._idle_deaths = 0

    def _end_stalled(self) -> None:
        """Kill the workers that have stood still for too long; :meth:`_wait` then finds them dead and replaces them.

        Only waiting counts, so that a builder which was itself stopped for an hour does not blame its workers.
        """
        for member in self._members:
            if not member.queue:
                continue
            task = member.queue[0]
            mark = (task.first, LENGTH.unpack_from(self._memory, task.slot * self._slot_bytes)[0])
            member.still = member.still + _POLL if mark == member.mark else 0.0
            member.mark = mark
            if member.still >= self._stalled:
                at = f"record {task.first + (0 if mark[1] == NOTHING else mark[1])}"
                if not task.database:
                    item = load(self._plan).item(task.first + (0 if mark[1] == NOTHING else mark[1]))
                    at = f"{listfile.show(item.path)} (line {item.line})"
                print(
                    f"worker {member.process.pid} made no progress for {self._stalled:g} s at {at}: it is replaced",
                    file=sys.stderr,
                )
                member.process.kill()
                member.still = 0.0

    @staticmethod
    def _receive(descriptor: int) -> Any:
        def read(size: int) -> bytes:
            data = b""
            while len(data) < size:
                block = os.read(descriptor, size - len(data))
                if not block:
                    return b""
                data += block
            return data

        head = read(LENGTH.size)
        body = read(LENGTH.unpack(head)[0]) if head else b""
        return pickle.loads(body) if body else None  # noqa: S301 - our own worker wrote it

    def _replace(self, member: _Member) -> None:
        self._selector.unregister(member.process.stdout)  # type: ignore[arg-type]
        code = self._end(member.process)
        self._idle_deaths += 1
        if member.queue:
            task = member.queue[0]
            index = LENGTH.unpack_from(self._memory, task.slot * self._slot_bytes)[0]
            if task.database:
                self._deaths[-1 - task.first] += 1
                if self._deaths[-1 - task.first] == DEATHS:
                    raise FoolCaffeError(
                        f"{task.database} cannot be read back: its records from {task.first} ended {DEATHS} processes",
                        "the disk may be failing: begin again with --restart",
                    )
            elif index != NOTHING:
                position = task.first + index
                self._deaths[position] += 1
                self._idle_deaths = 0
                if self._deaths[position] == DEATHS:
                    self._condemned[position] = _reason(code, self._cpu_seconds)
        # one that cannot start ends with a code; one that is killed before its first image may have met bad luck
        if self._idle_deaths > (DEATHS if code >= 0 else 10 * DEATHS) * len(self._members):
            raise FoolCaffeError(
                f"the workers end as soon as they start ({_reason(code, self._cpu_seconds)})",
                "their last words are above",
            )
        place = self._members.index(member)
        with deaf_to_interrupts():
            fresh = self._start(member.slots)
            fresh.queue = member.queue
            self._members[place] = fresh
        for task in fresh.queue:
            self._give(fresh, task)

    def _chunk(self, task: _Task) -> Chunk:
        done = Done(*task.result)
        view, stride = self._view, self._stride
        at = task.slot * self._slot_bytes + HEADER
        items = []
        for key_size, value_size in SIZES.iter_unpack(done.sizes):
            if value_size:
                begin = at + KEY_ROOM
                items.append((view[at : at + key_size], view[begin : begin + value_size]))
            at += stride
        return Chunk(
            task.first,
            task.count,
            items,
            done.checksums,
            done.digested,
            [(task.first + i, r) for i, r in done.bad],
            [(task.first + i, r) for i, r in done.warned],
        )


def _tasks(ranges: Iterable[tuple[int, int]], most: int, database: str = "") -> Iterator[_Task]:
    for first, end in ranges:
        for start in range(first, end, most):
            yield _Task(start, min(most, end - start), database)


def _reason(code: int, cpu_seconds: float) -> str:
    if code == -signal.SIGPROF:
        return f"decoding took more than {cpu_seconds:g} s"
    if code < 0:
        return f"its decoder was ended by signal {-code} ({signal.Signals(-code).name}) {DEATHS} times"
    return f"its decoder ended with code {code} {DEATHS} times"
