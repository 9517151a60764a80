"""Black-box attacks: the numeric gradient is the gradient, and scikit-learn's classifiers are fooled."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from attacks.nets import CONV, caffe_net, image
from foolcaffe.attacks import Budget, Criterion, run
from foolcaffe.attacks.blackbox import SklearnScores
from foolcaffe.attacks.numeric import differences
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install -e .[test]")
SHAPE = (3, 6, 7)


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of noisy pictures around three prototypes."""
    rng = np.random.default_rng(seed)
    prototypes = np.random.default_rng(0).uniform(105, 150, (3, *SHAPE))
    labels = rng.integers(0, 3, 150)
    return np.clip(np.rint(prototypes[labels] + rng.normal(0, 40, (150, *SHAPE))), 0, 255).astype(np.float32), labels


def models() -> list[object]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import LinearSVC

    return [
        RandomForestClassifier(20, random_state=1),
        LinearSVC(C=1e-6, random_state=1),
        KNeighborsClassifier(9, weights="distance"),
    ]


@pytest.mark.parametrize(
    ("index", "name"), [(0, "local"), (1, "local"), (2, "local"), (0, "square"), (1, "nes"), (1, "spsa")]
)
def test_scikit_learn_is_fooled(index: int, name: str) -> None:
    model = models()[index]
    images, labels = data(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn on convergence: how well it fits is not the point
        model.fit(SklearnScores.rows(images), labels)  # type: ignore[attr-defined]
    net = SklearnScores(model, SHAPE)
    fresh, truth = data(2)
    right = [i for i in range(20) if net.probabilities(fresh[i : i + 1]).argmax() == truth[i]][:2]
    fooled = 0
    for i in right:
        start = BgrPixels(fresh[i]).to_rgb8()
        before = net.queries
        result = run(name, net, start, Criterion(label=int(truth[i])), budget=Budget(queries=900))
        assert net.queries - before - 3 == result.queries <= 900
        if result.success["image"]:
            fooled += 1
            assert int(net.probabilities(result.image.to_bgr()).argmax()) != truth[i]
    assert len(right) == 2
    assert fooled >= 1, (name, type(model).__name__)


def test_the_numeric_gradient_is_the_gradient(engine: str, tmp_path: Path) -> None:
    net = caffe_net(tmp_path, CONV, scale=0.5)
    start = image(2)
    probabilities = net.probabilities(start.to_bgr())
    weights = np.zeros(net.classes)
    weights[4] = 1
    numeric = differences(lambda images: net.probabilities(images) @ weights, start.to_bgr().array, 0.5).reshape(-1)
    diffs = -probabilities * probabilities[0, 4]
    diffs[0, 4] += probabilities[0, 4]
    true = net.data_gradients(start.to_bgr(), diffs.astype(np.float32)).reshape(-1)
    assert float(numeric @ true / np.linalg.norm(numeric) / np.linalg.norm(true)) >= 0.999
    assert abs(np.linalg.norm(numeric) / np.linalg.norm(true) - 1) <= 0.02


def test_what_gives_no_scores_is_refused() -> None:
    from sklearn.ensemble import RandomForestClassifier

    with pytest.raises(FoolCaffeError, match="is not fitted"):
        SklearnScores(RandomForestClassifier(), SHAPE)
    images, labels = data(1)
    forest = RandomForestClassifier(3, random_state=1).fit(SklearnScores.rows(images), labels + 5)
    with pytest.raises(FoolCaffeError, match=r"are not 0\.\.2"):
        SklearnScores(forest, SHAPE)
    forest.fit(SklearnScores.rows(images), labels)
    with pytest.raises(FoolCaffeError, match="was fitted on 126 values"):
        SklearnScores(forest, (3, 5, 7))
    with pytest.raises(FoolCaffeError, match="do not fit"):
        SklearnScores(forest, SHAPE).probabilities(np.zeros((2, 3, 7, 6), np.float32))
    with pytest.raises(FoolCaffeError, match=r"changes any score"):
        run("numeric", SklearnScores(forest, SHAPE), BgrPixels(images[0]).to_rgb8(), Criterion(1), step_size=0.01)
