from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from caffefiles.files import atomic_path, sha256, write_json
from foolcaffe.errors import FoolCaffeError, nearest, os_error_message, run_cli


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_usual_permissions(tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "a.json", {"b": [1.5, "ü"]})
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "x" / "a.json").stat().st_mode & 0o777 == 0o666 & ~mask
    content = b'{\n  "b": [\n    1.5,\n    "\xc3\xbc"\n  ]\n}\n'
    assert (tmp_path / "x" / "a.json").read_bytes() == content
    assert sha256(tmp_path / "x" / "a.json") == hashlib.sha256(content).hexdigest()


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_nearest_names() -> None:
    assert nearest("InerProduct", ["InnerProduct", "Softmax"]) == "did you mean 'InnerProduct'?"
    assert nearest("fish", ["goldfish", "bus"]) == "did you mean 'goldfish'?"
    assert nearest("qqq", ["goldfish", "bus"]) == ""


@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EROFS, "read-only")]
)
def test_the_cause_is_named(code: int, said: str) -> None:
    message = os_error_message(OSError(code, os.strerror(code), "/x/y.png"))
    assert said in message
    assert "'/x/y.png'" in message


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (FoolCaffeError("it is wrong", "mend it"), 1, "prog: error: it is wrong\n    mend it\n"),
        (OSError(errno.ENOSPC, "x", "f"), 1, "prog: error: cannot use 'f': the disk is full"),
        (KeyboardInterrupt(), 130, "prog: interrupted"),
    ],
)
def test_run_cli(capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, said: str) -> None:
    def main(arguments: list[str]) -> int:
        raise raised

    with pytest.raises(SystemExit) as ended:
        run_cli(main, "prog")
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_a_bug_stays_a_traceback() -> None:
    def main(arguments: list[str]) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_cli(main, "prog")
