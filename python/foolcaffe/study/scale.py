"""How much is measured: by the number of training images, so that no option is needed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiments.

    Attributes:
        name: of the scale.
        iterations: of a full training; None is what the model's solver asks for.
        sweep_iterations: of each training of a sweep.
        decays: weight decays that full models are trained with, ascending; the post's 100 is one of them.
        seeds: of those trainings.
        rates, sweep_decays: the sweep's grid.
        images: validation images that attacks are tried on.
        sizes: image sides for the experiment on the dimension.
    """

    name: str
    iterations: int | None
    sweep_iterations: int
    decays: tuple[float, ...]
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    sweep_decays: tuple[float, ...]
    images: int
    sizes: tuple[int, ...]


ALL_DECAYS = (0.0005, 100.0, 1000.0, 10000.0)
ALL_RATES = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
SWEEP_DECAYS = (0.0005, 1.0, 100.0, 1000.0, 10000.0)

SMALLEST = Scale(
    "smallest", 60, 20, (0.0005, 100.0, 10000.0), (1, 2), (1e-8, 1e-7, 1e-4), (0.0005, 10000.0), 12, (8, 16, 64)
)
SMALL = Scale("small", None, 300, ALL_DECAYS, (1, 2, 3), ALL_RATES, SWEEP_DECAYS, 100, (8, 16, 32, 64))
MEDIUM = Scale("medium", None, 500, ALL_DECAYS, (1, 2, 3), ALL_RATES, SWEEP_DECAYS, 200, (8, 16, 32, 64))
LARGE = Scale("large", None, 5000, ALL_DECAYS, (1, 2, 3), ALL_RATES, SWEEP_DECAYS, 1000, (8, 16, 32, 64))


def scale_for(training_images: int) -> Scale:
    """The scale for a dataset: demo is small, Tiny ImageNet medium, ImageNet large, below 1,000 images the smallest."""
    if training_images < 1000:
        return SMALLEST
    if training_images < 20_000:
        return SMALL
    return MEDIUM if training_images < 500_000 else LARGE
