"""How hard a model is to fool: flip many validation images to random classes, and measure the change on the PNGs.

The post: "increasing the regularization strength … is more resistant to fooling". This puts a number to it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffefiles.datum import DatumLMDB
from foolcaffe import engine
from foolcaffe.attacks import METHODS, Criterion, method
from foolcaffe.errors import FoolCaffeError, run_cli
from foolcaffe.images import BgrPixels, Rgb8, write_png
from foolcaffe.options import command_line
from foolcaffe.progress import Progress
from foolcaffe.trained import TrainedModel, find_trained
from foolcaffe.verify import verify


@dataclass(frozen=True)
class Difficulty:
    """``mean_abs`` of every PNG that fooled, in grey levels; ``tried`` PNGs in all."""

    tried: int
    mean_abs: list[float]

    @property
    def median(self) -> float:
        """Median of mean |δ| over the PNGs that fooled."""
        return statistics.median(self.mean_abs) if self.mean_abs else float("nan")


def spread_images(database: Path, count: int) -> list[tuple[Rgb8, int]]:
    """``count`` images with their labels, evenly spread over an LMDB.

    Raises:
        FoolCaffeError: it holds fewer.
    """
    with DatumLMDB(database) as records:
        if len(records) < count:
            raise FoolCaffeError(f"{database} holds {len(records)} images, {count} were asked for")
        every = len(records) // count
        chosen = [r for i, r in enumerate(records) if i % every == 0][:count]
    return [(BgrPixels(r.pixels.astype(np.float32)).to_rgb8(), r.label) for r in chosen]


def difficulty(
    model: TrainedModel,
    *,
    images: int,
    targets: int,
    seed: int = 11,
    method_name: str = "gradient",
    quiet: bool = False,
) -> Difficulty:
    """Flip ``images`` validation images to ``targets`` random classes each; success is judged on the PNG on disk.

    A target is neither the image's label nor what the net takes it for.
    """
    net = model.classifier()
    attack = method(method_name)
    rng = np.random.default_rng(seed)
    sizes: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="foolcaffe.") as aside,
        Progress(images * targets, "images", f"fool {model.folder.name}", quiet) as progress,
    ):
        for start, label in spread_images(model.dataset / "val_lmdb", images):
            predicted = int(net.scores(start.to_bgr())[0].argmax())
            others = [c for c in range(net.classes) if c not in (label, predicted)]
            for target in rng.choice(others, targets, replace=False):
                criterion = Criterion(int(target))
                png = Path(aside) / "x.png"
                write_png(png, attack(net, start, criterion, seed=seed).image)
                verdict = verify(net, png, start, criterion)
                if verdict.fooled:
                    sizes.append(verdict.distances.mean)
                progress.advance()
    return Difficulty(images * targets, sizes)


def main(arguments: list[str]) -> int:
    """Parse, measure, print a line a model."""
    parser = command_line("foolcaffe.difficulty", __doc__, "seed json quiet", seed=11)
    parser.add_argument(
        "--model", action="append", help="build/<dataset>/<model>, or its name; may be given several times"
    )
    parser.add_argument("--images", type=int, default=100, help="validation images (default: %(default)s)")
    parser.add_argument("--targets", type=int, default=3, help="random classes for each (default: %(default)s)")
    parser.add_argument(
        "--method", default="gradient", help="one of: " + ", ".join(METHODS) + " (default: %(default)s)"
    )
    o = parser.parse_args(arguments)
    engine.quiet = o.quiet
    found = []
    for name in o.model or [None]:
        model = find_trained(name)
        result = difficulty(model, images=o.images, targets=o.targets, seed=o.seed, method_name=o.method, quiet=o.quiet)
        quartiles = np.percentile(result.mean_abs, [25, 75]).tolist() if result.mean_abs else [float("nan")] * 2
        found.append(
            {
                "model": str(model.folder),
                "method": o.method,
                "tried": result.tried,
                "fooled": len(result.mean_abs),
                "median_mean_abs": result.median,
                "quartiles": quartiles,
                "seed": o.seed,
            }
        )
        if not o.json:
            print(
                f"{model.folder}: {len(result.mean_abs)} of {result.tried} PNGs fool, mean |δ| median "
                f"{result.median:.2f} (quartiles {quartiles[0]:.2f} to {quartiles[1]:.2f}) grey levels; "
                f"{o.method}, seed {o.seed}"
            )
    if o.json:
        print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    run_cli(main, "foolcaffe.difficulty")
