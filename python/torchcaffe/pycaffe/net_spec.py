"""Nets written in Python: ``n = NetSpec(); n.ip = L.InnerProduct(n.data, num_output=10); print(n.to_proto())``.

``layers`` (L) holds every layer type, known or not; ``params`` (P) every enum value. Source: ``net_spec.py``.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any

from caffefiles.errors import CaffeError, nearest
from caffefiles.proto import caffe_pb2


class SpecError(CaffeError, AttributeError, TypeError, ValueError):
    """A layer that cannot be written as a prototxt (pycaffe raises one of these, by protobuf's version)."""


def param_name_dict() -> dict[str, str]:
    """For each layer type that has parameters of its own, the stem of their field: Convolution: convolution."""
    return {
        field.message_type.name[: -len("Parameter")]: field.name[: -len("_param")]
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param") and field.message_type is not None
    }


_param_names = param_name_dict()


def to_proto(*tops: Any) -> Any:
    """The NetParameter of all layers that the tops come from, with automatic names.

    Args:
        tops: Tops, and Functions of layers without tops.
    """
    return _net(tops, {})


def _net(tops: Iterable[Any], names: dict[Any, str]) -> Any:
    written: OrderedDict[Function, Any] = OrderedDict()
    counts: Counter[str] = Counter()
    for top in tops:
        (top.fn if isinstance(top, Top) else top)._to_proto(written, names, counts)
    net = caffe_pb2.NetParameter()
    net.layer.extend(written.values())
    return net


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set a field: a dict fills a message, a list a repeated field (a single value is a list of one).

    Raises:
        CaffeError: there is no such field, or the value is of another type (also an AttributeError, a TypeError and
            a ValueError).
    """
    known = proto.DESCRIPTOR.fields_by_name
    if name not in known:
        raise SpecError(
            f"{proto.DESCRIPTOR.name} has no field {name!r}",
            nearest(name, known) or f"it has: {', '.join(sorted(known))}",
        )
    field = getattr(proto, name)
    repeated = hasattr(field, "extend")
    if repeated and not isinstance(val, (list, tuple)) and not hasattr(val, "tolist"):
        val = [val]
    try:
        if repeated and len(val) and isinstance(val[0], dict):
            for item in val:
                message = field.add()
                for key, value in item.items():
                    assign_proto(message, key, value)
        elif repeated:
            field.extend(val.tolist() if hasattr(val, "tolist") else val)
        elif isinstance(val, dict):
            field.SetInParent()
            for key, value in val.items():
                assign_proto(field, key, value)
        else:
            setattr(proto, name, val.item() if hasattr(val, "item") else val)
    except SpecError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise SpecError(f"{proto.DESCRIPTOR.name}.{name} cannot be {val!r}: {error}") from None


class Top:
    """A layer's top, to be used as another's bottom."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> Any:
        """The NetParameter of all layers that it comes from."""
        return to_proto(self)

    def _to_proto(self, layers: OrderedDict[Function, Any], names: dict[Any, str], autonames: Counter[str]) -> Any:
        return self.fn._to_proto(layers, names, autonames)


class Function:
    """A layer: its type, its bottoms (Tops) and its parameters.

    Args:
        type_name: the type.
        inputs: the bottoms.
        params: fields of the LayerParameter or of the type's own parameters; ``ntop`` (1) says how many tops,
            ``in_place`` (False) makes the tops the bottoms.

    Raises:
        TypeError: an input is no Top.
    """

    def __init__(self, type_name: str, inputs: Iterable[Any], params: dict[str, Any]) -> None:
        self.type_name, self.inputs, self.params = type_name, tuple(inputs), dict(params)
        for given in self.inputs:
            if not isinstance(given, Top):
                raise TypeError(f"{type_name} input is not a Top (type is {type(given)})")
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _top_name(self, top: Top, names: dict[Any, str], counts: Counter[str]) -> str:
        if top not in names:
            counts[self.type_name] += 1
            names[top] = f"{self.type_name}{counts[self.type_name]}"
        return names[top]

    def _name(self, names: dict[Any, str], counts: Counter[str]) -> str:
        if self not in names:
            if self.ntop:
                names[self] = self._top_name(self.tops[0], names, counts)
            else:
                counts[self.type_name] += 1
                names[self] = f"{self.type_name}{counts[self.type_name]}"
        return names[self]

    def _to_proto(self, layers: OrderedDict[Function, Any], names: dict[Any, str], autonames: Counter[str]) -> None:
        if self in layers:
            return
        bottoms = []
        for top in self.inputs:
            top.fn._to_proto(layers, names, autonames)
            bottoms.append(layers[top.fn].top[top.n])
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        layer.bottom.extend(bottoms)
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            for top in self.tops:
                layer.top.append(self._top_name(top, names, autonames))
        layer.name = self._name(names, autonames)
        for key, value in self.params.items():
            own = f"{_param_names.get(self.type_name, '')}_param"
            if not key.endswith("param") and own in layer.DESCRIPTOR.fields_by_name:
                target = getattr(layer, own)
                if key in target.DESCRIPTOR.fields_by_name:
                    assign_proto(target, key, value)
                    continue
            try:
                assign_proto(layer, key, value)
            except SpecError as error:
                known = [
                    f.name
                    for n in (own,)
                    if n in layer.DESCRIPTOR.fields_by_name
                    for f in getattr(layer, n).DESCRIPTOR.fields
                ]
                raise SpecError(
                    f"layer {layer.name!r} ({self.type_name}): {error.message}",
                    nearest(key, [*known, *layer.DESCRIPTOR.fields_by_name]) or error.hint,
                ) from None
        layers[self] = layer


class NetSpec:
    """Names for tops: ``n.fc = L.InnerProduct(n.data, …)`` names the layer and its top ``fc``."""

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        object.__setattr__(self, "tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    __delitem__ = __delattr__

    def to_proto(self) -> Any:
        """The NetParameter of all named tops and what they come from.

        Raises:
            CaffeError: a layer's parameter does not exist or is of another type.
        """
        return _net(self.tops.values(), {top: name for name, top in self.tops.items()})


class Layers:
    """``layers.<type>(*bottoms, **parameters)``: the layer's top, a tuple of tops, or the layer if it has none."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def make(*args: Any, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        return make


class _Values:
    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return getattr(self._message, name)
        except AttributeError:
            values = [v for enum in self._message.DESCRIPTOR.enum_types for v in enum.values_by_name]
            raise AttributeError(
                f"{self._message.DESCRIPTOR.name} has no value {name!r}; {nearest(name, values) or values}"
            ) from None


class Parameters:
    """``params.<type>.<value>``: an enum value of a type's parameters, ``params.Pooling.MAX``."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"there is no {name}Parameter; {nearest(name, _param_names)}")
        return _Values(message)


layers: Any = Layers()
params: Any = Parameters()
