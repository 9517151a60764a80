"""The packer: weights with a bound that holds, one script out of modules, the server, the commands."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explore.pages import facts_of, parts_of, pixels_of
from foolcaffe.classifier import Classifier
from foolcaffe.errors import FoolCaffeError
from foolcaffe.explore import page as bundler
from foolcaffe.explore.serve import server
from foolcaffe.explore.weights import pack
from foolcaffe.images import Rgb8, noise
from foolcaffe.trained import find_trained
from foolcaffe.verify import read_experiment
from helpers import ROOT, Road, environment, fails, run, succeeds

PUBLISHED = ROOT / "docs" / "explorer.html"


@pytest.fixture(scope="module")
def net(road: Road) -> Classifier:
    return find_trained(str(road.model)).classifier()


@pytest.mark.parametrize("bits", [8, 4])
def test_scores_are_the_nets_within_the_stated_bound(net: Classifier, bits: int) -> None:
    rows = pack(net, bits)
    for seed in range(5):
        image = noise(64, 64, seed)
        off = np.abs(rows.scores(image.array) - net.scores(image.to_bgr())[0])
        centred = np.abs(image.array.astype(float) - 127.5)
        bound = np.minimum(rows.error_l1 * centred.max(), rows.error_l2 * np.linalg.norm(centred))
        assert (off <= bound + 1e-4).all()
        assert off.max() <= (2e-3 if bits == 8 else 3e-2)


def test_the_bound_is_met_by_the_worst_image(net: Classifier) -> None:
    """An image that is built to make the error large comes near the bound, and does not pass it."""
    rows = pack(net, 4)
    weights = net.score_weights()[2].transpose(1, 2, 0)[..., ::-1].astype(np.float64).reshape(-1)
    error = weights - rows.units[2] * rows.whole()[2]
    worst = np.where(error > 0, 255, 0).astype(np.uint8)
    exact = float(weights @ worst) + net.score_offsets()[2]
    off = abs(float(rows.scores(worst.reshape(64, 64, 3))[2]) - exact)
    assert 0.9 * rows.error_l1[2] * 127.5 <= off <= rows.error_l1[2] * 127.5 * (1 + 1e-9)


def test_parts_hold_what_the_page_unpacks(net: Classifier) -> None:
    for bits, length in ((8, 2 * 12288), (4, 12288 + 6144)):
        rows = pack(net, bits)
        part = rows.parts()[3]
        assert len(part) == length
        high = np.frombuffer(part[:12288], np.int8)
        assert (high == rows.high[3]).all()
        if bits == 4:
            byte = part[12288 + 100]
            low = [(byte & 15), (byte >> 4)]
            assert [v - 16 if v > 7 else v for v in low] == rows.low[3, 200:202].tolist()


def test_the_published_page_is_what_the_packer_makes() -> None:
    """Its script and style are those of this checkout, and it is small; its photographs may be passed on."""
    parts = parts_of(PUBLISHED)
    assert parts.parts["module"] == bundler.modules("main"), "run `make explorer` and copy it to docs/explorer.html"
    assert parts.parts["style"] == (bundler.WEB / "style.css").read_text("utf-8")
    assert "unsafe" not in parts.policy
    assert PUBLISHED.stat().st_size <= 5_000_000
    facts = facts_of(PUBLISHED)
    assert len(facts["models"]) == 8
    assert all(p["credit"].startswith(("CC0", "public domain", "NASA, public")) for p in facts["pictures"])


def test_modules_in_another_form_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "WEB", tmp_path)
    (tmp_path / "other.js").write_text("export const a = 1;\n")
    (tmp_path / "main.js").write_text('import * as x from "./other.js";\n')
    with pytest.raises(FoolCaffeError, match=r"main\.js: .import \* as x"):
        bundler.modules("main")
    (tmp_path / "main.js").write_text('import { a as b } from "./other.js";\nexport function f() {}\n')
    text = bundler.modules("main")
    assert text.index("other.js") < text.index("main.js")
    assert "const { a: b } = module_other;" in text


def test_the_command_writes_one_page(road: Road, tmp_path: Path) -> None:
    own = road.copy(tmp_path)
    shutil.copytree(own.model, own.dataset / "second")
    words = own.dataset / "synset_words.txt"
    words.write_text(words.read_text().replace("ocean", "<img src=x onerror=alert(1)></script>"))
    out = tmp_path / "page.html"
    done = run("explore", "--model", own.model, "--model", own.dataset / "second", "--start", "val:3", "--out", out)
    assert succeeds(done).strip() == str(out)
    facts = facts_of(out)
    assert [m["name"] for m in facts["models"]] == ["linear_softmax", "second"]
    assert facts["classes"][2]["names"] == ["<img src=x onerror=alert(1)></script>"]
    assert "<img" not in parts_of(out).parts["facts"]
    model = facts["models"][0]
    assert model["decay"] == 100
    assert model["std"] == 0.0001
    assert all(0 < share <= 1 for share in model["initial_share"])
    record = json.loads((own.model / "trained.json").read_text())
    assert model["sha256"]["weights"] == record["sha256"]
    assert 0.2 < model["accuracy"]["top1"] <= 1
    assert model["accuracy"]["images"] == 60
    added = facts["pictures"][-1]
    assert added["key"] == "val3"
    from caffefiles.datum import DatumLMDB

    with DatumLMDB(own.dataset / "val_lmdb") as records:
        pixels = records.record(3).pixels
    assert (pixels_of(added, facts)[..., ::-1].transpose(2, 0, 1) == pixels).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "/no/such.png"], "no image at /no/such.png"),
        (["--start", "val:9999"], "9999"),
        (["--start", "photo"], "expected: noise, grey, or val:N"),
        (["--model", "no-such-model"], "no trained model 'no-such-model'"),
    ],
)
def test_mistakes_are_messages(road: Road, tmp_path: Path, arguments: list[str], message: str) -> None:
    model = [] if "--model" in arguments else ["--model", road.model]
    fails(run("explore", *model, "--out", tmp_path / "page.html", *arguments), message)
    assert not (tmp_path / "page.html").exists()


def test_models_of_other_classes_are_refused(road: Road, tmp_path: Path) -> None:
    own = road.copy(tmp_path)
    words = own.dataset / "synset_words.txt"
    words.write_text(words.read_text().replace("ocean", "sea"))
    done = run("explore", "--model", road.model, "--model", own.model, "--out", tmp_path / "page.html")
    fails(done, "has other classes than")


def test_the_server_gives_the_page_and_its_parts_and_nothing_else() -> None:
    found = server("<p>page</p>", [[b"one", b"two"], [b"three"]])
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{found.server_port}"
        assert found.server_address[0] == "127.0.0.1"

        def get(path: str) -> bytes:
            with urllib.request.urlopen(base + path, timeout=10) as answer:
                return bytes(answer.read())

        assert get("/") == b"<p>page</p>"
        assert get("/?embed") == b"<p>page</p>"
        assert get("/weights/0/1") == b"two"
        for path in ("/weights/0/2", "/weights/2/0", "/weights/0/../../etc/passwd", "/LICENSE", "/weights/-1/0"):
            with pytest.raises(urllib.error.HTTPError) as error:
                get(path)
            assert error.value.code == 404
            error.value.close()
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def test_the_command_serves_until_it_is_interrupted(road: Road) -> None:
    command = [sys.executable, "-m", "foolcaffe.explore", "--model", road.model, "--serve", "--quiet", "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=environment()) as served:
        assert served.stdout is not None
        address = served.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=10) as answer:
            facts = facts_of(answer.read().decode())
        assert facts["parts"] == 1
        port = address.rstrip("/").rpartition(":")[2]
        fails(
            run("explore", "--model", road.model, "--serve", "--quiet", "--port", port), f"port {port} cannot be used"
        )
        served.send_signal(signal.SIGINT)
        assert served.wait(20) == 130


def saved(path: Path, image: np.ndarray, experiment: dict | str | None) -> Path:
    info = PngInfo()
    if experiment is not None:
        info.add_itxt("foolcaffe", experiment if isinstance(experiment, str) else json.dumps(experiment))
    Image.fromarray(image).save(path, pnginfo=info)
    return path


def test_the_verifier_believes_no_record(road: Road, net: Classifier, tmp_path: Path) -> None:
    """A PNG that fools is confirmed; the start itself, with a record that claims success, is not."""
    start = noise(64, 64, 1)
    before = int(net.scores(start.to_bgr())[0].argmax())
    target = (before + 1) % 5
    synsets = find_trained(str(road.model)).synsets()
    change = net.score_weights()[target].transpose(1, 2, 0)[..., ::-1]
    for level in range(1, 60):
        moved = start.array + change * (level / np.abs(change).mean())
        image = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
        probabilities = net.probabilities(Rgb8(image).to_bgr())[0]
        if int(probabilities.argmax()) == target:
            break
    p = float(probabilities[target])
    assert 0.2 < p < 0.999
    weights = json.loads((road.model / "trained.json").read_text())["sha256"]
    pixels = base64.urlsafe_b64encode(start.array.tobytes()).decode().rstrip("=")
    record = {
        "target": {"wnid": synsets[target].wnid},
        "criterion": "flip",
        "confidence_after": p,
        "sha256": {"weights": weights},
        "explorer": {"pixels": pixels, "height": 64, "width": 64},
    }
    good = saved(tmp_path / "good.png", image, record)
    liar = saved(tmp_path / "liar.png", start.array, record)
    sure = saved(tmp_path / "sure.png", image, {**record, "criterion": {"confidence": p + 1e-4}})
    done = run("verify", good, liar, sure, "--model", road.model, "--json")
    assert done.returncode == 1
    found, *others = [json.loads(line) for line in done.stdout.splitlines()]
    assert found["verified"] is True
    assert [f["verified"] for f in others] == [False, False]
    assert abs(found["confidence"] - p) <= 1e-6
    assert found["l2"] == np.linalg.norm(image.astype(float) - start.array)
    assert "fools" in succeeds(run("verify", good, "--model", road.model))
    other = saved(tmp_path / "other.png", image, {**record, "sha256": {"weights": "0" * 64}})
    fails(run("verify", other, "--model", road.model), "has not the weights that", "--model")
    with pytest.raises(FoolCaffeError, match="carries no experiment"):
        read_experiment(saved(tmp_path / "plain.png", image, None))
    for text in ("{", "[]", json.dumps({**record, "explorer": {"pixels": "!", "height": 64, "width": 64}})):
        with pytest.raises(FoolCaffeError, match="its experiment is damaged"):
            read_experiment(saved(tmp_path / "damaged.png", image, text))
    fails(run("verify", ROOT / "LICENSE"), "LICENSE is no image")


def test_the_modules_in_node() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here; the browser's tests cover the same modules")
    done = subprocess.run(
        [node, "--test", str(Path(__file__).with_name("modules.test.mjs"))],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# pass 13" in done.stdout
