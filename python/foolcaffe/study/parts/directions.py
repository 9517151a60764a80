"""Is it the direction that matters? Changes made on one image, tried on others; how far they last; one for all."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foolcaffe.attacks.base import Criterion
from foolcaffe.attacks.direction import direction
from foolcaffe.attacks.exact import exact
from foolcaffe.attacks.universal import fooled_by, universal
from foolcaffe.classifier import Classifier
from foolcaffe.study.common import CASE_SEED, Case, cases, median, stack
from foolcaffe.study.lab import Bench, Lab
from foolcaffe.study.record import NOTE, POST, Check, Claim
from foolcaffe.style import BLUE, GREEN, GREY, ORANGE, styled

DECAY = 100.0
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Of the change that just fools."""
LASTS = 4.0
EPS = (2.0, 4.0, 8.0, 16.0)
"""L∞ radii of the universal changes, in grey levels."""
STEPS = 20
TARGETS = 5
"""Classes that one change for all images is sought for, each by itself."""
AROUND, DRAWS = 4.0, 4
"""Random noise around twice the change that just fools: so many times the length of that change, drawn so often."""


def run(lab: Lab) -> list[Claim]:
    """Borrow, stretch, share, judge."""
    pairs, rays, shared = lab.step("pairs", _pairs), lab.step("rays", _rays), lab.step("universal", _universal)
    _plot(lab, rays, shared, len(_attacked(lab)[1]))
    lab.table(
        "universal",
        "One change for all images, made on one half, tried on the other: share turned into its class",
        [
            {
                "class": u["target"],
                "L∞ (grey levels)": u["eps"],
                "images made on": u["made"],
                "images tried on": u["tried"],
                "made on (%)": 100 * u["own"],
                "tried on (%)": 100 * u["held"],
                "noise, tried on (%)": 100 * u["noise"],
            }
            for u in shared
        ],
    )
    lab.table(
        "pairs",
        "A direction found on image A, followed from image B to the same class",
        [
            {
                "own change of B: L2": p["own"],
                "along A's direction: L2": p["borrowed"],
                "cosine of the two": p["cosine"],
            }
            for p in pairs["pairs"]
        ],
    )
    return _claims(pairs, rays, shared)


def _claims(pairs: dict[str, Any], rays: dict[str, Any], shared: list[dict[str, Any]]) -> list[Claim]:
    ratios = [p["borrowed"] / p["own"] for p in pairs["pairs"] if p["borrowed"] is not None]
    share = len(ratios) / len(pairs["pairs"])
    last = rays["own"][FACTORS.index(LASTS)]
    widest = [u for u in shared if u["eps"] == EPS[-1]]
    held, noise = ([100 * u[key] for u in widest] for key in ("held", "noise"))
    return [
        Claim(
            "direction",
            NOTE,
            "The direction of perturbation, not the point itself matters most when generating adversarial examples.",
            f"A direction found on one image turns {100 * share:.0f} % of other images into the same class, with a "
            f"change {median(ratios):.2f} times as long as their own exact one (median); random directions of twice "
            f"the own length do so to {100 * pairs['random']:.0f} %.",
            [
                Check("other images turned, any length", 100 * share, "≥", 90.0, "%"),
                Check("median length over their own exact one", median(ratios), "≤", 2.0, "times"),
                Check("turned by random directions of twice the length", 100 * pairs["random"], "≤", 5.0, "%"),
            ],
        ),
        Claim(
            "intervals",
            POST,
            "it is much more accurate to speak about fooling subspaces rather than fooling images. The latter "
            "erroneously makes them seem like tiny points in the super-high-dimensional image space, perhaps similar "
            "to rational numbers along the real numbers, when instead they are better thought of as entire intervals",
            f"Stretched to {LASTS:g} times, {100 * last:.0f} % of the changes that just fool still fool. At twice the "
            f"change, with random noise {AROUND:g} times as long as the change added, {100 * rays['around']:.0f} % do.",
            [
                Check(f"still the wrong class at {LASTS:g} times the change", 100 * last, "≥", 95.0, "%"),
                Check("still the wrong class with noise around it", 100 * rays["around"], "≥", 95.0, "%"),
            ],
        ),
        Claim(
            "generalize",
            NOTE,
            "Adversarial perturbations generalize across different clean examples.",
            f"One change of at most {EPS[-1]:g} grey levels, made on {widest[0]['made']} images, turns "
            f"{min(held):.0f} to {max(held):.0f} % of {widest[0]['tried']} others into its class ({len(widest)} "
            f"classes, each with its own change); noise of ±{EPS[-1]:g} does so to {max(noise):.0f} % at most.",
            [
                Check("others turned into the chosen class, worst class", min(held), "≥", 50.0, "%"),
                Check("the same by noise of that size, best class", max(noise), "≤", 10.0, "%"),
            ],
        ),
    ]


def _attacked(lab: Bench) -> tuple[Classifier, list[Case]]:
    """The net, and the images with their targets."""
    net = lab.decayed(DECAY, lab.scale.seeds[0]).classifier()
    return net, cases(lab.dataset, [net], lab.scale.images)


