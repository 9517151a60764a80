"""Build the explorer: one HTML page in which a picture is dragged along a template of a trained linear net.

The page needs no network and no server: open it in a browser. Several models, as of several weight decays, become a
slider of it. Models of many classes are too large for one file; --serve loads their weights in parts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from caffefiles.datum import DatumLMDB
from caffefiles.files import atomic_path
from foolcaffe import engine
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.explore import pictures
from foolcaffe.explore.models import describe
from foolcaffe.explore.page import page
from foolcaffe.explore.serve import HOST, server
from foolcaffe.explore.weights import PackedRows, pack
from foolcaffe.options import command_line
from foolcaffe.trained import TrainedModel, find_trained

LARGEST = 20_000_000
"""Bytes of a page at most; browsers open larger ones too slowly."""
PER_PART = 50
"""Classes whose weights are served in one part."""
VALIDATION = 8
"""Validation images that are offered beside the photographs if none is named."""


def main(arguments: list[str]) -> int:
    """Parse, pack, then write the page or serve it."""
    parser = command_line("foolcaffe.explore", __doc__, "quiet")
    parser.add_argument(
        "--model",
        action="append",
        dest="models",
        help="build/<dataset>/<model>, or its name; may be given several times (default: trained last)",
    )
    parser.add_argument(
        "--image", action="append", type=Path, default=[], metavar="FILE", help="offer this picture too"
    )
    parser.add_argument(
        "--start",
        action="append",
        metavar="val:N",
        help=f"offer validation image N (default: {VALIDATION} of them; none for the demo's photographs)",
    )
    parser.add_argument("--out", type=Path, metavar="HTML", help="default: build/<dataset>/explorer.html")
    parser.add_argument("--serve", action="store_true", help=f"serve the page on {HOST} instead of writing it")
    parser.add_argument("--port", type=int, default=8000, help="for --serve (default: %(default)s)")
    options = parser.parse_args(arguments)
    engine.quiet = options.quiet
    models = [find_trained(name) for name in options.models or [None]]
    if options.serve:
        return _serve(*collect(models, options.image, options.start, bits=8, quiet=options.quiet), options.port)
    facts, packed = collect(models, options.image, options.start, quiet=options.quiet)
    out: Path = options.out or models[0].dataset / "explorer.html"
    html = page(facts, [b"".join(rows.parts()) for rows in packed])
    if len(html.encode()) > LARGEST:
        raise FoolCaffeError(
            f"the page would have {len(html.encode()) / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}",
            "give fewer models, or --serve, which loads the weights in parts",
        )
    with atomic_path(out) as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(out)
    return 0


def collect(
    models: list[TrainedModel],
    images: list[Path],
    validation: list[str] | None,
    *,
    bits: int | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[PackedRows]]:
    """All that the page holds: a JSON object without weights, and the weights of each model.

    Args:
        models: of one dataset, the one that the page begins with first.
        images: files to offer as pictures.
        validation: validation images to offer, ``val:N``; None chooses some, but none for the demo's photographs.
        bits: of the weights' residuals (default: 8, or 4 where a page of 8 would be too large).
        quiet: no progress.

    Raises:
        FoolCaffeError: a net is not linear, the models are not of the same classes, or a picture cannot be read.
    """
    synsets, first = models[0].synsets(), models[0].classifier()
    if validation is None:
        validation = []
        if models[0].dataset.name != "demo" and (models[0].dataset / "val_lmdb").exists():
            with DatumLMDB(models[0].dataset / "val_lmdb") as records:
                chosen = np.unique(np.linspace(0, len(records) - 1, VALIDATION).astype(int))
            validation = [f"val:{i}" for i in chosen]
    offered = pictures.photographs(first)
    offered += [pictures.from_dataset(text, models[0], first) for text in validation]
    offered += [pictures.from_file(path, first) for path in images]
    described, packed = [], []
    weights = sum(first.classes * int(np.prod(first.shape)) for _ in models)
    if bits is None:
        bits = 8 if weights * 2 * 4 / 3 < LARGEST * 0.97 else 4
    for model in models:
        if list(model.synsets()) != list(synsets):
            raise FoolCaffeError(
                f"{model.folder} has other classes than {models[0].folder}", "the models of a page share their classes"
            )
        net = model.classifier()
        if net.shape != first.shape:
            raise FoolCaffeError(f"{model.folder} takes images of another size than {models[0].folder}")
        packed.append(pack(net, bits))
        described.append({**describe(model, net, quiet), **packed[-1].description()})
    facts = {
        "dataset": models[0].dataset.name,
        "height": first.shape[1],
        "width": first.shape[2],
        "classes": [{"wnid": s.wnid, "names": list(s.names)} for s in synsets],
        "models": described,
        "pictures": offered,
        "engine": engine.name(),
    }
    return facts, packed


def _serve(facts: dict[str, Any], packed: list[PackedRows], port: int) -> int:
    groups = [[b"".join(p[i : i + PER_PART]) for i in range(0, len(p), PER_PART)] for p in (r.parts() for r in packed)]
    try:
        found = server(page({**facts, "parts": len(groups[0])}, [], served=True), groups, port)
    except OSError as error:
        raise FoolCaffeError(f"port {port} cannot be used: {error.strerror}", "choose another with --port") from None
    print(f"http://{HOST}:{found.server_port}/", flush=True)
    print("Ctrl-C ends the server.", file=sys.stderr)
    with found:
        found.serve_forever()
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.explore")
