"""What can be chosen: the trained models, and the classes of one. ``foolcaffe models``, ``foolcaffe classes``."""

from __future__ import annotations

import json

from foolcaffe.errors import FoolCaffeError, nearest
from foolcaffe.options import command_line
from foolcaffe.train import RECORD
from foolcaffe.trained import build_folder, every_trained, find_trained


def classes(arguments: list[str]) -> int:
    """Print a model's classes, a line each: id, wnid, names."""
    parser = command_line("foolcaffe classes", "List a model's classes: id, wnid, names.", "model json")
    parser.add_argument("part", nargs="?", default="", help="only classes whose wnid or names have this part")
    options = parser.parse_args(arguments)
    synsets = list(find_trained(options.model).synsets())
    part = options.part.casefold()
    found = [s for s in synsets if part in s.wnid.casefold() or any(part in name.casefold() for name in s.names)]
    if not found:
        names = [name for s in synsets for name in s.names]
        raise FoolCaffeError(
            f"none of the {len(synsets)} classes has {options.part!r} in its name", nearest(options.part, names, 5)
        )
    if options.json:
        print(json.dumps([{"id": s.id, "wnid": s.wnid, "names": s.names} for s in found], ensure_ascii=False))
        return 0
    width = max(len(s.wnid) for s in found)
    for s in found:
        print(f"{s.id:5}  {s.wnid:{width}}  {', '.join(s.names)}")
    return 0


def models(arguments: list[str]) -> int:
    """Print the trained models, the one trained last at the end; it is what commands take by default."""
    parser = command_line("foolcaffe models", "List the trained models; the last is what commands take by default.")
    parser.parse_args(arguments)
    found = every_trained()
    if not found:
        raise FoolCaffeError(f"no trained model under {build_folder()}", "`make demo` trains one, or `foolcaffe train`")
    for model in reversed(found):
        record = json.loads((model.folder / RECORD).read_text("utf-8"))
        name = f"{model.dataset.name}/{model.folder.name}"
        print(
            f"{name:36} {record['iterations']} iterations, weight decay {record['weight_decay']:g}, "
            f"loss {record['last_loss']:.3g}, {record['engine']} on the {record['device']}"
        )
    return 0
