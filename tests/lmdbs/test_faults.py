"""Killed at any moment, out of disk, out of luck: what is on disk says that it is unfinished, and the next run ends
with the same records as a run that nothing happened to."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from foolcaffe.errors import FoolCaffeError
from foolcaffe.locks import locked
from lmdbs import zoo
from lmdbs.tools import command, environment, records, run, stream_digest

IMAGES = 6000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str, bytes]:
    """A folder, its list, the digest of a straight build's stream, and its mean."""
    root = tmp_path_factory.mktemp("faults") / "i"
    listing = zoo.many(root, IMAGES)
    for number in (1203, 2404, 5999):
        victim = root / f"n{number % 7:08d}" / f"image_{number}.JPEG"
        victim.unlink()
        victim.write_bytes(b"bad")
    run("build", root, listing, root.parent / "straight", "--skip-bad", "--mean", root.parent / "mean")
    return root, listing, stream_digest(root.parent / "straight"), (root.parent / "mean").read_bytes()


def start(*arguments: object, **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more
    )


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process]) -> None:
    """Workers end by themselves when the builder is gone; that PID 1 takes its time to bury them is not theirs."""

    def alive(process: psutil.Process) -> bool:
        try:
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    end = time.monotonic() + 20
    while any(map(alive, processes)):
        assert time.monotonic() < end, processes
        time.sleep(0.002)


@pytest.mark.slow
def test_twenty_kills(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, mean = dataset
    database, mean_file = tmp_path / "db", tmp_path / "mean"
    arguments = ("build", root, listing, database, "--skip-bad", "--quiet", "--mean", mean_file)
    shard = database.with_name("db.partial") / "shards" / "00000"
    whole = (root.parent / "straight" / "data.mdb").stat().st_size

    def size() -> int:
        return (shard / "data.mdb").stat().st_size if (shard / "data.mdb").exists() else 0

    draw = random.Random(20)
    sizes, ends = [], 0
    for kill in range(20):
        process = start(*arguments)
        if kill % 5 == 0:  # while it starts, plans, or looks at what is there
            time.sleep(draw.uniform(0.02, 0.3))
        else:  # while it stores; the last ones while it reads back, sums the mean, publishes
            wanted = whole * 2 if kill > 15 else size() + draw.uniform(0, 0.1) * whole
            while process.poll() is None and size() < wanted and not (shard / "report.json").exists():
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.02))
        children = workers_of(process)
        process.kill()
        process.wait()
        gone(children)
        assert not database.exists() or (database / "report.json").exists()
        sizes.append(size())
        ends += (shard / "report.json").exists() or database.exists()
    assert len({s for s in sizes if s > 8192}) >= 4, "few kills came between commits: the test tests nothing"
    assert ends, "no kill came after the last commit"
    run(*arguments)
    assert stream_digest(database) == digest
    assert mean_file.read_bytes() == mean
    assert not database.with_name("db.partial").exists()
    run("validate", database, listing)
    assert len((database / "bad_images.txt").read_text().splitlines()) == 3


