"""What of pycaffe's surface real Caffe here cannot show: errors instead of aborts, import caffe, drawing, images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from caffefiles.errors import CaffeError
from torchcaffe import pycaffe as caffe

NET = """name: "n" force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
ROOT = str(Path(caffe.__file__).parents[2])


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    Path("n.prototxt").write_text(NET)
    return caffe.Net("n.prototxt", caffe.TEST)


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": ROOT}, timeout=120)


def test_import_caffe_means_us_after_install() -> None:
    code = (
        "import torchcaffe\ntorchcaffe.install()\nimport caffe, caffe.io, caffe.draw\nfrom caffe import layers as L\n"
        "from caffe.proto import caffe_pb2\nimport caffe.proto.caffe_pb2 as pb\nfrom caffe.coord_map import crop\n"
        "from caffe.net_spec import assign_proto\nfrom caffe.io import Transformer\n"
        "print(caffe.__name__, caffe.__version__, caffe_pb2 is pb is caffe.proto.caffe_pb2, caffe.TRAIN, caffe.TEST)"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("torchcaffe.pycaffe 1.0.0 True 0 1\n", "")


def test_install_after_another_caffe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", type(sys)("caffe"))
    with pytest.raises(CaffeError, match="another caffe is imported already"):
        caffe.install()


def test_what_aborts_in_real_caffe_is_an_exception(net: Any) -> None:
    with pytest.raises(CaffeError, match=r"n.prototxt: there is no layer 'pi'"):
        net.forward(end="pi")
    with pytest.raises(CaffeError, match=r"there is no blob 'dta'"):
        net.forward(blobs=["dta"])
    with pytest.raises(RuntimeError, match=r"Could not open file none\.prototxt"):
        caffe.get_solver("none.prototxt")
    Path("n.prototxt").write_text(NET.replace("Softmax", "Softmaxx"))
    with pytest.raises(CaffeError, match=r"(?s)n.prototxt: layer 'prob': unknown layer type.*'Softmax'"):
        caffe.Net("n.prototxt", caffe.TEST)
    with pytest.raises(TypeError, match=r"neither caffe\.TRAIN nor caffe\.TEST"):
        caffe.Net("n.prototxt", 7)
    net.blobs["data"].reshape(2, 3, 9, 8)
    with pytest.raises(CaffeError, match=r"layer 'ip' \(InnerProduct\)"):
        net.forward()


def test_an_exception_of_a_python_layer_keeps_its_traceback(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(".")
    code = "import caffe\nclass Bad(caffe.Layer):\n  def setup(self, bottom, top): self.missing_name\n"
    Path("bad_layers_module.py").write_text(code)
    layer = 'layer {{ name: "p" type: "Python" top: "p" python_param {{ module: "{}" layer: "{}" }} }}'
    Path("p.prototxt").write_text(layer.format("bad_layers_module", "Bad"))
    with pytest.raises(AttributeError, match="missing_name") as caught:
        caffe.Net("p.prototxt", caffe.TEST)
    assert caught.traceback[-1].path.name == "bad_layers_module.py"
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__ == ["in setup of layer 'p' (Python: bad_layers_module.Bad)"]
    for module, cls, said in (
        ("no_such_module", "Bad", "there is no Python module 'no_such_module'"),
        ("bad_layers_module", "Bda", r"(?s)has no class 'Bda'.*'Bad'"),
        ("json", "JSONDecoder", "json.JSONDecoder is no class derived from"),
    ):
        Path("p.prototxt").write_text(layer.format(module, cls))
        with pytest.raises(CaffeError, match=said):
            caffe.Net("p.prototxt", caffe.TEST)


def test_images_are_loaded_in_every_form(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    for name, array in (("grey", pixels[:, :, 0]), ("rgb", pixels[:, :, :3]), ("rgba", pixels)):
        path = tmp_path / f"{name}.png"
        Image.fromarray(array).save(path)
        colour = array[:, :, :3] if array.ndim == 3 else np.repeat(array[:, :, None], 3, 2)
        loaded = caffe.io.load_image(path)
        assert loaded.dtype == np.float32
        assert np.abs(loaded - colour / 255).max() <= 1e-6
        assert caffe.io.load_image(path, color=False).shape == (5, 7, 1)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no more")
    for path, said in ((tmp_path / "bad.png", "cannot be read as an image"), (tmp_path / "none.png", "no image")):
        with pytest.raises(RuntimeError, match=said):
            caffe.io.load_image(path)


def test_preprocess_leaves_its_argument_alone() -> None:
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_raw_scale("data", 255)
    transformer.set_transpose("data", (2, 0, 1))
    image = np.ones((4, 5, 3), np.float32)
    assert transformer.preprocess("data", image).max() == 255
    assert image.max() == 1


def test_a_detector_crops_with_context(net: Any) -> None:
    net.save("n.caffemodel")
    detector = caffe.Detector("n.prototxt", "n.caffemodel", context_pad=1, mean=np.array([0.25, 0.5, 0.75]))
    image = np.random.default_rng(2).random((20, 24, 3)).astype(np.float32)
    inside = detector.crop(image, np.array([5, 5, 10, 10]))  # 6 pixels and one of context on each side: unscaled
    assert inside.shape == (8, 8, 3)
    assert np.abs(inside[1:-1, 1:-1].mean() - image[5:11, 5:11].mean()) <= 0.1
    corner = detector.crop(image, np.array([0, 0, 5, 5]))
    assert np.allclose(corner[0], [0.25, 0.5, 0.75])  # the mean, where the window leaves the image
    assert np.allclose(corner[:, 0], [0.25, 0.5, 0.75])


def test_drawing(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from caffefiles.prototxt import read_net

    param = read_net("n.prototxt")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(CaffeError, match=r"(?s)needs the package pydot.*pip install pydot"):
        caffe.draw.draw_net(param, "LR")
    monkeypatch.delitem(sys.modules, "pydot")
    pytest.importorskip("pydot")
    caffe.draw.draw_net_to_file(param, "n.dot", "TB")
    text = Path("n.dot").read_text()
    assert text.count("->") == 7
    for said in ('"ip (InnerProduct)"', "ip_blob", '"4"', caffe.draw.NEURON_LAYER_STYLE["fillcolor"], "rankdir=TB"):
        assert said in text, said


def test_the_layer_types_are_real_caffes() -> None:
    types = caffe.layer_type_list()
    assert len(types) == len(set(types)) == 61
    real = Path(ROOT) / ".caffe" / "bin" / "python"
    if real.exists():
        script = "import caffe; print(*caffe.layer_type_list())"
        quiet = {**os.environ, "GLOG_minloglevel": "2"}
        done = subprocess.run([real, "-W", "ignore", "-c", script], capture_output=True, text=True, env=quiet)
        assert set(done.stdout.split()) == set(types)


def test_small_things() -> None:
    types = caffe.layer_type_list()
    assert types == sorted(types)
    assert {"InnerProduct", "Python", "MemoryData"} <= set(types)
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert 0 <= timer.ms < 1000
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, False)
    with pytest.raises(RuntimeError, match="no NCCL"):
        caffe.NCCL(None, "")
    with pytest.raises(OverflowError):
        caffe.set_random_seed(-1)
    with pytest.raises(CaffeError, match=r"ConvolutionParameter|'kernel_size'"):
        caffe.to_proto(caffe.layers.Convolution(caffe.layers.Input(), kernel_sise=3))
    with pytest.raises(AttributeError, match="'MAX'"):
        caffe.params.Pooling.MAXX  # noqa: B018


def test_log_is_seen_after_init_log() -> None:
    done = python("from torchcaffe import pycaffe as c; c.log('unheard'); c.init_log(0); c.log('said')")
    assert (done.returncode, done.stdout) == (0, "")
    assert "said" in done.stderr
    assert "unheard" not in done.stderr
