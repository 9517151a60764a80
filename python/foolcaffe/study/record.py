"""What a part of the study finds: claims with a rule that decides them, figures, tables; and its record as JSON.

A verdict is never written by hand. It follows from the claim's checks: a measured value, a comparison, a limit.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Union

from foolcaffe.errors import FoolCaffeError

CONFIRMED, NOT_CONFIRMED, NOT_TESTABLE = "confirmed", "not confirmed", "not testable here"
VERDICTS = (CONFIRMED, NOT_CONFIRMED, NOT_TESTABLE)
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "≥": operator.ge,
    ">": operator.gt,
    "≤": operator.le,
    "<": operator.lt,
    "=": math.isclose,
}
POST = "the post"
NOTE = "the note"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Cell = Union[str, int, float, None]


def number(value: float) -> str:
    """Three significant digits; very large and small ones as 1.2·10⁻⁷."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("−" if value < 0 else "") + "∞"
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        text = f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    else:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        power = str(int(exponent)).translate(SUPERSCRIPTS)
        text = f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
    return text.replace("-", "−")


@dataclass(frozen=True)
class Check:
    """One comparison: ``value op limit``. A value that is not a number holds in no comparison.

    Attributes:
        label: what was measured, in words.
        value: the measurement.
        op: one of :data:`OPERATORS`.
        limit: what it is compared with.
        unit: printed after both numbers.
    """

    label: str
    value: float
    op: str
    limit: float
    unit: str = ""

    def __post_init__(self) -> None:
        if self.op not in OPERATORS:
            raise ValueError(f"unknown comparison {self.op!r}: one of {', '.join(OPERATORS)}")

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return bool(OPERATORS[self.op](self.value, self.limit))

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{number(self.value)} {self.unit}".strip()

    @property
    def wanted(self) -> str:
        """The comparison with its limit and unit."""
        return f"{self.op} {number(self.limit)} {self.unit}".strip()


@dataclass(frozen=True)
class Claim:
    """A sentence of the post or the note, and what was measured beside it.

    Attributes:
        key: unique in its part; names it in the record.
        source: :data:`POST` or :data:`NOTE`.
        quote: the sentence, as it stands there.
        measured: what was found, in a sentence with its numbers.
        checks: all must hold for the claim to be confirmed.
        untestable: why this dataset or machine cannot decide it; then there are no checks.
    """

    key: str
    source: str
    quote: str
    measured: str
    checks: list[Check] = field(default_factory=list)
    untestable: str = ""

    def __post_init__(self) -> None:
        if bool(self.checks) == bool(self.untestable):
            raise ValueError(f"claim {self.key!r} needs checks, or a reason why it cannot be tested, and not both")

    @property
    def verdict(self) -> str:
        """Confirmed if all checks hold."""
        if self.untestable:
            return NOT_TESTABLE
        return CONFIRMED if all(check.holds for check in self.checks) else NOT_CONFIRMED


@dataclass(frozen=True)
class Figure:
    """A PNG of the part's folder.

    Attributes:
        file: its name.
        title: one line.
        alt: what the figure shows, for readers who cannot see it; with the main numbers.
        n: how many of what were measured.
        seed: of the draws behind it.
        photos: whether it shows images of the dataset, which a light report does not pass on.
    """

    file: str
    title: str
    alt: str
    n: str
    seed: str
    photos: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of numbers, written as CSV and JSON beside the record.

    Attributes:
        key: names the files.
        title: one line.
        columns: with their units.
        rows: a cell for each column; None where there is nothing.
    """

    key: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.key!r}: {len(row)} cells for {len(self.columns)} columns")

    @property
    def shown(self) -> list[list[str]]:
        """The cells as the report prints them."""
        return [[number(c) if isinstance(c, float) else "–" if c is None else str(c) for c in row] for row in self.rows]


@dataclass(frozen=True)
class Findings:
    """What a part returns."""

    claims: list[Claim]
    figures: list[Figure]
    tables: list[Table]


@dataclass(frozen=True)
class Record:
    """A part's record: what it found, or how it failed, and with what.

    Attributes:
        name, title: the part's.
        about: what it does, in a sentence or two.
        command: reproduces it.
        fingerprint: of all inputs; a record with the same one is not made again.
        inputs: SHA-256 of each input.
        versions: of the programs that made it.
        seeds: of the draws.
        seconds: wall time.
        findings: None if it failed.
        error: how it failed.
    """

    name: str
    title: str
    about: str
    command: str
    fingerprint: str
    inputs: dict[str, str]
    versions: dict[str, str]
    seeds: list[int]
    seconds: float
    findings: Findings | None
    error: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Verdict → how many claims."""
        claims = self.findings.claims if self.findings else []
        return {verdict: sum(c.verdict == verdict for c in claims) for verdict in VERDICTS}

    @property
    def trouble(self) -> str:
        """The line of ``error`` that says most: the first of a message, the last of a traceback."""
        lines = self.error.strip().splitlines() or [""]
        return lines[-1 if lines[0].startswith("Traceback") else 0]

    def to_json(self) -> dict[str, Any]:
        """Return the record for JSON; values that are not numbers become null."""
        value = asdict(self)
        for plain, claim in zip(
            (value["findings"] or {}).get("claims", []), self.findings.claims if self.findings else []
        ):
            plain["verdict"] = claim.verdict
        found: dict[str, Any] = jsonable(value)
        return found

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Record:
        """What :meth:`to_json` gave.

        Raises:
            FoolCaffeError: it is something else.
        """
        try:
            value = dict(value)
            found = value.pop("findings")
            findings = None
            if found is not None:
                claims = []
                for plain in found["claims"]:
                    plain = {k: v for k, v in plain.items() if k != "verdict"}
                    checks = [Check(**{**c, "value": _float(c["value"])}) for c in plain.pop("checks")]
                    claims.append(Claim(**plain, checks=checks))
                findings = Findings(
                    claims, [Figure(**f) for f in found["figures"]], [Table(**t) for t in found["tables"]]
                )
            return cls(**value, findings=findings)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise FoolCaffeError(
                f"this is no record of the study: {error!r}", "remove it, and run the study again"
            ) from None


def _float(value: float | None) -> float:
    return float("nan") if value is None else value


def jsonable(value: Any) -> Any:
    """The same with None for numbers that JSON does not have, and plain Python numbers for NumPy's."""
    if isinstance(value, dict):
        return {k: jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
