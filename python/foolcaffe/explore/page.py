"""One HTML file out of the page's parts: modules and style are inlined, and a policy allows nothing but them.

A page from ``file://`` may not import other files. Each ES module therefore becomes a function that returns what the
module exports, in the order of the imports. The modules keep to two forms, so that this needs no parser::

    import { a, b } from "./other.js";
    export function f … / export class C … / export const x …
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

from foolcaffe.errors import FoolCaffeError

WEB = Path(__file__).with_name("web")
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const) ([\w$]+)", re.MULTILINE)


def page(facts: dict[str, Any], weights: list[bytes], served: bool = False) -> str:
    """The page's HTML.

    Args:
        facts: the JSON object that ``web/main.js`` reads: title, classes, models, pictures.
        weights: for each model the bytes of all its classes, which are compressed; empty if the page loads them in
            parts.
        served: whether the page may load from where it came from.
    """
    script, style = modules("main"), (WEB / "style.css").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data: blob:; "
        f"media-src blob:; connect-src {repr('self') if served else repr('none')}; base-uri 'none'; form-action 'none'"
    )
    data = "".join(
        f'<script type="text/plain" id="weights-{i}">{base64.b64encode(zlib.compress(part)).decode()}</script>\n'
        for i, part in enumerate(weights)
    )
    fields = {"policy": policy, "style": style, "script": script, "facts": _json(facts), "weights": data}
    return re.sub(r"\{\{(\w+)\}\}", lambda m: fields[m.group(1)], (WEB / "index.html").read_text("utf-8"))


def modules(entry: str) -> str:
    """A module and all that it imports as one script.

    Raises:
        FoolCaffeError: a module imports or exports in a form that is not supported.
    """
    done: list[str] = []
    texts: list[str] = []

    def add(name: str) -> None:
        if name in done:
            return
        text = (WEB / f"{name}.js").read_text("utf-8")
        for _, other in _IMPORT.findall(text):
            add(other)
        done.append(name)
        names = ", ".join(match.group(2) for match in _EXPORT.finditer(text))
        text = _IMPORT.sub(lambda m: f"const {{{m.group(1).replace(' as ', ': ')}}} = {_variable(m.group(2))};\n", text)
        text = _EXPORT.sub(r"\1 \2", text)
        if left := re.search(r"^(import|export)\b.*", text, re.MULTILINE):
            raise FoolCaffeError(f"{name}.js: {left.group()!r} is not in a form that the packer understands")
        texts.append(
            f"// ---- {name}.js ----\nconst {_variable(name)} = (() => {{\n{text}\nreturn {{ {names} }};\n}})();\n"
        )

    add(entry)
    return '"use strict";\n' + "\n".join(texts)


def _variable(module: str) -> str:
    return f"module_{module.replace('-', '_')}"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
