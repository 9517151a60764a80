"""A copy of the report that a repository can hold: small figures, no images of the dataset, and its numbers as JSON."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from caffefiles.files import write_json
from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.lab import paletted
from foolcaffe.study.record import Record, jsonable
from foolcaffe.study.report import About, data_uri, write_report

LIMIT = 2_000_000
"""Bytes of all figures together."""
WIDTHS = (1100, 1000, 900, 800, 700, 600)
"""The widest of these, in pixels, at which they keep within it is taken."""


def write_light(path: Path, about: About, records: list[Record], folder: Path) -> None:
    """Write the copy, and the numbers beside it (``.json``).

    Args:
        path: the HTML file.
        about: the dataset.
        records: as in the whole report.
        folder: that of the whole report, with ``<part>/``.

    Raises:
        FoolCaffeError: a part failed, a figure is missing, or the figures are too many for the limit.
    """
    failed = [r.name for r in records if r.error]
    if failed:
        raise FoolCaffeError(f"no light report of parts that failed: {', '.join(failed)}", "run them again first")
    shown = [(r.name, f) for r in records if r.findings for f in r.findings.figures]
    for width in WIDTHS:
        images = {(n, f.file): b"" if f.photos else _small(folder / n / f.file, width) for n, f in shown}
        if sum(map(len, images.values())) <= LIMIT:
            break
    else:
        raise FoolCaffeError(
            f"the figures of {folder} take more than {LIMIT} bytes at {width} pixels", "leave parts out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(path, about, records, {k: data_uri("image/png", v) if v else "" for k, v in images.items()})
    write_json(path.with_suffix(".json"), numbers(records))


def numbers(records: list[Record]) -> dict[str, Any]:
    """Part → ``claims`` (key → verdict, and the measured value of each check) and ``tables`` (key → columns, rows)."""
    found: dict[str, Any] = jsonable(
        {
            r.name: {
                "claims": {
                    c.key: {"verdict": c.verdict, "measured": [[k.label, k.value] for k in c.checks]}
                    for c in r.findings.claims
                },
                "tables": {t.key: {"columns": t.columns, "rows": t.rows} for t in r.findings.tables},
            }
            for r in records
            if r.findings
        }
    )
    return found


def _small(path: Path, width: int) -> bytes:
    try:
        with Image.open(path) as image:
            drawn = image.convert("RGB")
    except (FileNotFoundError, OSError):
        raise FoolCaffeError(f"the figure {path} cannot be read", "run its part again with --again") from None
    if drawn.width > width:
        drawn = drawn.resize((width, round(drawn.height * width / drawn.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    paletted(drawn).save(out, format="PNG", optimize=True)
    return out.getvalue()
