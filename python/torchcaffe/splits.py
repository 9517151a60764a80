"""Inserts Split layers where a blob has several readers. Source: ``util/insert_splits.cpp``."""

from __future__ import annotations

from typing import Any

from caffefiles.errors import CaffeError, nearest


def insert_splits(net: Any) -> Any:
    """A copy of a NetParameter in which every top has at most one reader.

    Top i of layer X, read k > 1 times (a loss weight on it counts as a reader), feeds a layer ``<blob>_X_i_split`` with
    the tops ``<blob>_X_i_split_0`` … ``_k−1``, which its readers then name in order.

    Raises:
        CaffeError: a bottom that no layer above makes.
    """
    made: dict[str, tuple[int, int]] = {}  # blob: the layer and top that made it last
    readers: dict[tuple[int, int], int] = {}
    source: dict[tuple[int, int], tuple[int, int]] = {}  # (layer, bottom): what it reads
    for i, layer in enumerate(net.layer):
        for j, name in enumerate(layer.bottom):
            if name not in made:
                raise CaffeError(
                    f"layer {layer.name!r} ({layer.type}): unknown bottom blob {name!r} (bottom {j})",
                    nearest(name, made) or "no layer above it makes a blob of that name",
                )
            source[i, j] = made[name]
            readers[made[name]] = readers.get(made[name], 0) + 1
        for j, name in enumerate(layer.top):
            made[name] = (i, j)
        for j in range(min(len(layer.loss_weight), len(layer.top))):
            if layer.loss_weight[j]:
                readers[i, j] = readers.get((i, j), 0) + 1
    result = type(net)()
    result.CopyFrom(net)
    result.ClearField("layer")
    used: dict[tuple[int, int], int] = {}
    for i, layer in enumerate(net.layer):
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for j, name in enumerate(layer.bottom):
            top = source[i, j]
            if readers[top] > 1:
                k = used.get(top, 0)
                used[top] = k + 1
                copy.bottom[j] = f"{split_name(net.layer[top[0]].name, name, top[1])}_{k}"
        for j, name in enumerate(layer.top):
            count = readers.get((i, j), 0)
            if count > 1:
                _add_split(result.layer.add(), layer, name, j, count)
                if j < len(layer.loss_weight) and layer.loss_weight[j]:
                    copy.ClearField("loss_weight")  # all of them, as Caffe does
                    used[i, j] = 1
    return result


def split_name(layer: str, blob: str, index: int) -> str:
    """The name of the Split layer after top ``index`` of a layer."""
    return f"{blob}_{layer}_{index}_split"


def _add_split(split: Any, layer: Any, blob: str, index: int, count: int) -> None:
    split.name = split_name(layer.name, blob, index)
    split.type = "Split"
    split.bottom.append(blob)
    weight = layer.loss_weight[index] if index < len(layer.loss_weight) else 0
    for k in range(count):
        split.top.append(f"{split.name}_{k}")
        if weight:
            split.loss_weight.append(weight if k == 0 else 0)
