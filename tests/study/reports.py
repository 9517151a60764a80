"""A report of hand-made records whose every text is hostile."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from foolcaffe.study.record import NOTE, Check, Claim, Figure, Findings, Record, Table
from foolcaffe.study.report import About, write_report

EVIL = """</script><img src=x onerror=1>"'&{{ 7*7 }}{% raw %}<svg onload=1>"""
EVIL_FILE = "</script><img src=x onerror=1>.png".replace("/", "∕")
"""A file name cannot hold a slash; what looks like one can."""


def hostile(folder: Path) -> Path:
    """Write it, with one part that found something and one that failed; its path."""
    (folder / "first").mkdir(parents=True)
    Image.new("RGB", (37, 23), (200, 40, 50)).save(folder / "first" / EVIL_FILE)
    findings = Findings(
        [
            Claim(f"one{EVIL}", EVIL, EVIL, EVIL, [Check(EVIL, 3.0, "≥", 2.0, EVIL)]),
            Claim("two", NOTE, EVIL, EVIL, [Check("x", 1.0, "≥", 2.0)]),
            Claim("three", NOTE, "plain", "nothing", untestable=EVIL),
        ],
        [Figure(EVIL_FILE, EVIL, EVIL, EVIL, EVIL)],
        [Table(EVIL, EVIL, [EVIL, "b (%)"], [[EVIL, 1.5], ["=1+1", None]])],
    )
    good = Record("first", EVIL, EVIL, EVIL, "f" * 64, {EVIL: "0" * 64}, {EVIL: EVIL}, [3, 5], 7.0, findings)
    bad = Record("second", "Second", "About.", "python", "e" * 64, {}, {}, [3], 1.0, None, f"Traceback {EVIL}\n" * 3)
    path = folder / "report.html"
    write_report(path, About(EVIL, 1234, 56, 7), [good, bad])
    return path
