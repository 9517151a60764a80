"""Which layers are in a net: the include and exclude rules. Source: ``net.cpp`` (FilterNet, StateMeetsRule)."""

from __future__ import annotations

from typing import Any

from caffefiles.errors import CaffeError


def filter_net(net: Any) -> Any:
    """A copy of a NetParameter with the layers whose rules its ``state`` meets.

    Raises:
        CaffeError: a layer has both include and exclude rules.
    """
    result = type(net)()
    result.CopyFrom(net)
    result.ClearField("layer")
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise CaffeError(
                f"layer {layer.name!r} ({layer.type}): has both include and exclude rules", "give one kind"
            )
        if layer.include:
            keep = any(meets(net.state, rule) for rule in layer.include)
        else:
            keep = not any(meets(net.state, rule) for rule in layer.exclude)
        if keep:
            result.layer.add().CopyFrom(layer)
    return result


def meets(state: Any, rule: Any) -> bool:
    """Does a NetState meet a NetStateRule: phase, min_level, max_level, every stage and no not_stage?"""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return stages.issuperset(rule.stage) and stages.isdisjoint(rule.not_stage)
