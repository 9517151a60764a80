"""Is ``python -m foolcaffe.lmdb`` faster than convert_imageset, how near to what the cores can decode, flat in memory?

Both sides run in one go, alternating; rates are medians over the rounds, ratios medians of each round's own. Bare loops, in one
process, say what the cores could do at most: decoding alone, and storing the result in the two plainest ways. Needs real images
(FOOLCAFFE_SHARED) and real Caffe (.caffe). ``--folder`` chooses the disk that is written to; a tmpfs shows the
processors alone.

    python benchmarks/bench_lmdb.py [--rounds 5] [--folder /dev/shm] [--no-memory]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import psutil

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("FOOLCAFFE_SHARED", ROOT.parent / "shared" / "data"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "GLOG_minloglevel": "2"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as where the package is installed
BARE = """
import sys, time
import cv2, lmdb
from foolcaffe.lmdb.decode import Decoder
root, listing, how, folder, limit = sys.argv[1:]
paths = [root + "/" + line.rsplit(" ", 1)[0] for line in open(listing)][:int(limit)]
decode = Decoder(64, 64).decode
def ours(path):
    with open(path, "rb") as file:
        decode(file.read())
def caffes(path):
    pixels = cv2.imread(path)
    if pixels.shape[:2] != (64, 64):
        cv2.resize(pixels, (64, 64))
def written(path):  # the bytes of a record, nothing else
    ours(path)
    out.write(value)
def stored(path):  # in LMDB, committed as we commit
    global txn
    ours(path)
    txn.put(b"%08d_" % stored.count + path.encode(), value, append=True)
    stored.count += 1
    if stored.count % 1000 == 0:
        txn.commit()
        txn = env.begin(write=True)
stored.count = 0
value = bytes(3 * 64 * 64 + 20)
step = ours if how == "plain" else globals()[how]
for path in paths[:200]:
    ours(path)
if how == "written":
    out = open(folder + "/bare", "wb", buffering=0)
elif how == "stored":
    env = lmdb.open(folder + "/bare", map_size=1 << 36, metasync=False, lock=False)
    txn = env.begin(write=True)
began = time.perf_counter()
for path in paths:
    step(path)
if how == "stored":
    txn.commit()
print(len(paths) / (time.perf_counter() - began))
"""


def repeated(folder: Path, images: Path, names: list[str], times: int) -> tuple[Path, Path]:
    """The same images under several folders' names, so that a list may name them often."""
    folder.mkdir()
    for i in range(times):
        (folder / str(i)).symlink_to(images, target_is_directory=True)
    listing = folder.with_suffix(".txt")
    listing.write_text("".join(f"{i}/{name} {n % 200}\n" for i in range(times) for n, name in enumerate(names)))
    return folder, listing


def datasets(scratch: Path) -> dict[str, tuple[Path, Path]]:
    samples = SHARED / "imagenet-samples"
    found = {"full-size JPEGs": repeated(scratch / "full", samples, sorted(p.name for p in samples.iterdir()), 60)}
    with zipfile.ZipFile(SHARED / "tiny-imagenet-half.zip") as zipped:
        names = [n for n in zipped.namelist() if n.endswith(".JPEG")]
        zipped.extractall(scratch / "tiny-images", names)
    found["64×64 JPEGs"] = repeated(scratch / "tiny", scratch / "tiny-images", names, 2)
    return found


def lines(listing: Path) -> int:
    return len(listing.read_text().splitlines())


def timed(command: list[object], database: Path) -> tuple[float, float]:
    """Seconds by the clock, and of the processors."""
    shutil.rmtree(database, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([str(c) for c in command], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(database)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


REAL = "convert_imageset"
LOOPS = {
    "plain": "decode as ours (simplejpeg)",
    "caffes": "decode as Caffe (cv2.imread)",
    "written": "decode, write() the record's bytes to a file",
    "stored": "decode, put and commit in LMDB",
}


def bare(root: Path, listing: Path, how: str, folder: Path) -> float:
    loop = [sys.executable, "-c", BARE, str(root), str(listing), how, str(folder), str(lines(listing) // 4)]
    rate = float(subprocess.run(loop, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE).stdout)
    written = folder / "bare"
    if written.is_dir():
        shutil.rmtree(written)
    written.unlink(missing_ok=True)
    return rate


def ratio(rates: list[float], others: list[float]) -> float:
    """Of rounds that were run side by side."""
    return median(a / b for a, b in zip(rates, others))


def speed(scratch: Path, folder: Path, rounds: int, cores: int) -> None:
    convert = ROOT / ".caffe" / "bin" / "convert_imageset"
    for name, (root, listing) in datasets(scratch).items():
        count = lines(listing)
        rates: dict[str, list[float]] = {}
        work: dict[str, list[float]] = {}
        build: list[object] = [sys.executable, "-m", "foolcaffe.lmdb", "build", "--quiet"]
        sizes = ["--resize_height=64", "--resize_width=64"]
        commands: dict[str, list[object]] = {
            REAL: [convert, *sizes, f"{root}/", listing, folder / "db"],
            "ours, not read back": [*build, "--no-verify", root, listing, folder / "db"],
            "ours": [*build, root, listing, folder / "db"],
        }
        for _ in range(rounds):
            for side, command in commands.items():
                took, busy = timed(command, folder / "db")
                rates.setdefault(side, []).append(count / took)
                work.setdefault(side, []).append(busy / count * 1e6)
            for how in LOOPS:
                rates.setdefault(how, []).append(bare(root, listing, how, folder))

        load = os.getloadavg()[0]
        print(f"\n{name}: {count} images, images/s, median of {rounds} rounds, {cores} cores, load {load:.1f}")
        for side in commands:
            shown = f"{ratio(rates[side], rates[REAL]):5.2f} ×" if side != REAL else " " * 7
            print(
                f"  {side:54} {median(rates[side]):7.0f}  {shown} {median(work[side]):6.0f} µs of a processor an image"
            )
        for how, what in LOOPS.items():
            shown = " / ".join(
                f"{ratio(rates[side], rates[how]) / cores:.2f}" for side in ("ours, not read back", "ours")
            )
            print(f"  one core: {what:44} {median(rates[how]):7.0f}  ours is {shown} of {cores} × this", flush=True)


def memory(scratch: Path, folder: Path) -> None:
    print("\npeak resident memory of the builder and its 2 workers (what they share counted in each), MiB")
    whole = (scratch / "tiny.txt").read_text().splitlines(keepends=True)
    for count in (1_000, 10_000, 100_000):
        part = scratch / "part.txt"
        part.write_text("".join(whole[:count]))
        command = [sys.executable, "-m", "foolcaffe.lmdb", "build", "--quiet", "--workers", "2", str(scratch / "tiny")]
        process = subprocess.Popen([*command, str(part), str(folder / "db")], env=ENVIRONMENT, stdout=-3)
        peak = 0
        while process.poll() is None:
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
                peak = max(peak, sum(p.memory_info().rss for p in family))
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.01)
        shutil.rmtree(folder / "db")
        print(f"  {count:7} images: {peak / 2**20:6.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where databases are written")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory")
    options = parser.parse_args()
    if not (SHARED / "tiny-imagenet-half.zip").exists() or not (ROOT / ".caffe" / "bin" / "convert_imageset").exists():
        sys.exit("bench_lmdb: needs real images (FOOLCAFFE_SHARED) and real Caffe (make .caffe)")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir=options.folder) as folder:
        speed(Path(scratch), Path(folder), options.rounds, cores)
        if not options.no_memory:
            memory(Path(scratch), Path(folder))


if __name__ == "__main__":
    main()
