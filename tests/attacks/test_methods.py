"""What holds for every method: bounds, eps, identity, an independent verdict, budgets, seeds, and the exact bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attacks.nets import CONV, caffe_net, image
from foolcaffe.attacks import METHODS, Budget, Criterion, options_of, read_option, run
from foolcaffe.attacks.base import Distances
from foolcaffe.attacks.exact import exact
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import write_png
from foolcaffe.verify import verify

ATTACKS = [name for name in METHODS if name not in ("visualise", "evolve")]
BOTH = [(name, norm) for name in ATTACKS for norm in ("l2", "linf") if norm == "l2" or "norm" in options_of(name)]
MINIMAL = ["gradient", "sign", "exact", "iterated", "lbfgs", "deepfool", "numeric"]


@pytest.fixture(scope="module")
def linear(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return caffe_net(tmp_path_factory.mktemp("linear"))


@pytest.fixture(scope="module")
def conv(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return caffe_net(tmp_path_factory.mktemp("conv"), CONV, scale=0.5)


def given_norm(name: str, norm: str) -> dict[str, str]:
    return {"norm": norm} if "norm" in options_of(name) else {}


def test_every_method_is_tested_and_takes_the_common_words() -> None:
    assert set(MINIMAL) <= set(ATTACKS)
    for name in METHODS:
        assert {"seed", "budget", "bounds"} <= set(options_of(name))


@pytest.mark.parametrize(("name", "norm"), BOTH)
@pytest.mark.parametrize("targeted", [True, False])
def test_success_is_what_the_verifier_finds_in_the_png(
    linear: Classifier, tmp_path: Path, name: str, norm: str, targeted: bool
) -> None:
    start = image(1)
    order = np.argsort(-linear.probabilities(start.to_bgr())[0])
    criterion = Criterion(int(order[1])) if targeted else Criterion(label=int(order[0]))
    result = run(name, linear, start, criterion, **given_norm(name, norm))
    assert result.success["image"], result.note
    write_png(tmp_path / "fooled.png", result.image)
    verdict = verify(linear, tmp_path / "fooled.png", start, criterion)
    assert verdict.fooled
    assert verdict.distances == result.distances
    assert int(verdict.probabilities.argmax()) == order[1] or not targeted
    proved = exact(linear, start, criterion, norm=norm).certificate
    assert proved is not None
    size = result.distances.l2 if norm == "l2" and name != "square" else result.distances.linf
    least = exact(linear, start, criterion, norm="linf").certificate if name == "square" else proved
    assert least is not None
    assert size >= least.png * (1 - 1e-9)


@pytest.mark.parametrize(("name", "norm"), BOTH)
@pytest.mark.parametrize("eps", [0.0, 3.4, 7.0])
def test_bounds_and_eps_hold_on_the_png(linear: Classifier, name: str, norm: str, eps: float) -> None:
    if "eps" not in options_of(name):
        pytest.fail(f"{name} takes no eps")
    start = image(4)
    grey = np.clip(start.array, 20, 230)
    start = type(start)(grey)
    target = int(np.argsort(-linear.probabilities(start.to_bgr())[0])[2])
    options = {"steps": 12} if "steps" in options_of(name) else {}
    result = run(
        name, linear, start, Criterion(target), eps=eps, bounds=(15.0, 240.0), **given_norm(name, norm), **options
    )
    measured = Distances.between(result.image.array, start.array)
    own = "linf" if name == "square" else norm
    assert (measured.l2 if own == "l2" else measured.linf) <= eps + 1e-6
    assert result.image.array.min() >= 15
    assert result.image.array.max() <= 240
    if eps == 0:
        assert (result.image.array == start.array).all()
        assert not result.success["image"]


@pytest.mark.parametrize("name", [n for n in ATTACKS if n != "exact"])
def test_a_convnet_is_fooled(conv: Classifier, name: str) -> None:
    start = image(6)
    order = np.argsort(-conv.probabilities(start.to_bgr())[0])
    result = run(name, conv, start, Criterion(int(order[1])))
    assert result.success["image"], (result.best, result.note)


@pytest.mark.parametrize("name", ["iterated", "lbfgs", "gradient", "sign", "exact"])
def test_a_confidence_is_reached(linear: Classifier, name: str) -> None:
    start = image(8)
    target = int(linear.probabilities(start.to_bgr()).argmin())
    result = run(name, linear, start, Criterion(target, 0.8))
    assert result.success["image"]
    assert linear.probabilities(result.image.to_bgr())[0, target] >= 0.8


@pytest.mark.parametrize("name", list(METHODS))
def test_a_budget_of_queries_is_kept_and_said(conv: Classifier, linear: Classifier, name: str) -> None:
    net = linear if name == "exact" else conv
    start = image(3)
    target = int(net.probabilities(start.to_bgr()).argmin())
    result = run(name, net, start, Criterion(target, 0.999), budget=Budget(queries=1))
    assert result.queries <= 1
    assert not result.success["image"]
    assert "budget of 1 queries" in result.note


def test_a_budget_of_seconds_is_kept(conv: Classifier) -> None:
    seen: list[int] = []
    start = image(3)
    target = int(conv.probabilities(start.to_bgr()).argmin())
    budget = Budget(seconds=0.0, tell=lambda steps, best: seen.append(steps))
    result = run("local", conv, start, Criterion(target, 0.9999), budget=budget)
    assert not result.success["image"]
    assert "budget of 0 s" in result.note


class Counted:
    """A net that counts the images that it is given."""

    def __init__(self, net: Classifier) -> None:
        self.net, self.shape, self.classes, self.seen = net, net.shape, net.classes, 0

    @property
    def queries(self) -> int:
        return self.seen

    def probabilities(self, images):
        return self.count(images, self.net.probabilities)

    def scores(self, images):
        return self.count(images, self.net.scores)

    def data_gradients(self, images, diffs):
        return self.count(images, lambda x: self.net.data_gradients(x, diffs))

    def count(self, images, score):
        batch = getattr(images, "array", images)
        self.seen += 1 if batch.ndim == 3 else len(batch)
        return score(images)


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("queries", [7, 333])
def test_every_image_that_is_scored_is_counted(conv: Classifier, linear: Classifier, name: str, queries: int) -> None:
    net = linear if name == "exact" else Counted(conv)
    before = net.queries
    start = image(3)
    target = int(conv.probabilities(start.to_bgr()).argmin())
    before = net.queries
    result = run(name, net, start, Criterion(target, 0.999), budget=Budget(queries=queries))
    assert net.queries - before == result.queries + 3  # by which success is judged
    assert 0 < result.queries <= queries or (name in ("evolve", "numeric", "nes", "spsa") and queries == 7)


def test_the_sign_is_that_of_the_cross_entropy(conv: Classifier) -> None:
    """Goodfellow et al. 2015, section 4: of the loss of the label, all classes in it; not of the best other alone."""
    start = image(5)
    p = conv.probabilities(start.to_bgr()).astype(np.float64)
    label, target = int(p.argmax()), int(p.argmin())
    one_hot = np.eye(conv.classes)[None]
    away = conv.data_gradients(start.to_bgr(), (p - one_hot[:, label]).astype(np.float32))[0]
    near = conv.data_gradients(start.to_bgr(), (one_hot[:, target] - p).astype(np.float32))[0]
    for criterion, gradient in ((Criterion(label=label), away), (Criterion(target), near)):
        found = run("sign", conv, start, criterion).direction
        assert (found == np.sign(gradient)).mean() >= 0.99
        other = np.sign(conv.data_gradients(start.to_bgr(), criterion.score_diffs(p.astype(np.float32)))[0])
        assert criterion.target is not None or (other == np.sign(gradient)).mean() < 0.99
    sure = np.array([[1.0, 0.0, 2e-9, 1e-9]], np.float32)  # 1 − p is nothing in float32, and the direction is there
    assert np.allclose(Criterion(label=0).entropy_diffs(sure), [[-1, 0, 2 / 3, 1 / 3]])


def test_restarts_begin_anywhere_in_the_ball(conv: Classifier) -> None:
    starts: list[np.ndarray] = []

    class Seen(Counted):
        def probabilities(self, images):
            starts.append(np.array(images))
            return super().probabilities(images)

    start = image(5)
    target = int(conv.probabilities(start.to_bgr()).argmin())
    for norm, eps in (("linf", 3.0), ("l2", 30.0)):
        starts.clear()
        run("iterated", Seen(conv), start, Criterion(target), norm=norm, eps=eps, restarts=4, steps=1)
        delta = starts[0] - start.to_bgr().array
        assert len(delta) == 4
        assert not delta[0].any()
        flat = np.abs(delta[1:]).reshape(3, -1)
        if norm == "linf":
            assert flat.max() <= eps
            assert 0.2 < np.mean(flat[(flat > 0)] < eps / 2) < 0.8  # uniform, not the corners
        else:
            assert (np.linalg.norm(flat, axis=1) <= eps * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ["nes", "spsa", "local", "square", "evolve"])
def test_the_same_seed_gives_the_same_image(conv: Classifier, name: str) -> None:
    start = image(5)
    target = int(np.argsort(-conv.probabilities(start.to_bgr())[0])[1])
    first, again, other = (run(name, conv, start, Criterion(target), seed=s, steps=30) for s in (1, 1, 2))
    assert (first.image.array == again.image.array).all()
    assert (first.raw.array == again.raw.array).all()
    assert (first.raw.array != other.raw.array).any()


def test_deepfool_and_lbfgs_come_near_the_optimum(linear: Classifier) -> None:
    for name in ("deepfool", "lbfgs"):
        ratios = []
        for seed in range(5):
            start = image(seed)
            label = int(linear.probabilities(start.to_bgr()).argmax())
            found = run(name, linear, start, Criterion(label=label)).distances.l2
            ratios.append(found / exact(linear, start, Criterion(label=label)).distances.l2)
        assert float(np.median(ratios)) <= 1.1, (name, ratios)


def test_every_bad_input_is_said(linear: Classifier, tmp_path: Path) -> None:
    start = image(1)
    with pytest.raises(FoolCaffeError, match="target 7 is out of range: the net has 7 classes"):
        run("gradient", linear, start, Criterion(7))
    with pytest.raises(FoolCaffeError, match="is the label itself"):
        Criterion(target=3, label=3)
    with pytest.raises(FoolCaffeError, match="neither a target nor a label"):
        Criterion()
    with pytest.raises(FoolCaffeError, match="a confidence needs a target"):
        Criterion(label=3, confidence=0.9)
    with pytest.raises(FoolCaffeError, match="5 × 4 pixels, the net takes 8 × 9"):
        run("iterated", linear, image(1, 5, 4), Criterion(2))
    with pytest.raises(FoolCaffeError, match="eps -1"):
        run("iterated", linear, start, Criterion(2), eps=-1.0)
    with pytest.raises(FoolCaffeError, match="eps nan"):
        run("sign", linear, start, Criterion(2), eps=float("nan"))
    with pytest.raises(FoolCaffeError, match="unknown norm 'l1'"):
        run("iterated", linear, start, Criterion(2), norm="l1")
    with pytest.raises(FoolCaffeError, match="outside the bounds"):
        run("iterated", linear, start, Criterion(2), bounds=(100.0, 120.0))
    with pytest.raises(FoolCaffeError, match="no range of grey levels"):
        run("iterated", linear, start, Criterion(2), bounds=(200.0, 100.0))
    for key, value in {"steps": 0, "step_size": 0.0, "restarts": -1, "seed": -1, "eps": float("inf")}.items():
        with pytest.raises(FoolCaffeError, match=f"{key} {value:g} is out of range"):
            run("iterated", linear, start, Criterion(2), **{key: value})
    with pytest.raises(FoolCaffeError, match="step_size nan is out of range"):
        run("iterated", linear, start, Criterion(2), step_size=float("nan"))
    with pytest.raises(FoolCaffeError, match="a budget of 0 queries"):
        Budget(queries=0)
    with pytest.raises(FoolCaffeError, match="a budget of nan seconds"):
        Budget(seconds=float("nan"))
    with pytest.raises(FoolCaffeError, match="gradient takes no steps"):
        run("gradient", linear, start, Criterion(2), steps=5)
    with pytest.raises(FoolCaffeError, match="unknown method 'exakt'"):
        run("exakt", linear, start, Criterion(2))
    with pytest.raises(FoolCaffeError, match="visualise needs a target"):
        run("visualise", linear, start, Criterion(label=2))
    with pytest.raises(FoolCaffeError, match="unknown prior"):
        run("visualise", linear, start, Criterion(2), prior="nice")
    with pytest.raises(FoolCaffeError, match="unknown encoding"):
        run("evolve", linear, start, Criterion(2), encoding="nice")


def test_options_by_name_have_the_kind_of_their_default() -> None:
    assert read_option("iterated", "restarts=5") == ("restarts", 5)
    assert read_option("visualise", "prior=tv") == ("prior", "tv")
    assert read_option("iterated", "step_size=0.5") == ("step_size", 0.5)
    for name, text, said in (
        ("iterated", "restarts=many", "restarts is a whole number"),
        ("nes", "sigma=wide", "sigma is a number"),
        ("iterated", "prior=tv", "sets nothing of iterated"),
        ("iterated", "restarts", "NAME=VALUE was expected"),
        ("iterated", "budget=5", "sets nothing of iterated"),
    ):
        with pytest.raises(FoolCaffeError, match=said):
            read_option(name, text)


@pytest.mark.parametrize("name", ["gradient", "sign", "iterated", "lbfgs", "deepfool", "numeric", "visualise"])
def test_a_constant_net_has_no_direction(engine: str, tmp_path: Path, name: str) -> None:
    net = caffe_net(tmp_path, scale=0.0)
    with pytest.raises(FoolCaffeError, match=r"zero everywhere|changes any score"):
        run(name, net, image(1), Criterion(2))


def test_no_data_gradient_is_said(engine: str, tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match="force_backward is not set"):
        caffe_net(tmp_path, force=False)


def test_weights_that_are_not_finite_are_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match="not finite"):
        caffe_net(tmp_path, scale=float("nan"))
