"""Real browsers for the explorer's tests: Chromium by selenium, Firefox by WebDriver BiDi, which needs no driver."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


@contextmanager
def chromium(profile: Path, downloads: Path) -> Iterator[Any]:
    """Headless Chromium that can reach nothing but this machine; skips where there is none."""
    if importlib.util.find_spec("selenium") is None or importlib.util.find_spec("axe_core_python") is None:
        pytest.skip("no selenium or axe-core in this Python: pip install -e '.[browser]'")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium: apt install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        found.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield found
    finally:
        found.quit()


class Firefox:
    """One tab of headless Firefox."""

    def __init__(self, address: str) -> None:
        import websocket

        self._socket = websocket.create_connection(f"{address}/session", timeout=60, suppress_origin=True)
        self._numbers = itertools.count(1)
        self.messages: list[str] = []
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded"])
        self.tab = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command and wait for its answer; what the page writes to its console is kept."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("method") == "log.entryAdded":
                self.messages.append(str(answer["params"].get("text")))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def get(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self.send("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression that yields text, a number or a boolean."""
        result = self.send("script.evaluate", expression=expression, target={"context": self.tab}, awaitPromise=True)
        assert result["type"] == "success", result
        return result["result"].get("value")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@contextmanager
def firefox(profile: Path, downloads: Path) -> Iterator[Firefox]:
    """Headless Firefox that can reach nothing but this machine; skips where there is none."""
    binary = shutil.which("firefox-esr") or shutil.which("firefox")
    if not binary or importlib.util.find_spec("websocket") is None:
        pytest.skip("no Firefox, or no websocket-client in this Python: apt install firefox-esr")
    settings = {
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": 9,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": 9,
        "browser.download.folderList": 2,
        "browser.download.dir": str(downloads),
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [binary, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    log = profile.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            listening = re.search(rb"WebDriver BiDi listening on (ws://\S+)", log.read_bytes())
            if listening or process.poll() is not None:
                break
            time.sleep(0.1)
        assert listening, log.read_text("utf-8", "replace")
        found = Firefox(listening[1].decode())
        try:
            yield found
        finally:
            found.close()
    finally:
        process.terminate()
        process.wait(30)
