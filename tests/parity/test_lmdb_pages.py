"""Bits flipped in an LMDB's pages end in an error that names it, or in all its records; never in a crash or a hang."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffefiles.errors import CaffeError
from caffefiles.lmdb_reader import LmdbReader

CHILD = """
import gc, os, sys
from caffefiles.errors import CaffeError
from caffefiles.lmdb_reader import LmdbReader

whole = open("whole/data.mdb", "rb").read()
for number, line in enumerate(sys.stdin):
    at, bit = map(int, line.split())
    os.mkdir(f"{number}")
    with open(f"{number}/data.mdb", "wb") as file:
        file.write(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    reader = None
    try:
        reader = LmdbReader(f"{number}")
        print("read", sum(1 for key, value in reader.once() if bytes(value) is not None), flush=True)
    except CaffeError as error:
        print("said" if f"'{number}'" in str(error) else "said nothing of the database:", error.message, flush=True)
    del reader
    gc.collect()
    os.remove(f"{number}/data.mdb")
"""
SIZES = {
    "in leaves": lambda i: 200 + i % 50,
    "mixed": lambda i: (300, 1500, 3000, 9000)[i % 4],
    "outside": lambda i: 12000,
}
COUNT = 240


def build(sizes: str) -> list[tuple[bytes, bytes]]:
    """An LMDB of three levels or of overflow pages, written in three transactions; its records."""
    records = [(b"%08d_x" % i, np.random.default_rng(i).bytes(SIZES[sizes](i))) for i in range(COUNT)]
    with lmdb.open("whole", map_size=1 << 26) as environment:
        for start in range(0, COUNT, COUNT // 3):
            with environment.begin(write=True) as transaction:
                for key, value in records[start : start + COUNT // 3]:
                    transaction.put(key, value)
    return records


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES)
def test_flipped_bits(sizes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, which a wrong step would end. Most flips hit what is checked: headers, nodes, metas."""
    monkeypatch.chdir(tmp_path)
    records = build(sizes)
    reader = LmdbReader("whole")
    assert [(key, bytes(value)) for key, value in reader.once()] == records
    generator, pages = random.Random(4), Path("whole/data.mdb").stat().st_size // 4096
    flips = []
    for _ in range(250):
        page = generator.choice([generator.randrange(2), generator.randrange(pages), generator.randrange(pages)])
        places = [generator.randrange(16, 160)] if page < 2 else [generator.randrange(16), generator.randrange(16, 80)]
        flips.append((page * 4096 + generator.choice([*places, generator.randrange(4096)]), generator.randrange(8)))
    root = str(Path(sys.modules["torchcaffe"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="".join(f"{at} {bit}\n" for at, bit in flips),
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root},
        timeout=600,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert len(lines) == len(flips)
    for line, (at, _) in zip(lines, flips):
        # a meta page whose transaction number sinks leaves the commit before it: LMDB's own way back
        older = at // 4096 < 2 and line == f"read {COUNT // 3 * 2}"
        assert line.startswith("said ") or line == f"read {COUNT}" or older, (line, at)
    assert any(line.startswith("said ") for line in lines)


def test_a_second_reading_says_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build("in leaves")
    data = bytearray(Path("whole/data.mdb").read_bytes())
    leaf = next(at for at in range(8192, len(data), 4096) if data[at + 10] == 2)
    data[leaf + 10] = 1  # a leaf that says it is a branch
    Path("whole/data.mdb").write_bytes(data)
    reader = LmdbReader("whole")
    for _ in range(2):
        with pytest.raises(CaffeError, match=r"the LMDB 'whole' is damaged: the header of page \d+ is wrong"):
            list(reader.once())
