"""The whole road in one call, and its stations: plan → shards → merge → verify → publish.

While it is unfinished, all of a database ``DB`` lies in ``DB.partial``: the plan, the shards, the merged records.
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
from foolcaffe.lmdb import plan, shard
from foolcaffe.lmdb.merge import merge, publish, published, shard_folder
from foolcaffe.lmdb.plan import Plan, Settings
from foolcaffe.lmdb.pool import Pool, workers_for
from foolcaffe.lmdb.shard import Options
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
    options: Options,
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
        options: how to work.
        workers: processes that decode; 0: as many as the machine and the list are good for.
        mean_file: where to write the mean; None: nowhere.
        check: read everything back before it is published.
        restart: forget what an unfinished build left.

    Returns:
        its report.

    Raises:
        FoolCaffeError: see the stations.
    """
    request = plan.request(root, listing, settings, 1)
    if database.exists() and not partial_of(database).exists():
        return _finished(database, request, mean_file, options.quiet)
    with locked(_lock(database), str(database)):
        partial = partial_of(database)
        if database.exists():
            report = _finished(database, request, mean_file, options.quiet)
            shutil.rmtree(partial, ignore_errors=True)  # killed after the rename, before this
            return report
        with Pool(partial / "plan", settings, workers or workers_for(plan.count_lines(listing))) as pool:
            made = _plan(partial, request, restart)
            _refuse_bad_lines(made, listing, options.skip_bad)
            shard.build(made, 0, shard_folder(partial, 0), options, pool)
            return _finish(made, partial, database, options.quiet, mean_file, pool if check else None)


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
        made = _plan(partial_of(database), plan.request(root, listing, settings, count), restart)
        _refuse_bad_lines(made, listing, skip_bad)
        return made


def build_shard(database: Path, number: int, options: Options, workers: int = 0) -> dict[str, Any]:
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
            return shard.build(made, number, shard_folder(partial, number), options, pool)


def merge_shards(database: Path, quiet: bool, mean_file: Path | None, check: bool) -> dict[str, Any]:
    """Merge the finished shards, verify, publish.

    Raises:
        FoolCaffeError: no plan, a shard that is not finished or not what its report says.
    """
    partial = _existing(database)
    with locked(_lock(database), str(database)):
        made = plan.load(partial / "plan")
        if not check:
            return _finish(made, partial, database, quiet, mean_file, None)
        with Pool(made.folder, made.settings, workers_for(made.count)) as pool:
            return _finish(made, partial, database, quiet, mean_file, pool)


def _finish(
    made: Plan, partial: Path, database: Path, quiet: bool, mean_file: Path | None, readers: Pool | None
) -> dict[str, Any]:
    folder, report = merge(made, partial, quiet)
    if not report["stored"]:
        raise FoolCaffeError("none of the images can be stored", f"see {folder / 'bad_images.txt'}; is ROOT right?")
    if report.get("decoders_differ"):
        print("shards were decoded by different versions of the decoders: see their report.json", file=sys.stderr)
    if readers is not None:
        _read_back(folder, made, readers, quiet)
    if mean_file is not None:
        _write_mean(mean_file, folder, quiet)
    publish(folder, {**report, "verified": readers is not None}, database, partial)
    return report


def _write_mean(file: Path, database: Path, quiet: bool) -> None:
    from foolcaffe.lmdb.mean import write_mean  # with protobuf and the schema: most builds do without

    write_mean(file, database, quiet)


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


def _finished(database: Path, request: dict[str, Any], mean_file: Path | None, quiet: bool) -> dict[str, Any]:
    report = published(database)
    if report is None or _essence(report["asked"]) != _essence(request):
        what = "not made here" if report is None else "made from another list, ROOT or settings"
        raise FoolCaffeError(f"{database} is there already, and {what}", "remove it to build it again")
    if mean_file is not None and not mean_file.exists():
        _write_mean(mean_file, database, quiet)
    return report


def _essence(request: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in request.items() if k not in ("list", "shards")}


def _plan(partial: Path, request: dict[str, Any], restart: bool) -> Plan:
    folder = partial / "plan"
    if restart:
        for name in ("plan", "shards", "merged"):
            shutil.rmtree(partial / name, ignore_errors=True)
    if (folder / "plan.json").exists():
        known = plan.load(folder)
        if _unchanged(known, request):
            return known
        known.close()
        if any((partial / "shards").glob("*/data.mdb")):
            differ = [k for k in request if known.request.get(k) != request[k] and k != "list_sha256"] or [
                "the list's or an archive's content"
            ]
            raise FoolCaffeError(
                f"{partial} holds an unfinished build that differs in {', '.join(differ)}",
                "finish that with the same arguments, or forget it with --restart",
            )
    shutil.rmtree(partial / "shards", ignore_errors=True)
    return plan.make(folder, request)


def _unchanged(known: Plan, request: dict[str, Any]) -> bool:
    try:
        return known.request == request and all(Archive.of(a.path) == a for a in known.archives)
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
