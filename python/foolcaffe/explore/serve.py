"""Serves the explorer on this machine only: the page, and the weights in parts."""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


def server(html: str, weights: list[list[bytes]], port: int = 0) -> ThreadingHTTPServer:
    """A server that is ready for ``serve_forever``.

    Args:
        html: the page, at ``/``.
        weights: for each model a list of parts, at ``/weights/<model>/<part>``.
        port: 0 lets the system choose.
    """
    document = html.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            part = re.fullmatch(r"/weights/(\d{1,4})/(\d{1,6})", path)
            if path in ("/", "/index.html"):
                self._send(200, "text/html; charset=utf-8", document)
            elif part and int(part[1]) < len(weights) and int(part[2]) < len(weights[int(part[1])]):
                self._send(200, "application/octet-stream", weights[int(part[1])][int(part[2])])
            else:
                self._send(404, "text/plain; charset=utf-8", b"There is nothing at this address.\n")

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            if not str(args[1:2]).startswith("('2"):
                print(f"foolcaffe.explore: {format % args}", file=sys.stderr)

    return ThreadingHTTPServer((HOST, port), Handler)
