"""The report in headless Chromium: every figure there, no console error, accessible, on a desk and a telephone."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import chromium
from helpers import ROOT, Road, run, succeeds
from study.reports import hostile

WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium"), tmp_path_factory.mktemp("downloads")) as found:
        yield found


def look(browser: Any, path: Path, width: int) -> dict[str, Any]:
    """Open a page at a width: what it loaded, said, shows, and what axe-core finds wrong."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(path.as_uri())
    events = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    requests = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    images = browser.execute_script("return [...document.images].map(i => [i.alt, i.naturalWidth, i.complete])")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None
    axe = Path(str(spec.origin)).with_name("axe.min.js").read_text("utf-8")
    browser.execute_script(axe)  # by the driver: the page's own policy allows no script
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    wide_open = browser.execute_script("return document.documentElement.scrollWidth")
    problems = [f"{v['id']}: {n['html'][:200]}" for v in found["violations"] for n in v["nodes"]]
    assert len(found["passes"]) > 20
    said = [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    return {
        "requests": [r for r in requests if not r.startswith(("data:", "file:"))],
        "images": images,
        "console": said,
        "width": max(wide, wide_open),
        "problems": problems,
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_a_hostile_report_is_read_in_peace(browser: Any, tmp_path: Path, width: int) -> None:
    seen = look(browser, hostile(tmp_path), width)
    assert seen["requests"] == []
    assert seen["console"] == []
    assert seen["problems"] == []
    assert [(w, done) for _, w, done in seen["images"]] == [(37, True)]
    assert seen["width"] <= width


def test_no_script_can_run(browser: Any, tmp_path: Path) -> None:
    """Even if escaping failed: the policy stops a script and an event handler, and says so on the console."""
    path = hostile(tmp_path)
    evil = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    path.write_text(path.read_text("utf-8").replace("<header>", f"<header>{evil}"), "utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert browser.title != "ran"
    assert any("Content Security Policy" in e["message"] for e in browser.get_log("browser"))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_published_report(browser: Any, width: int) -> None:
    seen = look(browser, ROOT / "docs" / "study" / "tiny-imagenet.html", width)
    assert seen["requests"] == []
    assert seen["console"] == []
    assert seen["problems"] == []
    assert len(seen["images"]) >= 10
    assert all(alt and wide > 300 and done for alt, wide, done in seen["images"])
    assert seen["width"] <= width


@pytest.mark.slow
def test_the_report_of_a_real_study(browser: Any, road: Road, tmp_path: Path) -> None:
    own = road.copy(tmp_path)
    parts = ("figures",)
    succeeds(run("study", *parts, "--dataset", own.dataset, "--quiet"))
    report = own.dataset / "study" / "report.html"
    drawn = sorted(p.name for part in parts for p in (report.parent / part).glob("*.png"))
    assert len(drawn) >= 2
    for width in WIDTHS:
        seen = look(browser, report, width)
        assert seen["requests"] == []
        assert seen["console"] == []
        assert seen["problems"] == []
        assert len(seen["images"]) == len(drawn)
        assert all(alt and wide > 300 and done for alt, wide, done in seen["images"])
        assert seen["width"] <= width
