"""Layers and small nets beside real Caffe: the same prototxt, inputs, parameters and top diffs; everything compared.

A case is data, in a ``CASES`` dict of a file in ``cases/``. ``make_goldens.py`` runs all of them in one real Caffe and
writes ``goldens/layers/<file>.npz``; ``test_parity.py`` runs them in torchcaffe against those.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Tuple, Union  # noqa: UP035

import numpy as np

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"
GOLDENS = HERE / "goldens" / "layers"

Fill = Union[str, Tuple[str, int]]  # noqa: UP006 - evaluated by Python 3.9


@dataclass
class Case:
    """A net to be run once forward and once backward.

    Args:
        net: the layers' prototxt, less the Input layers of ``bottoms``.
        bottoms: for each input blob its shape, or (shape, fill). Fills: "normal" (the default), "positive" (0.1..2),
            "unit" (0..1), "distinct" (no two equal: for maxima), ("labels", n): integers 0..n−1, "zero".
        phase: TRAIN or TEST.
        params: "random" overwrites every parameter with small normal numbers; "own" keeps what the layers made
            (fillers draw from ``seed``); "positive" overwrites with 0.1..1.
        backward: False for layers without one.
        force_backward: written into the net.
        forwards: how many forward passes, for layers that keep a state.
        forward_tol, backward_tol, param_tol: the largest |ours − Caffe's| / max(1, max |Caffe's|) of a blob's data, a
            bottom's diff, a parameter's diff.
        ignore: blobs that are not compared.
        seed: of the process's generator, set before the net is built and before each forward.
    """

    net: str
    bottoms: dict[str, Any] = field(default_factory=dict)
    phase: str = "TRAIN"
    params: str = "random"
    backward: bool = True
    force_backward: bool = True
    forwards: int = 1
    forward_tol: float = 2e-6
    backward_tol: float = 2e-6
    param_tol: float = 2e-6
    ignore: tuple[str, ...] = ()
    seed: int = 1701

    def prototxt(self) -> str:
        """The whole net."""
        parts = ["force_backward: true" if self.force_backward else ""]
        for name in self.bottoms:
            shape, _ = self._bottom(name)
            dims = " ".join(f"dim: {n}" for n in shape)
            parts.append(
                f'layer {{ name: "{name}_in" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
            )
        return "\n".join([*parts, self.net])

    def _bottom(self, name: str) -> tuple[tuple[int, ...], Fill]:
        given = self.bottoms[name]
        if len(given) == 2 and isinstance(given[0], tuple):
            return given[0], given[1]
        return given, "normal"

    def inputs(self) -> dict[str, Any]:
        """The input blobs' values."""
        return {name: fill(*self._bottom(name), stream(name)) for name in self.bottoms}


def stream(name: str) -> Any:
    """Random numbers that depend on a name only, and on no version of NumPy."""
    return np.random.RandomState(zlib.crc32(name.encode()))


def fill(shape: tuple[int, ...], how: Fill, random: Any) -> Any:
    """Values for a blob."""
    if isinstance(how, tuple):
        return random.randint(0, how[1], shape).astype(np.float32)
    if how == "distinct":
        count = int(np.prod(shape))
        return (random.permutation(count).reshape(shape) / np.float32(count) * 4 - 2).astype(np.float32)
    if how in ("positive", "unit"):
        low, high = (0.1, 2) if how == "positive" else (0, 1)
        return random.uniform(low, high, shape).astype(np.float32)
    if how == "zero":
        return np.zeros(shape, np.float32)
    return random.standard_normal(shape).astype(np.float32)