def _pairs(lab: Bench) -> dict[str, Any]:
    """A's exact direction, followed from B, for neighbouring images A, B; and random directions for comparison."""
    net, chosen = _attacked(lab)
    rng = np.random.default_rng(CASE_SEED)
    found, hits = [], []
    for a, b in zip(chosen, chosen[1:] + chosen[:1]):
        criterion = Criterion(a.target)
        if bool(criterion.met(net.probabilities(b.start.to_bgr()))[0]):
            continue
        donor = exact(net, a.start, criterion, seed=CASE_SEED)
        own = exact(net, b.start, criterion, seed=CASE_SEED)
        if not (donor.success["image"] and own.success["image"]):
            continue
        followed = direction(net, donor, b.start, own, criterion)
        found.append({"own": followed.own, "borrowed": followed.borrowed, "cosine": followed.cosine})
        noise = rng.standard_normal((8, *net.shape))
        noise *= 2 * followed.own / np.linalg.norm(noise.reshape(8, -1), axis=1)[:, None, None, None]
        images = np.rint(np.clip(b.start.to_bgr().array + noise, 0, 255)).astype(np.float32)
        hits += criterion.met(net.probabilities(images)).tolist()
    return {"pairs": found, "random": float(np.mean(hits))}


def _rays(lab: Bench) -> dict[str, Any]:
    """For each factor of the change that just fools: the share of images fooled, and the median confidence."""
    net, chosen = _attacked(lab)
    met, confidence, around = [], [], []
    rng = np.random.default_rng(CASE_SEED)
    factors = np.array(FACTORS, np.float32)[:, None, None, None]
    for case in chosen:
        result = exact(net, case.start, Criterion(case.target), seed=CASE_SEED)
        base = case.start.to_bgr().array
        images = np.rint(np.clip(base + factors * (result.image.to_bgr().array - base), 0, 255)).astype(np.float32)
        probabilities = net.probabilities(images)
        met.append(Criterion(case.target).met(probabilities))
        confidence.append(probabilities[:, case.target])
        noise = rng.standard_normal((DRAWS, *net.shape))
        noise *= AROUND * result.distances.l2 / np.linalg.norm(noise.reshape(DRAWS, -1), axis=1)[:, None, None, None]
        doubled = base + 2 * (result.image.to_bgr().array - base) + noise
        shown = np.rint(np.clip(doubled, 0, 255)).astype(np.float32)
        around += Criterion(case.target).met(net.probabilities(shown)).tolist()
    return {
        "around": float(np.mean(around)),
        "own": np.mean(met, axis=0).tolist(),
        "confidence": np.median(confidence, axis=0).tolist(),
    }


def _universal(lab: Bench) -> list[dict[str, Any]]:
    net, chosen = _attacked(lab)
    rng = np.random.default_rng(CASE_SEED)
    out = []
    for target in list(dict.fromkeys(c.target for c in chosen))[:TARGETS]:
        criterion = Criterion(target)
        usable = [c for c in chosen if c.label != target]
        usable = [c for c in usable if int(net.scores(c.start.to_bgr())[0].argmax()) != target]
        made, tried = usable[::2], usable[1::2]
        bases = stack([c.start for c in tried])
        for eps in EPS:
            found = universal(
                net, [c.start for c in made], [criterion] * len(made), eps=eps, steps=STEPS, seed=CASE_SEED
            )
            noise = rng.choice([-eps, eps], net.shape).astype(np.float32)
            held = fooled_by(net, bases, [criterion] * len(tried), found.delta)
            by_noise = fooled_by(net, bases, [criterion] * len(tried), noise)
            out.append(
                {
                    "target": target,
                    "eps": eps,
                    "made": len(made),
                    "tried": len(tried),
                    "own": found.rate,
                    "held": float(np.mean(held)),
                    "noise": float(np.mean(by_noise)),
                }
            )
    return out


def _plot(lab: Lab, rays: dict[str, Any], shared: list[dict[str, Any]], n: int) -> None:
    with styled():
        canvas = Figure(figsize=(10.5, 4.1), layout="constrained")
        left, right = canvas.subplots(1, 2)
        left.plot(FACTORS, [100 * v for v in rays["own"]], "o-", color=BLUE, lw=1.4, ms=4, label="still fooled")
        left.plot(FACTORS, [100 * v for v in rays["confidence"]], "s-", color=ORANGE, lw=1.4, ms=4, label="confidence")
        left.axvline(1, color=GREY, lw=0.8, ls="--")
        left.set_xscale("log", base=2)
        left.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["¼", "½", "1", "2", "4", "8"])
        left.set(xlabel="multiple of the exact smallest change", ylabel="images fooled, median confidence (%)")
        left.legend(fontsize=9)
        for key, name, colour in (
            ("own", "made on", ORANGE),
            ("held", "others", BLUE),
            ("noise", "noise, others", GREEN),
        ):
            right.plot([u["eps"] for u in shared], [100 * u[key] for u in shared], ".", color=colour, ms=5)
            means = [100 * float(np.mean([u[key] for u in shared if u["eps"] == eps])) for eps in EPS]
            right.plot(EPS, means, "-", color=colour, lw=1.4, label=name)
        right.set_xscale("log", base=2)
        right.set_xticks(EPS, [f"{e:g}" for e in EPS])
        right.set(
            ylim=(-3, 103),
            xlabel="largest change of a pixel (grey levels)",
            ylabel="images turned into one chosen class (%)",
        )
        right.legend(fontsize=9)
    lab.figure(
        "directions",
        canvas,
        "How long a direction fools (left), and one change for all images (right: mean, and a dot for each class)",
        f"Left: at {LASTS:g} times the smallest change {100 * rays['own'][FACTORS.index(LASTS)]:.0f} % are still "
        f"fooled. Right: one change of {EPS[-1]:g} levels turns "
        f"{100 * min(u['held'] for u in shared if u['eps'] == EPS[-1]):.0f} % or more of images it was not made on.",
        f"{n} validation images",
        f"targets and noise {CASE_SEED}, training {lab.scale.seeds[0]}",
    )
