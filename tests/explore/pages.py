"""What is inside an explorer's page."""

from __future__ import annotations

import base64
import html.parser
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class _Parts(html.parser.HTMLParser):
    """The texts of the script and style elements, by id or kind."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: dict[str, str] = {}
        self.policy = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "style"):
            self._inside = str(found.get("id") or found.get("type") or tag)
            self.parts[self._inside] = ""
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(found["content"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.parts[self._inside] += data


def parts_of(page: Path | str) -> _Parts:
    """Scripts, data blocks, style and policy of a page."""
    parser = _Parts()
    parser.feed(page if isinstance(page, str) else page.read_text("utf-8"))
    return parser


def facts_of(page: Path | str) -> dict[str, Any]:
    """The JSON object that the page carries."""
    facts = json.loads(parts_of(page).parts["facts"])
    assert isinstance(facts, dict)
    return facts


def pixels_of(picture: dict[str, Any], facts: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Height × width × 3, RGB."""
    pixels = np.frombuffer(base64.b64decode(picture["pixels"]), np.uint8)
    return pixels.reshape(facts["height"], facts["width"], 3)