def load_cases() -> dict[str, dict[str, Case]]:
    """The cases of every file in ``cases/``."""
    found = {}
    for path in sorted(CASES.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"cases_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.stem] = module.CASES
    return found


def _fill_param(array: Any, how: str, name: str) -> None:
    if how == "random":
        array[...] = stream(name).standard_normal(array.shape) * 0.5
    elif how == "positive":
        array[...] = stream(name).uniform(0.1, 1, array.shape)


class _Real:
    """Real Caffe behind the few words that :func:`run_case` needs."""

    def __init__(self, path: str, case: Case) -> None:
        import caffe

        self.caffe = caffe
        self.seed(case.seed)
        self.net = caffe.Net(path, getattr(caffe, case.phase))
        self.params = {f"{name}/{i}": blob for name in self.net.params for i, blob in enumerate(self.net.params[name])}
        self.outputs = list(self.net.outputs)
        self.structure = {
            "layers": list(self.net._layer_names),
            "types": [layer.type for layer in self.net.layers],
            "blobs": list(self.net.blobs),
            "outputs": self.outputs,
            "inputs": list(self.net.inputs),
            "bottoms": {name: list(self.net.bottom_names[name]) for name in self.net._layer_names},
            "tops": {name: list(self.net.top_names[name]) for name in self.net._layer_names},
        }

    def seed(self, seed: int) -> None:
        self.caffe.set_random_seed(seed)

    def arrays(self) -> dict[str, tuple[Any, Any]]:
        return {name: (blob.data, blob.diff) for name, blob in self.net.blobs.items()}

    def param_arrays(self) -> dict[str, tuple[Any, Any]]:
        return {name: (blob.data, blob.diff) for name, blob in self.params.items()}

    def forward(self) -> float:
        return float(self.net._forward(0, len(self.net.layers) - 1))

    def backward(self) -> None:
        self.net._backward(len(self.net.layers) - 1, 0)


class _Ours:
    """torchcaffe behind the same words."""

    def __init__(self, path: str, case: Case, **options: Any) -> None:
        from caffefiles.proto import caffe_pb2
        from torchcaffe import common
        from torchcaffe.net import Net

        self.common = common
        self.seed(case.seed)
        self.net = net = Net.from_file(path, getattr(caffe_pb2, case.phase), **options)
        self.outputs = [net.blob_names[i] for i in net.outputs]
        names = net.blob_names
        self.structure = {
            "layers": net.layer_names,
            "types": [layer.type for layer in net.layers],
            "blobs": names,
            "outputs": self.outputs,
            "inputs": [names[i] for i in net.inputs],
            "bottoms": {n: [names[j] for j in ids] for n, ids in zip(net.layer_names, net.bottom_ids)},
            "tops": {n: [names[j] for j in ids] for n, ids in zip(net.layer_names, net.top_ids)},
        }

    def seed(self, seed: int) -> None:
        self.common.set_random_seed(seed)

    def arrays(self) -> dict[str, tuple[Any, Any]]:
        return {name: (blob.array, blob.diff_array) for name, blob in zip(self.net.blob_names, self.net.blobs)}

    def param_arrays(self) -> dict[str, tuple[Any, Any]]:
        return {
            f"{name}/{i}": (blob.array, blob.diff_array)
            for name, layer in zip(self.net.layer_names, self.net.layers)
            for i, blob in enumerate(layer.blobs)
        }

    def forward(self) -> float:
        return float(self.net.forward())

    def backward(self) -> None:
        self.net.backward()


def run_case(case: Case, real: bool = False, **options: Any) -> dict[str, Any]:
    """Everything that a net holds after its passes: ``data/<blob>``, ``diff/<blob>``, ``param/…``, ``param_diff/…``, ….

    Args:
        case: what to run.
        real: in real Caffe, which aborts the process on a mistake; else in torchcaffe.
        options: for torchcaffe's Net: device, dtype.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.prototxt"
        path.write_text(case.prototxt())
        engine: Any = _Real(str(path), case) if real else _Ours(str(path), case, **options)
    inputs = case.inputs()
    for name, (data, _) in engine.param_arrays().items():
        _fill_param(data, case.params, name)
    for _ in range(case.forwards):
        for name, value in inputs.items():
            engine.arrays()[name][0][...] = value
        engine.seed(case.seed)
        loss = engine.forward()
    result: dict[str, Any] = {"loss": np.float64(loss)}
    for name, (data, _) in engine.arrays().items():
        result[f"data/{name}"] = np.array(data)
    if case.backward:
        for _, diff in engine.param_arrays().values():
            diff[...] = 0
        for name in engine.outputs:
            diff = engine.arrays()[name][1]
            diff[...] = stream(f"diff of {name}").standard_normal(diff.shape)
        engine.backward()
        for name, (_, diff) in engine.arrays().items():
            result[f"diff/{name}"] = np.array(diff)
    for name, (data, diff) in engine.param_arrays().items():
        result[f"param/{name}"] = np.array(data)
        if case.backward:
            result[f"param_diff/{name}"] = np.array(diff)
    result["structure"] = np.array(json.dumps(engine.structure))
    return result


def difference(ours: Any, theirs: Any) -> float:
    """The largest |ours − theirs| / max(1, max |theirs|); equal infinities and NaNs do not count."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not theirs.size:
        return 0.0
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    scale = max(1.0, float(np.max(np.abs(theirs[np.isfinite(theirs)]), initial=0)))
    with np.errstate(invalid="ignore"):  # inf − inf
        return float(np.max(np.where(same, 0, np.abs(ours - theirs)) / scale))


def compare(case: Case, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Assert that torchcaffe's result is real Caffe's, one named array at a time."""
    assert json.loads(str(ours["structure"])) == json.loads(str(theirs["structure"]))
    ignored = {f"{side}/{name}" for name in case.ignore for side in ("data", "diff")}
    assert set(ours) == set(theirs)
    tolerances = {"data": case.forward_tol, "loss": case.forward_tol, "diff": case.backward_tol, "param": 0.0}
    worst = []
    for name in sorted(set(theirs) - ignored - {"structure"}):
        assert np.shape(ours[name]) == np.shape(theirs[name]), f"{name}: shape {np.shape(ours[name])}"
        tolerance = tolerances.get(name.split("/")[0], case.param_tol)
        if case.forwards > 1 and name.startswith("param/"):
            tolerance = case.forward_tol  # running statistics
        error = difference(ours[name], theirs[name])
        if not error <= tolerance:
            worst.append(f"{name}: differs by {error:.3g}, tolerance {tolerance:.3g}")
    assert not worst, "\n".join(worst)


def golden(file: str) -> dict[str, Any] | None:
    """The stored results of a case file: ``<case>|<name>`` to array, or None if it has none yet."""
    path = GOLDENS / f"{file}.npz"
    if not path.is_file():
        return None
    with np.load(path) as stored:
        return dict(stored)


def golden_case(file: str, name: str) -> dict[str, Any]:
    """What real Caffe gave for a case.

    Raises:
        KeyError: it was not run; says how to.
    """
    stored = golden(file) or {}
    found = {key[len(name) + 1 :]: value for key, value in stored.items() if key.startswith(f"{name}|")}
    if not found:
        raise KeyError(f"no golden for {file}/{name}: run .caffe/bin/python tests/parity/make_goldens.py {file}")
    return found
