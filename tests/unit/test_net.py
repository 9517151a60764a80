"""The classifier on real Caffe: scores, gradients, and what is refused before Caffe would abort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffefiles.mean import read_mean
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.images import BgrPixels, noise
from foolcaffe.trained import TrainedModel, find_trained
from helpers import Road

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def model(road: Road) -> TrainedModel:
    return find_trained(str(road.model))


@pytest.fixture(scope="module")
def net(model: TrainedModel) -> Classifier:
    return model.classifier()


def weights_and_bias(model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Read from the caffemodel with protobuf, not through the net."""
    from caffefiles.caffemodel import read_weights

    blobs = next(layer.blobs for layer in read_weights(model.weights).layer if layer.blobs)
    return np.array(blobs[0].data, np.float64).reshape(5, 3, 64, 64), np.array(blobs[1].data, np.float64)


def test_scores_are_the_dot_products(model: TrainedModel, net: Classifier) -> None:
    weights, bias = weights_and_bias(model)
    images = np.stack([noise(64, 64, seed).to_bgr().array for seed in range(3)])
    centred = images.astype(np.float64) - read_mean(model.mean)
    expected = np.einsum("nchw,kchw->nk", centred, weights) + bias
    assert np.abs(net.scores(images) - expected).max() <= 1e-4 * np.abs(expected).max()
    odds = np.exp(expected - expected.max(axis=1, keepdims=True))
    assert np.abs(net.probabilities(images) - odds / odds.sum(axis=1, keepdims=True)).max() <= 1e-4


def test_the_data_gradient_is_the_weight_row(model: TrainedModel, net: Classifier) -> None:
    weights, _ = weights_and_bias(model)
    for target in range(5):
        gradient = net.class_gradient(noise(64, 64, target).to_bgr(), target)
        assert np.array_equal(gradient, weights[target].astype(np.float32))
    assert np.array_equal(net.score_weights(), weights.astype(np.float32))


def test_the_data_gradient_is_a_finite_difference(net: Classifier) -> None:
    rng = np.random.default_rng(4)
    image = noise(64, 64, 9).to_bgr()
    diff = rng.normal(size=5).astype(np.float32)
    gradient = net.data_gradient(image, diff)
    for _ in range(5):
        direction = rng.normal(size=image.array.shape).astype(np.float32)
        plus, minus = (BgrPixels(image.array + s * 8 * direction) for s in (1, -1))
        slope = float((net.scores(plus)[0] - net.scores(minus)[0]).astype(np.float64) @ diff) / 16
        assert abs(slope - float((gradient * direction).sum(dtype=np.float64))) <= 2e-3 * np.linalg.norm(gradient) * 60


def test_log_probability_gradient_is_a_finite_difference(net: Classifier) -> None:
    """Through the softmax: its gradient on the scores is onehot − p."""
    image = noise(64, 64, 5).to_bgr()
    diff = -net.probabilities(image)[0]
    diff[2] += 1
    gradient = net.data_gradient(image, diff)
    step = 4.0 * gradient / np.abs(gradient).max()
    ahead, behind = (np.log(net.probabilities(BgrPixels(image.array + s * step))[0, 2]) for s in (1, -1))
    assert abs((ahead - behind) / 2 - float((gradient * step).sum())) <= 0.05 * float((gradient * step).sum())


def test_batches_of_any_size_give_the_same_scores(net: Classifier) -> None:
    images = np.stack([noise(64, 64, seed).to_bgr().array for seed in range(70)])
    whole = net.scores(images)
    assert whole.shape == (70, 5)
    assert np.abs(whole[:1] - net.scores(images[:1])).max() <= 1e-5
    assert np.abs(whole[65:] - net.scores(images[65:])).max() <= 1e-5
    assert net.scores(images[:0]).shape == (0, 5)


def test_queries_are_counted(model: TrainedModel) -> None:
    net = model.classifier()
    net.scores(np.zeros((7, 3, 64, 64), np.float32))
    net.class_gradient(noise(64, 64, 1).to_bgr(), 0)
    assert net.queries == 8


def test_images_of_another_size_are_refused(net: Classifier) -> None:
    with pytest.raises(FoolCaffeError, match="3 × 32 × 64 do not fit a net that takes 3 × 64 × 64"):
        net.scores(np.zeros((2, 3, 32, 64), np.float32))


