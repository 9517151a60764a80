"""What classes are called: from the dataset's own files, or from WordNet, where a wnid is a noun synset's offset."""

from __future__ import annotations

import os
import re
from pathlib import Path

from foolcaffe.datasets import devkit
from foolcaffe.errors import FoolCaffeError

OWN = ("synset_words.txt", "words.txt", "LOC_synset_mapping.txt", "map_clsloc.txt")
"""What datasets call their own files of class names."""
WORDNET = (
    "/usr/share/wordnet/data.noun",
    "/usr/local/share/wordnet/dict/data.noun",
    "/opt/homebrew/share/wordnet/dict/data.noun",
)


def read(path: Path) -> dict[str, str]:
    """{wnid: names} from any of: ``synset_words.txt``, ``LOC_synset_mapping.txt`` (``<wnid> <names>``), ``words.txt``
    (with a tab), ``map_clsloc.txt`` (``<wnid> <id> <name>``), the devkit, WordNet 3.0's ``data.noun``.

    Raises:
        FoolCaffeError: none of these.
    """
    if path.is_dir() or path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return dict(devkit.read(path)[0].values())
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FoolCaffeError(f"no class names at {path}") from None
    return parse(data, str(path))


def parse(data: bytes, path: str) -> dict[str, str]:
    """Parse a text file's bytes as :func:`read` does; ``path`` is for messages."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise FoolCaffeError(f"{path} is not UTF-8 text, as every known file of class names is") from None
    found: dict[str, str] = {}
    for line in lines:
        noun = re.match(r"(\d{8}) \d\d n ([0-9a-f]{2}) (.*)", line)
        if noun:
            words = noun[3].split(" ")[: 2 * int(noun[2], 16) : 2]
            found["n" + noun[1]] = ", ".join(word.replace("_", " ") for word in words)
            continue
        wnid, _, rest = line.strip().partition("\t" if "\t" in line else " ")
        if rest and not line[0].isspace():  # WordNet's licence is indented
            numbered = re.fullmatch(r"n\d{8} \d+ (\S+)", line.strip())
            found[wnid] = numbered[1].replace("_", " ") if numbered else rest.strip()
    if not found:
        raise FoolCaffeError(
            f"{path} names no class",
            "expected synset_words.txt, words.txt, LOC_synset_mapping.txt, map_clsloc.txt, "
            "the devkit, or WordNet's data.noun",
        )
    return found


def wordnet() -> Path | None:
    """WordNet's nouns on this machine, or None."""
    home = os.environ.get("WNHOME")
    places = ([f"{home}/dict/data.noun"] if home else []) + list(WORDNET)
    return next((Path(p) for p in places if Path(p).is_file()), None)


def beside(source: Path) -> Path | None:
    """A dataset's own file of class names, in its folder or in those that hold it."""
    return next(filter(None, map(of, (source, *list(source.absolute().parents)[:4]))), None)


def of(folder: Path) -> Path | None:
    """A dataset's own file of class names in its folder."""
    return next((folder / name for name in OWN if (folder / name).is_file()), None)
