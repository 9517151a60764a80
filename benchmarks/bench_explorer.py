"""How quick is the explorer's page, and does real Caffe agree with what it saves?

    .venv/bin/python benchmarks/bench_explorer.py build/demo/explorer.html [50]

Needs Chromium and the models that the page was made of. Prints the time to the first view, the time of a move of the
slider until its bars are laid out, and how many of the saved PNGs fool real Caffe, with the largest difference in
confidence. The machine's load stands beside the times.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "python")]

from browsers import chromium  # noqa: E402
from explore.pages import facts_of  # noqa: E402

MOVES = """
const done = arguments[0], slider = document.getElementById('by'), times = [];
function move() {
  if (times.length >= 100) return done(times);
  slider.value = String(Number(slider.min) * (0.9 - times.length / 60));
  const begun = performance.now();
  slider.dispatchEvent(new Event('input'));
  document.getElementById('bars').getBoundingClientRect();
  times.push(performance.now() - begun);
  requestAnimationFrame(() => setTimeout(move));
}
move();"""


def open_page(browser, url: str) -> None:
    browser.get("about:blank")
    browser.get(url)
    while not browser.execute_script("return document.body.dataset.ready"):
        time.sleep(0.02)


def save(browser, url: str, facts: dict, number: int, folder: Path, kept: Path) -> None:
    """Save so many PNGs, of pictures, targets, models and ways drawn at random, along templates and by smallest changes."""
    draw, saved = random.Random(1), 0
    while saved < number:
        picture = draw.choice([*(p["key"] for p in facts["pictures"]), "noise", "grey"])
        target, model = draw.choice(facts["classes"])["wnid"], draw.choice(facts["models"])["name"]
        view = draw.choice(["along", "flip", "sure"])
        open_page(browser, f"{url}#mode=free&model={model}&picture={picture}&target={target}&view={view}")
        if view == "along":
            marks = browser.find_elements("css selector", "#marks .level button, #marks .target button")
            if not marks:
                continue
            browser.execute_script("arguments[0].click()", draw.choice(marks))
        browser.execute_script("document.getElementById('save').click()")
        time.sleep(0.2)
        status = browser.execute_script("return document.getElementById('status').textContent")
        if not status.startswith("Saved"):
            print(f"  refused: {status}")
            continue
        while not list(folder.glob("*.png")) or list(folder.glob("*.crdownload")):
            time.sleep(0.05)
        for png in folder.glob("*.png"):
            png.rename(kept / f"{saved}-{png.name}")
        saved += 1


def main() -> None:
    page = Path(sys.argv[1]).resolve()
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    facts = facts_of(page)
    with tempfile.TemporaryDirectory() as name:
        profile, folder, kept = (Path(name) / part for part in ("profile", "downloads", "kept"))
        folder.mkdir()
        kept.mkdir()
        with chromium(profile, folder) as browser:
            first, ready = [], []
            for _ in range(5):
                open_page(browser, page.as_uri())
                paint = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
                first.append(browser.execute_script(paint))
                ready.append(int(browser.execute_script("return document.body.dataset.ready")))
            open_page(browser, f"{page.as_uri()}#mode=free")
            times = browser.execute_async_script(MOVES)
            print(f"{page.name}: {page.stat().st_size / 1e6:.2f} MB, {len(facts['classes'])} classes")
            print(f"first paint {statistics.median(first):.0f} ms, ready after {statistics.median(ready):.0f} ms more")
            print(
                f"a move of the slider to its bars: median {statistics.median(times):.1f} ms, largest {max(times):.1f} ms"
            )
            print(f"load of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
            save(browser, page.as_uri(), facts, number, folder, kept)
        files = sorted(map(str, kept.glob("*.png")))
        command = [sys.executable, "-m", "foolcaffe.verify", *files, "--json", "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "FOOLCAFFE_ENGINE": "caffe"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        off = max(abs(f["confidence"] - f["confidence_in_page"]) for f in found)
        print(f"saved PNGs that fool Caffe: {sum(f['verified'] for f in found)} of {len(files)}")
        print(f"largest difference in confidence: {off:.1e}; judged by {found[0]['engine']}")


if __name__ == "__main__":
    main()
