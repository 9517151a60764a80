"""Class ids, wnids and names, as in ILSVRC's ``synset_words.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caffefiles.files import PathLike
from foolcaffe.errors import FoolCaffeError, nearest


@dataclass(frozen=True)
class Synset:
    """One class: its position in the sorted list of wnids, its wnid, its names (the first is the one shown)."""

    id: int
    wnid: str
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name shown in figures and messages."""
        return self.names[0]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class Synsets(Sequence[Synset]):
    """The classes of a dataset, in order of their ids."""

    def __init__(self, entries: Sequence[tuple[str, Sequence[str]]]) -> None:
        self._synsets = tuple(Synset(i, wnid, tuple(names) or (wnid,)) for i, (wnid, names) in enumerate(entries))

    def __len__(self) -> int:
        return len(self._synsets)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._synsets[index]

    def find(self, text: str) -> Synset:
        """The class that ``text`` means: an id (``1``), a wnid (``n01443537``) or a name, whatever its case.

        Raises:
            FoolCaffeError: no such class, offering the nearest; or a name that several classes carry.
        """
        text = text.strip()
        if text.lstrip("+-").isdigit():
            index = int(text)
            if 0 <= index < len(self):
                return self._synsets[index]
            raise FoolCaffeError(f"class id {index} is out of range", f"expected 0..{len(self) - 1}")
        for synset in self._synsets:
            if synset.wnid == text:
                return synset
        wanted = text.casefold().replace("_", " ")
        # the name that is shown wins over synonyms: 'crane' the bird and 'crane' the machine both exist in ILSVRC
        for depth in (1, None):
            found = [s for s in self._synsets if wanted in (n.casefold() for n in s.names[:depth])]
            if len(found) == 1:
                return found[0]
            if found:
                which = ", ".join(f"{s.id} ({s.wnid})" for s in found)
                raise FoolCaffeError(
                    f"{text!r} is the name of {len(found)} classes: {which}", "give the id or the wnid"
                )
        known = [n for s in self._synsets for n in s.names] + [s.wnid for s in self._synsets]
        hint = nearest(text, known, 5) or f"ids are 0..{len(self) - 1}"
        raise FoolCaffeError(f"unknown class {text!r}", f"{hint}\n`foolcaffe classes` lists them all")


def read_synsets(path: PathLike) -> Synsets:
    """Read ``synset_words.txt``: a line a class, ``<wnid> <name>, <name>, …``, in order of ids.

    Raises:
        FoolCaffeError: not there, empty, not sorted, or a line without a wnid.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FoolCaffeError(f"no class names at {path}", "`make lmdb` writes them") from None
    except UnicodeDecodeError as error:
        raise FoolCaffeError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    entries: list[tuple[str, list[str]]] = []
    for number, line in enumerate(lines, 1):
        wnid, _, words = line.strip().partition(" ")
        if not wnid:
            raise FoolCaffeError(f"{path}:{number}: empty line", "expected: <wnid> <name>, <name>, …")
        if entries and entries[-1][0] >= wnid:
            raise FoolCaffeError(
                f"{path}:{number}: {wnid} does not come after {entries[-1][0]}",
                "class ids are positions in the sorted list of wnids",
            )
        entries.append((wnid, [w.strip() for w in words.split(",") if w.strip()]))
    if not entries:
        raise FoolCaffeError(f"{path} is empty", "expected a line a class: <wnid> <name>, <name>, …")
    return Synsets(entries)