def test_killed_workers_are_replaced(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, _ = dataset
    process = start("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet", "--workers", 3)
    draw = random.Random(3)
    killed = 0
    while process.poll() is None and not (tmp_path / "db.partial" / "shards" / "00000" / "data.mdb").exists():
        time.sleep(0.005)
    while process.poll() is None:
        time.sleep(draw.uniform(0.05, 0.3))
        workers = workers_of(process)
        if workers and killed < 12:
            draw.choice(workers).kill()
            killed += 1
    assert process.returncode == 0
    assert killed >= 1
    assert stream_digest(tmp_path / "db") == digest


def test_file_size_limit(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    """RLIMIT_FSIZE gives LMDB the same short write as a full disk."""
    root, listing, digest, _ = dataset
    arguments = ("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40 << 20, resource.RLIM_INFINITY))

    stopped = run(*arguments, expect=1, preexec_fn=limit)
    assert "the size limit for files of 40 MiB was met (ulimit -f)" in stopped.stderr
    assert "what was committed is kept" in stopped.stderr
    assert not (tmp_path / "db").exists()
    kept = tmp_path / "db.partial" / "shards" / "00000"
    assert len(records(kept)) >= 1000
    run(*arguments)
    assert stream_digest(tmp_path / "db") == digest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_disk(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, _ = dataset
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    # what the build needs is there when it begins, and is taken by somebody else meanwhile
    process = subprocess.Popen(
        command("build", root, listing, disk / "db", "--skip-bad", "--quiet"),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None and not (disk / "db.partial" / "shards" / "00000" / "data.mdb").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)  # however slow this test is, the build must not be at its end
        (disk / "more").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - (2 << 20))))
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate()
        assert process.returncode == 1, said
        assert "the disk is full" in said
        assert "Traceback" not in said
        (disk / "more").unlink()
        run("build", root, listing, disk / "db", "--skip-bad", "--quiet")
        assert stream_digest(disk / "db") == digest
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        subprocess.run(["umount", disk], check=False)


def test_not_enough_space_is_said_before(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, _, _ = dataset
    said = run("build", root, listing, tmp_path / "db", "--size", 30_000, "--quiet", expect=1).stderr
    assert "not enough space in" in said
    assert "MiB needed" in said


def test_second_build_is_refused(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, _ = dataset
    arguments = ("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    first = start(*arguments)
    while not (tmp_path / "db.partial" / "lock").exists():
        time.sleep(0.005)
    time.sleep(0.05)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is surely still at it
    try:
        assert "is being built by another process" in run(*arguments, expect=1).stderr
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait() == 0
    assert stream_digest(tmp_path / "db") == digest


def test_lock_is_of_the_file_that_is_there(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "lock", "it"):
        (tmp_path / "a" / "lock").unlink()  # as publishing does
        with locked(tmp_path / "a" / "lock", "it"):
            third = locked(tmp_path / "a" / "lock", "it")
            with pytest.raises(FoolCaffeError, match="it is being built by another process"):
                third.__enter__()
            assert (tmp_path / "a" / "lock").exists()


def test_interrupt(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, _ = dataset
    process = start("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    while not (tmp_path / "db.partial" / "shards" / "00000" / "data.mdb").exists() and process.poll() is None:
        time.sleep(0.005)
    children = workers_of(process)
    process.send_signal(signal.SIGINT)
    assert process.wait() in (130, 0)
    gone(children)
    run("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    assert stream_digest(tmp_path / "db") == digest


def test_interrupt_at_the_keyboard(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    """Ctrl-C goes to the workers as well, be it that they are still importing: one line is said, by the builder."""
    root, listing, _, _ = dataset
    for delay in (0.15, 0.25, 0.35):
        arguments = command("build", root, listing, tmp_path / f"db{delay}", "--skip-bad", "--quiet")
        process = subprocess.Popen(
            arguments, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        while not (tmp_path / f"db{delay}.partial").exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(delay - 0.15)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
        assert process.returncode in (130, 0), said
        assert "Traceback" not in said
        assert process.returncode == 0 or said.strip().endswith("interrupted")


def test_torn_first_pages(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    """Killed between LMDB's making of the file and its first page."""
    root, listing, digest, _ = dataset
    run("plan", root, listing, tmp_path / "db", "--skip-bad")
    shard = tmp_path / "db.partial" / "shards" / "00000"
    shard.mkdir(parents=True)
    (shard / "data.mdb").write_bytes(bytes(4096))
    (shard / "journal.jsonl").write_bytes(b'[3, 4, "n/i.JPEG", "torn')
    run("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    assert stream_digest(tmp_path / "db") == digest


def test_lost_journal_is_made_again(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    """A power cut may take the journal's and the checksums' last blocks: they are made again from the images."""
    root, listing, digest, _ = dataset
    process = start("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    shard = tmp_path / "db.partial" / "shards" / "00000"
    while process.poll() is None and not (
        (shard / "data.mdb").exists() and (shard / "data.mdb").stat().st_size > 50 << 20
    ):
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert shard.exists(), "it was too fast to be killed"
    (shard / "journal.jsonl").unlink(missing_ok=True)
    (shard / "crc32").write_bytes(b"")
    run("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    assert stream_digest(tmp_path / "db") == digest
    assert len((tmp_path / "db" / "bad_images.txt").read_text().splitlines()) == 3
    run("validate", tmp_path / "db", listing)


def test_finished_is_finished(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, _, mean = dataset
    run("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet")
    before = (tmp_path / "db" / "data.mdb").stat()
    # killed between the rename and the removal of the working folder
    (tmp_path / "db.partial" / "plan").mkdir(parents=True)
    run("build", root, listing, tmp_path / "db", "--skip-bad", "--quiet", "--mean", tmp_path / "mean")
    assert (tmp_path / "db" / "data.mdb").stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "mean").read_bytes() == mean
    assert not (tmp_path / "db.partial").exists()
    said = run("build", root, listing, tmp_path / "db", "--skip-bad", "--size", 32, expect=1).stderr
    assert "made from another list, ROOT or settings" in said


def test_another_unfinished_build_is_not_mixed_in(dataset: tuple[Path, Path, str, bytes], tmp_path: Path) -> None:
    root, listing, digest, _ = dataset
    arguments = ("build", root, listing, tmp_path / "db", "--quiet")
    assert "cannot be stored" in run(*arguments, expect=1).stderr
    said = run(*arguments, "--size", 32, expect=1).stderr
    assert "differs in settings" in said
    assert "--restart" in said
    run(*arguments, "--skip-bad", "--restart")
    assert stream_digest(tmp_path / "db") == digest