def changed(tmp_path: Path, model: TrainedModel, old: str, new: str) -> Path:
    text = model.deploy.read_text()
    assert old in text
    (tmp_path / "deploy.prototxt").write_text(text.replace(old, new))
    return tmp_path / "deploy.prototxt"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("force_backward: true", "", "(?s)no data gradient.*force_backward: true"),
        ('type: "InnerProduct"', 'type: "InerProduct"', "(?s)layer 'fc' has the unknown type.*'InnerProduct'"),
        ("num_output: 5", "num_output: 7", r"weights of another net: layer 'fc' is 5 × 12288, 5.*wants 7 × 12288, 7"),
        ('name: "fc"', 'name: "ip"', "(?s)no weights for the layer 'ip'.*it has weights for: fc"),
        ('type: "Softmax"', 'type: "Sigmoid"', "a Softmax over the class scores"),
        ("dim: 3", "dim: 1", r"N × 3 × height × width"),
        (
            "inner_product_param",
            "inner_produkt_param",
            r"(?s)deploy.prototxt:\d+:\d+: .*did you mean 'inner_product_param'",
        ),
        ("num_output: 5", "num_output: five", r"deploy.prototxt:\d+:\d+"),
        ('bottom: "fc"\n  top: "prob"', 'bottom: "fc"\n  top: "fc"', "works in place"),
    ],
)
def test_bad_deploy_files(tmp_path: Path, model: TrainedModel, old: str, new: str, said: str) -> None:
    with pytest.raises(FoolCaffeError, match=said):
        Classifier(changed(tmp_path, model, old, new), model.weights, model.mean)


def test_bad_weights(tmp_path: Path, model: TrainedModel) -> None:
    whole = model.weights.read_bytes()
    for content, said in (
        (whole[: len(whole) // 2], "truncated"),
        (b"", "holds no weights"),
        (b"\xff" * 99, "no caffemodel"),
    ):
        (tmp_path / "w.caffemodel").write_bytes(content)
        with pytest.raises(FoolCaffeError, match=said):
            Classifier(model.deploy, tmp_path / "w.caffemodel", model.mean)
    with pytest.raises(FoolCaffeError, match="no caffemodel at"):
        Classifier(model.deploy, tmp_path / "none", model.mean)


def test_weights_that_are_not_finite(tmp_path: Path, model: TrainedModel) -> None:
    from caffefiles.caffemodel import read_weights

    net = read_weights(model.weights)
    blob = next(layer.blobs for layer in net.layer if layer.blobs)[0]
    blob.data[17] = float("nan")
    (tmp_path / "nan.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(FoolCaffeError, match=r"(?s)layer 'fc', blob 0 holds values that are not finite.*diverged"):
        Classifier(model.deploy, tmp_path / "nan.caffemodel", model.mean)


def test_bad_means(tmp_path: Path, model: TrainedModel) -> None:
    from foolcaffe.engine import caffe

    path = tmp_path / "mean.binaryproto"
    other = caffe.proto.caffe_pb2.BlobProto(num=1, channels=3, height=32, width=48, data=[1.0] * (3 * 32 * 48))
    path.write_bytes(other.SerializeToString())
    with pytest.raises(FoolCaffeError, match=r"is 3 × 32 × 48, the input of .* is 3 × 64 × 64"):
        Classifier(model.deploy, model.weights, path)
    other.data[5] = float("inf")
    path.write_bytes(other.SerializeToString())
    with pytest.raises(FoolCaffeError, match="not finite"):
        Classifier(model.deploy, model.weights, path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FoolCaffeError, match="is no mean"):
        Classifier(model.deploy, model.weights, path)


def test_find_trained_by_name_and_last(road: Road) -> None:
    build = road.dataset.parent
    for text in ("linear_softmax", "colours/linear_softmax", str(road.model), None):
        assert find_trained(text, build=build).folder == road.model
    with pytest.raises(FoolCaffeError, match=r"(?s)no trained model 'linear_sotfmax'.*did you mean"):
        find_trained("linear_sotfmax", build=build)
    with pytest.raises(FoolCaffeError, match=r"(?s)no trained model under.*make train"):
        find_trained(None, build=road.images)


@pytest.mark.parametrize("content", ["junk", "{}", "[]"])
def test_a_damaged_record_of_training(tmp_path: Path, content: str) -> None:
    (tmp_path / "trained.json").write_text(content)
    with pytest.raises(FoolCaffeError, match=r"trained\.json is damaged"):
        find_trained(str(tmp_path))
