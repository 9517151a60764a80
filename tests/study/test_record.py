"""Claims: the verdict follows from the checks; records survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolcaffe.errors import FoolCaffeError
from foolcaffe.study.record import (
    CONFIRMED,
    NOT_CONFIRMED,
    NOT_TESTABLE,
    OPERATORS,
    POST,
    Check,
    Claim,
    Figure,
    Findings,
    Record,
    Table,
    number,
)
from foolcaffe.study.scale import scale_for

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "op", "limit", "holds"),
    [
        (2.0, "≥", 2.0, True),
        (2.0, ">", 2.0, False),
        (1.9, "≤", 2.0, True),
        (2.1, "<", 2.0, False),
        (0.1 + 0.2, "=", 0.3, True),
    ],
)
def test_a_check_compares(value: float, op: str, limit: float, holds: bool) -> None:
    assert Check("x", value, op, limit).holds is holds


@pytest.mark.parametrize("op", OPERATORS)
def test_what_is_no_number_holds_in_no_check(op: str) -> None:
    assert not Check("x", NAN, op, 1.0).holds


def test_an_unknown_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown comparison '=='"):
        Check("x", 1.0, "==", 1.0)


def claim(*checks: Check, untestable: str = "") -> Claim:
    return Claim("key", POST, "a sentence", "3 of 7", list(checks), untestable)


def test_the_verdict_follows_from_the_checks() -> None:
    good, bad = Check("a", 3.0, "≥", 2.0), Check("b", 1.0, "≥", 2.0)
    assert claim(good).verdict == CONFIRMED
    assert claim(good, bad).verdict == NOT_CONFIRMED
    assert claim(untestable="other classes").verdict == NOT_TESTABLE


@pytest.mark.parametrize("wrong", [{}, {"checks": [Check("a", 1.0, ">", 0.0)], "untestable": "why"}])
def test_a_claim_needs_checks_or_a_reason(wrong: dict) -> None:
    with pytest.raises(ValueError, match="needs checks, or a reason"):
        Claim("key", POST, "quote", "measured", **wrong)


def test_a_table_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table("t", "title", ["a", "b"], [[1, 2], [3]])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-7, "10⁻⁷"),
        (2.5e-7, "2.5·10⁻⁷"),
        (0.0005, "0.0005"),
        (3.14159, "3.14"),
        (100.0, "100"),
        (12345.6, "12346"),
        (-2.5, "−2.5"),
        (1.5e9, "1.5·10⁹"),
        (NAN, "not a number"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_are_printed_for_readers(value: float, text: str) -> None:
    assert number(value) == text


def record(**changes: object) -> Record:
    findings = Findings(
        [claim(Check("a", NAN, "≥", 2.0, "times")), claim(untestable="why")],
        [Figure("f.png", "title", "alt", "12 images", "5")],
        [Table("t", "title", ["a", "b (%)"], [["x", 1.5], [None, 3]])],
    )
    fields = {
        "name": "part",
        "title": "Part",
        "about": "What.",
        "command": "python -m x",
        "fingerprint": "f" * 64,
        "inputs": {"val.txt": "0" * 64},
        "versions": {"numpy": "2"},
        "seeds": [1, 2],
        "seconds": 1.5,
        "findings": findings,
    }
    return Record(**{**fields, **changes})


def test_a_record_survives_json() -> None:
    text = json.dumps(record().to_json(), allow_nan=False)
    again = Record.from_json(json.loads(text))
    assert again.to_json() == record().to_json()
    assert again.counts == {CONFIRMED: 0, NOT_CONFIRMED: 1, NOT_TESTABLE: 1}
    assert json.loads(text)["findings"]["claims"][0]["verdict"] == NOT_CONFIRMED


def test_a_failed_record_survives_json() -> None:
    failed = record(findings=None, error="it broke")
    assert Record.from_json(json.loads(json.dumps(failed.to_json()))) == failed
    assert sum(failed.counts.values()) == 0


@pytest.mark.parametrize("damage", [{}, {"name": 3}, {"findings": {"claims": [{}]}}])
def test_a_damaged_record_is_refused(damage: dict) -> None:
    with pytest.raises(FoolCaffeError, match="no record of the study"):
        Record.from_json(damage)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-12, max_value=1e12))
def test_a_printed_number_is_near_the_number(value: float) -> None:
    back = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    mantissa, _, power = number(value).partition("10") if "·" in number(value) else (number(value), "", "")
    if "·" in number(value):
        read = float(mantissa.rstrip("·")) * 10.0 ** int(power.translate(back))
    elif any(c in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" for c in number(value)):
        read = 10.0 ** int(number(value)[2:].translate(back))
    else:
        read = float(number(value))
    assert abs(read - value) <= 0.006 * value


def test_numpy_numbers_become_plain() -> None:
    table = record(findings=Findings([], [], [Table("t", "t", ["a"], [[np.float32(0.5)], [np.int64(3)]])]))
    assert json.loads(json.dumps(table.to_json()))["findings"]["tables"][0]["rows"] == [[0.5], [3]]


def test_the_scale_grows_with_the_dataset() -> None:
    names = [scale_for(n).name for n in (300, 2800, 50_000, 1_281_167)]
    assert names == ["smallest", "small", "medium", "large"]
    for n in (300, 2800, 50_000, 1_281_167):
        scale = scale_for(n)
        assert 100.0 in scale.decays
        assert list(scale.decays) == sorted(scale.decays)
        assert len(set(scale.seeds)) > 1
