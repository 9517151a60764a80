"""One self-contained HTML page of all records: no script, nothing from outside, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from caffefiles.datum import DatumLMDB
from caffefiles.files import write_text
from foolcaffe.classes import read_synsets
from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.lab import csv_text
from foolcaffe.study.record import VERDICTS, Record

HERE = Path(__file__).parent
POST_URL = "http://karpathy.github.io/2015/03/30/breaking-convnets/"


@dataclass(frozen=True)
class About:
    """The dataset: its name, how many training and validation images, how many classes."""

    name: str
    train: int
    val: int
    classes: int

    @classmethod
    def of(cls, dataset: Path) -> About:
        """Counted in the LMDBs of ``build/<dataset>``."""
        with DatumLMDB(dataset / "train_lmdb") as train, DatumLMDB(dataset / "val_lmdb") as val:
            return cls(dataset.name, len(train), len(val), len(read_synsets(dataset / "synset_words.txt")))


def write_report(
    path: Path, about: About, records: list[Record], images: dict[tuple[str, str], str] | None = None
) -> None:
    """Write the report.

    Args:
        path: the HTML file.
        about: the dataset.
        records: in the order in which they are shown.
        images: (part, file) → address of each figure; "" for one that is left out. Default: the files in ``<part>/``
            beside the report.

    Raises:
        FoolCaffeError: a figure of a record is missing.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["csv_uri"] = lambda table: data_uri("text/csv;charset=utf-8", csv_text(table).encode())
    style = (HERE / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    totals: Counter[str] = Counter()
    for record in records:
        totals.update(record.counts)
    html = environment.from_string((HERE / "report.html.j2").read_text("utf-8")).render(
        style=Markup(style),  # noqa: S704 - our own file, no data in it
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        about=about,
        records=records,
        totals={verdict: totals[verdict] for verdict in VERDICTS},
        images=images
        or {
            (r.name, f.file): image_uri(path.parent / r.name / f.file)
            for r in records
            if r.findings
            for f in r.findings.figures
        },
        slug={verdict: verdict.replace(" ", "-") for verdict in VERDICTS},
        post_url=POST_URL,
    )
    write_text(path, html)


def image_uri(path: Path) -> str:
    """A PNG as a data: address.

    Raises:
        FoolCaffeError: it is not there, or no PNG.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FoolCaffeError(
            f"the figure {path} is missing", "remove its part's record.json, and run the study again"
        ) from None
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise FoolCaffeError(f"the figure {path} is no PNG", "remove its part's record.json, and run the study again")
    return data_uri("image/png", data)


def data_uri(kind: str, data: bytes) -> str:
    """Return bytes of a MIME type as a data: address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
