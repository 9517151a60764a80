"""Downloads from a real HTTP server on this machine: cut, resumed, checked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from foolcaffe.datasets.download import download
from foolcaffe.errors import FoolCaffeError

BODY = np.random.default_rng(7).bytes(1_000_003)
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``body``; the next ``cuts`` answers break off after ``cut_after`` bytes."""

    body = BODY
    cuts = 0
    cut_after = 300_000
    ranges = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that we cut off may say so


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.headers.get("Range"))
        if self.path != "/file.zip":
            self.send_error(404)
            return
        begin = 0
        if self.server.ranges and (wanted := self.headers.get("Range")):
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        if begin >= len(self.server.body) > 0 and begin:
            self.send_error(416)
            return
        rest = self.server.body[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            rest = rest[: self.server.cut_after]
        self.wfile.write(rest)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    httpd = Server(("127.0.0.1", 0), Handler)
    httpd.requests = []
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def url(server: Server, name: str = "file.zip") -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_whole(server: Server, tmp_path: Path) -> None:
    download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert (tmp_path / "file.zip").read_bytes() == BODY
    assert files(tmp_path) == ["file.zip"]


def test_a_cut_is_resumed_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cuts = 2
    download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert (tmp_path / "file.zip").read_bytes() == BODY
    assert server.requests == [None, "bytes=300000-", "bytes=600000-"]


def test_a_cut_that_stays_is_an_error_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.cuts, server.cut_after = 99, 100_000
    with pytest.raises(FoolCaffeError, match=r"stopped after 500000 bytes"):
        download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert files(tmp_path) == ["file.zip.part"]
    server.cuts = 0
    download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert server.requests[-1] == "bytes=500000-"
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "file.zip.part").write_bytes(b"rubbish")
    download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_a_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(BODY)
    download(url(server), tmp_path / "file.zip", SHA256, quiet=True)
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_a_wrong_checksum_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match=r"(?s)wrong checksum.*expected md5:00.*found"):
        download(url(server), tmp_path / "file.zip", "md5:" + "0" * 32, quiet=True)
    assert files(tmp_path) == []


def test_no_such_file_and_no_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FoolCaffeError, match="HTTP 404"):
        download(url(server, "other"), tmp_path / "file.zip", SHA256, quiet=True)
    with pytest.raises(FoolCaffeError, match="refused"):
        download("http://127.0.0.1:9/file.zip", tmp_path / "file.zip", SHA256, quiet=True)
    assert files(tmp_path) == []
