"""Downloads that resume after a cut and are checked before they are given their name."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from foolcaffe.errors import FoolCaffeError
from foolcaffe.progress import Progress

BLOCK = 1 << 18
TIMEOUT_S = 60
ATTEMPTS = 5


def download(url: str, path: Path, checksum: str, quiet: bool = False) -> None:
    """Fetch ``url`` into ``path``.

    What has come lies in ``<path>.part``; a later call goes on from there. The file gets its name only after its
    checksum is right; a wrong one is refused and the part removed.

    Args:
        url: http, https or file.
        path: where to.
        checksum: ``md5:…`` or ``sha256:…``, hexadecimal.
        quiet: no progress.

    Raises:
        FoolCaffeError: no connection, a cut that ``ATTEMPTS`` tries did not mend, or a wrong checksum.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    reason = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch(url, part, quiet):
                break
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            raise FoolCaffeError(f"cannot download {url}: HTTP {error.code} {error.reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error))
        if (part.stat().st_size if part.exists() else 0) == before:
            break  # no byte came: trying again at once is of no use
    else:
        reason = reason or "too many cuts"
    if reason and not _complete(part):
        have = part.stat().st_size if part.exists() else 0
        raise FoolCaffeError(
            f"download of {url} stopped after {have} bytes: {reason}",
            f"what has come is kept in {part}: run it again to go on",
        )
    found = _digest(part, checksum.partition(":")[0])
    if f"{checksum.partition(':')[0]}:{found}" != checksum.lower():
        part.unlink()
        _mark(part).unlink(missing_ok=True)
        raise FoolCaffeError(
            f"{url} has the wrong checksum", f"expected {checksum}\nfound    {found}; the file was removed"
        )
    _mark(part).unlink(missing_ok=True)
    part.replace(path)


def _mark(part: Path) -> Path:
    return part.with_name(part.name + ".complete")


def _complete(part: Path) -> bool:
    return _mark(part).exists()


def _fetch(url: str, part: Path, quiet: bool) -> bool:
    """Append to ``part`` what is missing; True when the whole file is there."""
    have = part.stat().st_size if part.exists() else 0
    if _complete(part):
        return True
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - the user's URL
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is left to be sent
            _mark(part).touch()
            return True
        raise
    with response:
        if have and getattr(response, "status", None) != 206:
            have = 0  # the server begins anew
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            part.open("ab" if have else "wb") as file,
            Progress((total or have) >> 20, "MiB", f"download {part.stem}", quiet, have >> 20) as progress,
        ):
            while True:
                try:
                    block = response.read(BLOCK)
                except http.client.IncompleteRead as cut:
                    file.write(cut.partial)
                    return False
                if not block:
                    break
                file.write(block)
                have += len(block)
                progress.advance((have >> 20) - progress.done)
    if total is not None and have < total:
        return False
    _mark(part).touch()
    return True


def _digest(path: Path, algorithm: str) -> str:
    if algorithm not in ("md5", "sha256"):
        raise FoolCaffeError(f"unknown checksum algorithm {algorithm!r}", "expected md5:… or sha256:…")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
