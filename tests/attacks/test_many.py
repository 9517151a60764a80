"""Universal perturbations, directions, batches, class pictures and evolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attacks.nets import CONV, caffe_net, image
from foolcaffe.attacks import Criterion, run
from foolcaffe.attacks.batch import attack_all
from foolcaffe.attacks.direction import direction
from foolcaffe.attacks.evolve import evolve_many
from foolcaffe.attacks.universal import fooled_by, universal
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import Rgb8


@pytest.fixture(scope="module")
def net(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return caffe_net(tmp_path_factory.mktemp("net"))


@pytest.mark.parametrize(("norm", "eps"), [("linf", 40.0), ("l2", 700.0)])
@pytest.mark.parametrize("directed", [True, False])
def test_a_universal_perturbation_fools_most_and_stays_small(
    net: Classifier, norm: str, eps: float, directed: bool
) -> None:
    starts = [image(s) for s in range(12)]
    labels = [int(net.probabilities(s.to_bgr()).argmax()) for s in starts]
    criteria = [Criterion(2) if directed else Criterion(label=label) for label in labels]
    found = universal(net, starts, criteria, eps=eps, norm=norm)
    assert (np.abs(found.delta).max() if norm == "linf" else np.linalg.norm(found.delta)) <= eps
    assert (found.delta == np.rint(found.delta)).all()
    bases = np.stack([s.to_bgr().array for s in starts])
    assert found.fooled == fooled_by(net, bases, criteria, found.delta)
    before = np.mean(fooled_by(net, bases, criteria, np.zeros_like(found.delta)))
    assert found.rate >= max(0.7, before + 0.2)
    with pytest.raises(FoolCaffeError, match="12 images and 3 criteria"):
        universal(net, starts, criteria[:3])


def test_a_linear_net_has_one_direction_for_all(net: Classifier) -> None:
    """Its optimal perturbations differ by box and rivals only, so a borrowed one is nearly as good."""
    a, b = image(1), image(2)
    criterion = Criterion(int(net.probabilities(np.stack([s.to_bgr().array for s in (a, b)])).sum(axis=0).argmin()))
    of_a, of_b = run("exact", net, a, criterion), run("exact", net, b, criterion)
    transfer = direction(net, of_a, b, of_b, criterion)
    assert transfer.cosine >= 0.5
    assert 0.99 <= transfer.ratio <= 3
    assert transfer.result.success["image"]
    still = run("exact", net, a, criterion, eps=0.0)
    with pytest.raises(FoolCaffeError, match="without a perturbation"):
        direction(net, still, b, of_b, criterion)


def test_a_batch_has_a_row_for_each_image(net: Classifier) -> None:
    starts = [image(s) for s in range(3)]
    rows = attack_all(net, starts, list(range(net.classes)), norm="l2")
    assert [len(row) for row in rows] == [net.classes] * 3
    for start, row in zip(starts, rows):
        label = int(net.probabilities(start.to_bgr()).argmax())
        for target, result in enumerate(row):
            assert (result is None) == (target == label)
            if result is not None:
                assert result.success["image"]
                assert int(net.probabilities(result.image.to_bgr()).argmax()) == target
    with pytest.raises(FoolCaffeError, match="needs the labels"):
        attack_all(net, starts, [None])
    with pytest.raises(FoolCaffeError, match="3 images and 1 labels"):
        attack_all(net, starts, [None], labels=[2])


@pytest.mark.parametrize("prior", ["blur", "tv", "none"])
def test_a_class_picture_is_sure_of_its_class_and_as_smooth_as_asked(engine: str, tmp_path: Path, prior: str) -> None:
    net = caffe_net(tmp_path, CONV, scale=0.5)
    grey = Rgb8(np.full((8, 9, 3), 128, np.uint8))
    result = run("visualise", net, grey, Criterion(3), steps=60, prior=prior, jitter=1)
    assert net.probabilities(result.image.to_bgr())[0, 3] > net.probabilities(grey.to_bgr())[0, 3]
    plain = run("visualise", net, grey, Criterion(3), steps=60, prior="none", jitter=1)

    def roughness(picture: Rgb8) -> float:
        return float(np.abs(np.diff(picture.array.astype(float), axis=0)).mean())

    assert prior == "none" or roughness(result.image) < roughness(plain.image)


@pytest.mark.parametrize("encoding", ["direct", "pattern"])
def test_evolution_fools_many_classes_at_once(engine: str, tmp_path: Path, encoding: str) -> None:
    net = caffe_net(tmp_path, scale=0.003)
    elites = evolve_many(net, [1, 4, 5], encoding=encoding, steps=60, seed=3)
    assert sorted(elites) == [1, 4, 5]
    first = evolve_many(net, [1, 4, 5], encoding=encoding, steps=1, seed=3)
    for target, elite in elites.items():
        confidence = float(net.probabilities(elite.image)[0, target])
        assert abs(confidence - elite.confidence) <= 1e-5
        assert (elite.image.array == np.rint(elite.image.array)).all()
        assert confidence >= max(0.5, first[target].confidence)
    with pytest.raises(FoolCaffeError, match="out of range"):
        evolve_many(net, [9])
