"""The whole road in one call, and its stations: plan → shards → merge → verify → publish.

While it is unfinished, everything of a database ``DB`` lies in ``DB.partial``: the plan, the shards, what is merged.
``DB`` itself appears with one rename at the end.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from caffefiles import listfile
from foolcaffe.archives.sources import Archive
from foolcaffe.errors import FoolCaffeError
from foolcaffe.lmdb import mean, plan, shard
from foolcaffe.lmdb.merge import merge, publish, published, shard_folder
from foolcaffe.lmdb.plan import Plan, Settings
from foolcaffe.lmdb.pool import Pool, workers_for
from foolcaffe.lmdb.shard import How
from foolcaffe.locks import locked
from foolcaffe.progress import Progress

SHOWN = 10


def partial_of(database: Path) -> Path:
    """The working folder of a database that is being built."""
    return database.with_name(database.name + ".partial")


def _lock(database: Path) -> Path:
    return partial_of(database) / "lock"


def build(
    root: str,
    listing: Path,
    database: Path,
    settings: Settings,
    how: How,
    workers: int = 0,
    mean_file: Path | None = None,
    check: bool = True,
    restart: bool = False,
) -> dict[str, Any]:
    """Build a database on this machine, or go on with it, or find it finished.

    Args:
        root: folder or archive that the list's paths are below.
        listing: the list.
        database: the folder to make.
        settings: what the records are.
        how: to work.
        workers: processes that decode; 0: as many as the machine and the list are good for.
        mean_file: where to write the mean, if it is wanted.
        check: read everything back before it is published.
        restart: forget what an unfinished build left.

    Returns:
        its report.

    Raises:
        FoolCaffeError: see the stations.
    """
    wanted = plan.asked(root, listing, settings, 1)
    if database.exists() and not partial_of(database).exists():
        return _finished(database, wanted, mean_file, how.quiet)
    with locked(_lock(database), str(database)):
        partial = partial_of(database)
        if database.exists():
            report = _finished(database, wanted, mean_file, how.quiet)
            shutil.rmtree(partial, ignore_errors=True)  # killed after the rename, before this
            return report
        with Pool(partial / "plan", settings, workers or workers_for(plan.count_lines(listing))) as pool:
            made = _plan(partial, wanted, restart)
            _refuse_bad_lines(made, listing, how.skip_bad)
            total = mean.Sum(settings.channels, settings.height, settings.width) if mean_file else None
            shard.build(made, 0, shard_folder(partial, 0), how, pool, total)
            return _finish(made, partial, database, how.quiet, mean_file, total, pool if check else None)


def make_plan(
    root: str, listing: Path, database: Path, settings: Settings, count: int, skip_bad: bool, restart: bool
) -> Plan:
    """Fix what goes into a database and how it is cut into shards, for :func:`build_shard` on any machine.

    Raises:
        FoolCaffeError: lines of the list that cannot be used (unless ``skip_bad``); an unfinished build of another.
    """
    if database.exists():
        raise FoolCaffeError(f"{database} is there already", "remove it to build it again")
    with locked(_lock(database), str(database)):
        made = _plan(partial_of(database), plan.asked(root, listing, settings, count), restart)
        _refuse_bad_lines(made, listing, skip_bad)
        return made


def build_shard(database: Path, number: int, how: How, workers: int = 0) -> dict[str, Any]:
    """Make one shard of a plan; safe to run again, and beside other shards.

    Raises:
        FoolCaffeError: no plan, no such shard, images that cannot be stored.
    """
    partial = _existing(database)
    with locked(_lock(database), str(database), shared=True):
        made = plan.load(partial / "plan")
        first, end = made.range(number)
        with (
            locked(partial / "shards" / f"{number:05d}.lock", f"shard {number} of {database}"),
            Pool(made.folder, made.settings, workers or workers_for(end - first)) as pool,
        ):
            return shard.build(made, number, shard_folder(partial, number), how, pool)


def merge_shards(database: Path, quiet: bool, mean_file: Path | None, check: bool) -> dict[str, Any]:
    """Merge the finished shards, verify, publish.

    Raises:
        FoolCaffeError: no plan, a shard that is not finished or not what its report says.
    """
    partial = _existing(database)
    with locked(_lock(database), str(database)):
        made = plan.load(partial / "plan")
        settings = made.settings
        total = mean.Sum(settings.channels, settings.height, settings.width) if mean_file else None
        if made.shards == 1 and total is not None:
            total.spoil()
        if not check:
            return _finish(made, partial, database, quiet, mean_file, total, None)
        with Pool(made.folder, settings, workers_for(made.count)) as pool:
            return _finish(made, partial, database, quiet, mean_file, total, pool)


def _finish(
    made: Plan,
    partial: Path,
    database: Path,
    quiet: bool,
    mean_file: Path | None,
    total: mean.Sum | None,
    readers: Pool | None,
) -> dict[str, Any]:
    folder, report = merge(made, partial, quiet, total)
    if not report["stored"]:
        raise FoolCaffeError("none of the images can be stored", f"see {folder / 'bad_images.txt'}; is ROOT right?")
    if report.get("decoders_differ"):
        print("shards were decoded by different versions of the decoders: see their report.json", file=sys.stderr)
    if readers is not None:
        _read_back(folder, made, readers, quiet)
    if mean_file is not None and total is not None:
        whole = total.whole and total.count == report["stored"]
        mean.write(total.mean if whole else mean.of_database(folder, quiet), mean_file)
    publish(folder, {**report, "verified": readers is not None}, database, partial)
    return report


def _read_back(folder: Path, made: Plan, readers: Pool, quiet: bool) -> None:
    """Compare a database with its plan before it is published.

    Raises:
        FoolCaffeError: it is not what the plan and the report say.
    """
    wrong: list[str] = []
    with Progress(made.count, "records", "verify", quiet) as progress:
        for count, found in readers.read_back(folder, made.count):
            wrong += found[: SHOWN + 1 - len(wrong)]
            progress.advance(count)
    if wrong:
        raise FoolCaffeError(
            f"{folder} is not what its plan says", "\n".join([*wrong[:SHOWN], "begin again with --restart"])
        )


def _existing(database: Path) -> Path:
    partial = partial_of(database)
    if not (partial / "plan" / "plan.json").exists():
        if database.exists():
            raise FoolCaffeError(f"{database} is finished: there is nothing left to do")
        raise FoolCaffeError(
            f"no plan for {database}", "make one: python -m foolcaffe.lmdb plan ROOT LIST DB --shards N"
        )
    return partial


def _finished(database: Path, wanted: dict[str, Any], mean_file: Path | None, quiet: bool) -> dict[str, Any]:
    report = published(database)
    if report is None or _essence(report["asked"]) != _essence(wanted):
        what = "not made here" if report is None else "made from another list, ROOT or settings"
        raise FoolCaffeError(f"{database} is there already, and {what}", "remove it to build it again")
    if mean_file is not None and not mean_file.exists():
        mean.write(mean.of_database(database, quiet), mean_file)
    return report


def _essence(wanted: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in wanted.items() if k not in ("list", "shards")}


def _plan(partial: Path, wanted: dict[str, Any], restart: bool) -> Plan:
    folder = partial / "plan"
    if restart:
        for name in ("plan", "shards", "merged"):
            shutil.rmtree(partial / name, ignore_errors=True)
    if (folder / "plan.json").exists():
        known = plan.load(folder)
        if _unchanged(known, wanted):
            return known
        known.close()
        if any((partial / "shards").glob("*/data.mdb")):
            differ = [k for k in wanted if known.asked.get(k) != wanted[k] and k != "list_sha256"] or [
                "the list's or an archive's content"
            ]
            raise FoolCaffeError(
                f"{partial} holds an unfinished build that differs in {', '.join(differ)}",
                "finish that with the same arguments, or forget it with --restart",
            )
    shutil.rmtree(partial / "shards", ignore_errors=True)
    return plan.make(folder, wanted)


def _unchanged(known: Plan, wanted: dict[str, Any]) -> bool:
    try:
        return known.asked == wanted and all(Archive.of(a.path) == a for a in known.archives)
    except OSError:
        return False


def _refuse_bad_lines(made: Plan, listing: Path, skip_bad: bool) -> None:
    if made.rejected and not skip_bad:
        shown = [
            f"{listing}:{i.line}: {i.locator[1:].decode('utf-8', 'backslashreplace')}: {listfile.show(i.path)}"
            for i in made.bad_lines(10)
        ]
        more = [f"… and {made.rejected - 10} more"] if made.rejected > 10 else []
        raise FoolCaffeError(
            f"{made.rejected} lines of {listing} cannot be used",
            "\n".join([*shown, *more, "mend them, or leave them out with --skip-bad"]),
        )
