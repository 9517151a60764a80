"""How near the optimum do attacks come, and how fast? Ours beside foolbox, torchattacks and ART, on one linear net.

    PYTHONPATH=python .caffe/bin/python benchmarks/bench_attacks.py --model build/tiny-imagenet/decay100

100 validation images, a random target each (neither the label nor what the net sees). Their libraries live in
``build/bench-attacks/venv``, which this script makes; they get the same weights as a PyTorch layer, pixels 0..1, their
defaults but for the numbers of steps named in the table. All images, theirs and ours, are judged by Caffe: as floats,
and rounded to 8 bits. The gap is the median of norm / proved optimum − 1 over the images that fool; ours is measured in
the same way. The norm is over successes only. One thread on both sides.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# One thread on both sides: threads that wait for one another would measure the neighbours.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

HERE = Path(__file__).resolve()
FOLDER = HERE.parents[1] / "build" / "bench-attacks"
PACKAGES = ["torch", "foolbox", "torchattacks", "adversarial-robustness-toolbox", "packaging"]  # ART forgets the last


def theirs(problem: Path, out: Path, only: str | None) -> None:
    """Run in their environment: every attack on the same images; float images 0..255 and seconds an image."""
    import torch

    data = np.load(problem)
    images, targets = torch.tensor(data["images"].astype(np.float32) / 255), torch.tensor(data["targets"])
    rows, offsets = data["rows"], data["offsets"]
    layer = torch.nn.Linear(rows.shape[1], rows.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows * 255))
        layer.bias.copy_(torch.tensor(offsets))
    model = torch.nn.Sequential(torch.nn.Flatten(), layer).eval()

    def foolbox_of(make: Callable[[Any], Any]) -> Callable[[], Any]:
        def attack() -> Any:
            import foolbox

            wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
            criterion = foolbox.criteria.TargetedMisclassification(targets)
            _, clipped, _ = make(foolbox.attacks)(wrapped, images, criterion, epsilons=None)
            return clipped

        return attack

    def torchattacks_cw() -> Any:
        import torchattacks

        attack = torchattacks.CW(model, c=1, kappa=0, steps=1000, lr=0.01)
        attack.set_mode_targeted_by_label(quiet=True)
        return attack(images, targets)

    def art_cw() -> Any:
        from art.attacks.evasion import CarliniL2Method
        from art.estimators.classification import PyTorchClassifier

        loss, shape = torch.nn.CrossEntropyLoss(), tuple(images.shape[1:])
        classifier = PyTorchClassifier(model, loss=loss, input_shape=shape, nb_classes=len(offsets), clip_values=(0, 1))
        attack = CarliniL2Method(
            classifier, targeted=True, max_iter=10, binary_search_steps=9, batch_size=100, verbose=False
        )
        return torch.tensor(attack.generate(images.numpy(), y=np.eye(len(offsets), dtype=np.float32)[targets.numpy()]))

    runs: dict[str, Callable[[], Any]] = {
        "foolbox DDN, 100 steps": foolbox_of(lambda a: a.DDNAttack(steps=100)),
        "foolbox FMN L2, 100 steps": foolbox_of(lambda a: a.L2FMNAttack(steps=100)),
        "foolbox FMN L2, 1000 steps": foolbox_of(lambda a: a.L2FMNAttack(steps=1000)),
        "foolbox C&W, 9 x 1000 steps": foolbox_of(lambda a: a.L2CarliniWagnerAttack(binary_search_steps=9, steps=1000)),
        "torchattacks CW, 1000 steps": torchattacks_cw,
        "ART C&W, 9 x 10 steps": art_cw,
    }
    saved: dict[str, Any] = {}
    for name, attack in runs.items():
        if only and only not in name:
            continue
        began = time.perf_counter()
        found = attack().detach().numpy() * 255
        saved[name] = found.astype(np.float32)
        saved[f"{name}|seconds"] = (time.perf_counter() - began) / len(images)
        print(f"{name}: {saved[f'{name}|seconds']:.3f} s an image", file=sys.stderr, flush=True)
        np.savez(out, **saved)
    versions = {p: importlib.metadata.version(p) for p in PACKAGES}
    np.savez(out, versions=np.array([f"{k} {v}" for k, v in versions.items()]), **saved)


def environment() -> Path:
    """Their Python, made once."""
    python = FOLDER / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(
            [sys.executable if sys.version_info >= (3, 10) else "python3", "-m", "venv", FOLDER / "venv"], check=True
        )
    have = subprocess.run([python, "-c", "import torch, foolbox, torchattacks, art"], capture_output=True, check=False)
    if have.returncode != 0:
        print(f"installing {', '.join(PACKAGES)} into {FOLDER / 'venv'}", file=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def main() -> None:
    """Choose images and targets, run both sides, judge all by Caffe, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="build/tiny-imagenet/decay100")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--only", help="of theirs, only those whose name has this in it")
    parser.add_argument("--theirs", nargs=2, metavar=("PROBLEM", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.theirs:
        theirs(Path(options.theirs[0]), Path(options.theirs[1]), options.only)
        return

    from caffefiles.datum import DatumLMDB
    from foolcaffe.attacks import Criterion, run
    from foolcaffe.attacks.base import norm_of
    from foolcaffe.attacks.linear import linear_net
    from foolcaffe.images import BgrPixels
    from foolcaffe.trained import find_trained

    FOLDER.mkdir(parents=True, exist_ok=True)
    model = find_trained(options.model)
    net = model.classifier()
    linear = linear_net(net)
    with DatumLMDB(model.dataset / "val_lmdb") as records:
        step = max(1, len(records) // options.images)
        chosen = [r for i, r in enumerate(records) if i % step == 0][: options.images]
    images = np.stack([r.pixels for r in chosen])
    seen = net.probabilities(images.astype(np.float32)).argmax(axis=1)
    rng = np.random.default_rng(0)
    targets = np.array([rng.choice(np.setdiff1d(np.arange(net.classes), [s, r.label])) for s, r in zip(seen, chosen)])
    problem, out = FOLDER / "problem.npz", FOLDER / "theirs.npz"
    np.savez(problem, images=images, targets=targets, rows=linear.rows32, offsets=linear.offsets)

    ours: dict[str, list[Any]] = {}
    seconds: dict[str, float] = {}
    for method in ("exact", "deepfool", "gradient", "iterated"):
        began = time.perf_counter()
        norm = {} if method == "deepfool" else {"norm": "l2"}
        starts = [BgrPixels(image.astype(np.float32)).to_rgb8() for image in images]
        ours[method] = [run(method, net, x, Criterion(int(t)), **norm) for x, t in zip(starts, targets)]
        seconds[method] = (time.perf_counter() - began) / len(images)
    proofs = [r.certificate for r in ours["exact"]]
    floats, png = np.array([c.floats for c in proofs]), np.array([c.png for c in proofs])

    def judge(name: str, raw: np.ndarray, levels: np.ndarray, cost: float) -> None:
        met = [
            [bool(Criterion(int(t)).met(p[None])[0]) for t, p in zip(targets, net.probabilities(x))]
            for x in (raw, levels)
        ]
        size = norm_of(raw - images.astype(np.float64), "l2")
        whole = norm_of(levels - images.astype(np.float64), "l2")
        ok, ok8 = np.array(met[0]), np.array(met[1])
        gap = np.median(size[ok] / floats[ok] - 1) if ok.any() else np.nan
        gap8 = np.median(whole[ok8] / png[ok8] - 1) if ok8.any() else np.nan
        median = np.median(size[ok]) if ok.any() else np.nan
        rates = f"{100 * ok.mean():.0f} % | {100 * ok8.mean():.0f} %"
        print(f"| {name} | {rates} | {median:.1f} | {100 * gap:.4f} % | {100 * gap8:.3f} % | {1000 * cost:.0f} ms |")

    print("| attack | fools, floats | fools, PNG | median L2 | gap to optimum | PNG: gap to bound | an image |")
    print("|---|---|---|---|---|---|---|")
    for method, results in ours.items():
        raw = np.stack([r.raw.array for r in results])
        levels = np.stack([r.image.to_bgr().array for r in results])
        judge(f"ours: {method}", raw, levels, seconds[method])
    exact = [r.distances.l2 for r in ours["exact"]]
    gaps = max(c.gap for c in proofs), max(np.array(exact) / png - 1)
    print(
        f"\nexact: largest float gap {100 * gaps[0]:.4f} %, largest PNG gap {100 * gaps[1]:.3f} %, "
        f"median optimum {np.median(floats):.1f}, median PNG bound {np.median(png):.1f}\n",
        flush=True,
    )
    command = [environment(), HERE, "--theirs", problem, out]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *(["--only", options.only] if options.only else [])], check=True, env=one_thread)
    found = np.load(out)
    for name in [k for k in found.files if "|" not in k and k != "versions"]:  # in the order of the runs
        raw = found[name]
        judge(name, raw, np.rint(np.clip(raw, 0, 255)).astype(np.float32), float(found[f"{name}|seconds"]))
    print("\n" + ", ".join(found["versions"].tolist()))


if __name__ == "__main__":
    main()
