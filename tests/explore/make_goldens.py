"""Writes goldens.json: real Caffe's scores of the pictures in docs/explorer.html, by every model of it.

Run after `make explorer`, with the models that the page was made of:

    PYTHONPATH=python:tests FOOLCAFFE_ENGINE=caffe .caffe/bin/python tests/explore/make_goldens.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from explore.pages import facts_of, pixels_of
from foolcaffe.images import Rgb8
from foolcaffe.trained import find_trained
from helpers import ROOT

GOLDENS = Path(__file__).with_name("goldens.json")


def main() -> None:
    facts = facts_of(ROOT / "docs" / "explorer.html")
    goldens = {}
    for facts_of_model in facts["models"]:
        net = find_trained(facts_of_model["model"]).classifier()
        for picture in facts["pictures"]:
            rgb = pixels_of(picture, facts)
            dark = (rgb // 2 + 3).astype(np.uint8)
            for name, image in (("as it is", rgb), ("darker", dark)):
                scores = net.scores(Rgb8(image).to_bgr())[0]
                goldens[f"{facts_of_model['sha256']['weights']} {picture['key']} {name}"] = [
                    float(f"{s:.7g}") for s in scores
                ]
    GOLDENS.write_text(json.dumps(goldens, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
