"""The nets that a SolverParameter names. Source: ``solver.cpp`` (InitTrainNet, InitTestNets)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffefiles.errors import CaffeError
from caffefiles.proto import caffe_pb2
from caffefiles.prototxt import read_net
from torchcaffe import log
from torchcaffe.net import Net
from torchcaffe.net_log import log_net, log_state
from torchcaffe.weights import load_weights

if TYPE_CHECKING:
    from torchcaffe.solvers.base import Solver

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")
_FROM = {
    "net": "from net file: %s",
    "train_net": "from train_net file: %s",
    "net_param": "specified in net_param.",
    "train_net_param": "specified in train_net_param.",
}
_TEST_FROM = {
    "net": "net file: %s",
    "test_net": "test_net file: %s",
    "net_param": "net_param",
    "test_net_param": "test_net_param",
}


class _Source:
    """A NetParameter, and the solver's field it came by: ``field``, and ``path`` if it is a file."""

    def __init__(self, solver: Solver, field: str, value: Any) -> None:
        self.field = field
        self.path = value if isinstance(value, str) else ""
        if self.path and not Path(self.path).is_file():
            raise solver.fail(
                f"{field}: there is no file {self.path!r}", f"paths are relative to the working folder, {Path.cwd()}"
            )
        self.param = read_net(self.path) if self.path else value
        self.name = self.path or f"{solver.source} ({field})"


def train_net(solver: Solver) -> Net:
    """The net to be trained, with the solver's ``weights`` loaded.

    Raises:
        CaffeError: not exactly one is given, or it is wrong.
    """
    given = [name for name in _TRAIN_FIELDS if solver.param.HasField(name)]
    if len(given) != 1:
        raise solver.fail(f"{len(given)} of {', '.join(_TRAIN_FIELDS)} are given", "exactly one must say what to train")
    source = _Source(solver, given[0], getattr(solver.param, given[0]))
    _say("solver.cpp:102", "Creating training net " + _FROM[source.field], source)
    return _make(solver, source, caffe_pb2.TRAIN, [solver.param.train_state])


def make_test_nets(solver: Solver) -> list[Net]:
    """The nets to be tested, one for each ``test_iter``.

    Raises:
        CaffeError: their number, or one of them, is wrong.
    """
    param, count = solver.param, len(solver.param.test_iter)
    sources = [_Source(solver, "test_net_param", net) for net in param.test_net_param]
    sources += [_Source(solver, "test_net", path) for path in param.test_net]
    for field in ("net_param", "net"):
        if param.HasField(field) and len(sources) < count:
            sources += [_Source(solver, field, getattr(param, field))] * (count - len(sources))
    if len(sources) != count:
        raise solver.fail(f"{count} test_iter for {len(sources)} test nets", "give one test_iter for each")
    if param.test_state and len(param.test_state) != count:
        raise solver.fail(f"{len(param.test_state)} test_state for {count} test nets", "give one for each, or none")
    if count and param.test_interval <= 0:
        raise solver.fail(f"test_interval {param.test_interval} is not positive", "it says how often to test")
    nets = []
    for i, source in enumerate(sources):
        _say("solver.cpp:190", f"Creating test net (#{i}) specified by " + _TEST_FROM[source.field], source)
        nets.append(_make(solver, source, caffe_pb2.TEST, list(param.test_state)[i : i + 1]))
        nets[-1].debug_info = param.debug_info
    return nets


def _say(at: str, message: str, source: _Source) -> None:
    log.info(at, message, *([source.path] if "%s" in message else []))


def _make(solver: Solver, source: _Source, phase: int, wanted: list[Any]) -> Net:
    param = caffe_pb2.NetParameter()
    param.CopyFrom(source.param)
    state = caffe_pb2.NetState(phase=phase)
    state.MergeFrom(param.state)
    for more in wanted:
        state.MergeFrom(more)
    param.state.CopyFrom(state)
    log_state(param)
    try:
        net = Net(param, source.name, **solver.net_options)
    except CaffeError as error:
        raise solver.fail(error.message, error.hint) from None
    log_net(net)
    for paths in solver.param.weights:
        load_weights(net, paths)
    return net
