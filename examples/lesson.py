# %% [markdown]
# # Breaking a linear classifier, in six steps
#
# The lesson of the explorer, `docs/explorer.html`, in Python: the same six steps, in the same order. It is a script
# and a notebook at once. Run it,
#
#     PYTHONPATH=python .caffe/bin/python examples/lesson.py
#
# or open it in an editor that knows cells, or in Jupyter with jupytext. It needs what `make demo` made, and trains
# three more models in step 4, half a minute each, unless they are there. `LESSON_MODEL` names another model.

# %%
import builtins
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from foolcaffe import starts, toy
from foolcaffe.attacks import Criterion, run
from foolcaffe.evaluate import evaluate
from foolcaffe.figures import template_image
from foolcaffe.images import Rgb8, noise, write_png
from foolcaffe.render import Overrides, find_model, render
from foolcaffe.train import RECORD, train
from foolcaffe.trained import find_trained
from foolcaffe.verify import verify

model = find_trained(os.environ.get("LESSON_MODEL", "demo/linear_softmax"))
net, names = model.classifier(), [synset.name for synset in model.synsets()]
out = model.dataset / "lesson"
out.mkdir(exist_ok=True)


def show(name, *images):
    """Write images of one size beside each other to a PNG; a notebook also shows it."""
    sheet = np.concatenate([image.array for image in images], axis=1).repeat(3, axis=0).repeat(3, axis=1)
    write_png(out / f"{name}.png", Rgb8(sheet))
    print(f"[{out / name}.png]")
    if hasattr(builtins, "display"):
        builtins.display(Image.fromarray(sheet))


def seen(image):
    """Return what the net sees: the best class and its probability."""
    probabilities = net.probabilities(image.to_bgr())[0]
    return f"{names[probabilities.argmax()]} {probabilities.max():.1%}"


# %% [markdown]
# ## 1. A classifier is a set of templates
#
# The net has one row of weights for each class, as large as a picture. The score of a class is the sum of all
# products of weights and pixels, plus an offset. Nothing else happens.

# %%
templates, offsets = net.score_weights(), net.score_offsets()  # classes × channels × height × width
target = names.index("rocket") if "rocket" in names else 1
photo = Path("data/demo/photos/astronaut.JPEG")
demo = model.dataset.name == "demo"
start = (starts.from_file(photo, net) if demo else starts.default(model, net, [target])).image
by_hand = (templates * start.to_bgr().array).sum(axis=(1, 2, 3)) + offsets
print(f"largest difference from Caffe's scores: {np.abs(by_hand - net.scores(start.to_bgr())[0]).max():.1e}")
show("1-templates", *(template_image(row) for row in templates[:8]))

# %% [markdown]
# ## 2. Add a little of a template
#
# A score grows fastest along its template. The same changes at random places, with the same sizes, do next to nothing:
# they push the score up here and down there.

# %%
template = templates[target].transpose(1, 2, 0)[:, :, ::-1]  # RGB, as a picture is
unit = template / np.abs(template).mean()  # one grey level on average
mixed = np.random.default_rng(1).permutation(unit.ravel()).reshape(unit.shape)


def moved(image, direction, levels):
    """Return the picture that a PNG can hold: moved, rounded, clipped."""
    return Rgb8(np.clip(np.rint(image.array + levels * direction), 0, 255).astype(np.uint8))


def needed(image, net, direction):
    """Return how many grey levels of a template, on average, make the target win; None if 127 do not."""
    for levels in np.arange(0, 127, 0.25):
        if net.probabilities(moved(image, direction, levels).to_bgr())[0].argmax() == target:
            return levels
    return None


print(f"the start: {seen(start)}")
for levels in (0.5, 1, 2, 4, 8):
    along, random = moved(start, unit, levels), moved(start, mixed, levels)
    print(f"{levels:4} grey levels of {names[target]}'s template: {seen(along):24} at random places: {seen(random)}")
levels = needed(start, net, unit)
show("2-sum", start, template_image(templates[target]), moved(start, unit, levels), moved(start, mixed, levels))

# %% [markdown]
# ## 3. Any start will do
#
# Nothing in this needs a photograph.

# %%
for name, image in (("noise", noise(*net.shape[1:], seed=1)), ("grey", Rgb8(np.full_like(start.array, 128)))):
    print(f"{name}: {seen(image)}; with {needed(image, net, unit)} grey levels of the template it is {names[target]}")

# %% [markdown]
# ## 4. Stronger regularization makes it harder, at a price
#
# Weight decay pulls weights to zero. The templates turn from noise to soft blobs, and more of them is needed. Accuracy
# tells what that costs. A noisy template may also be the noise that training began with; `make explorer` trains
# models from zero as well, which tell the two apart.

# %%
iterations = json.loads((model.folder / RECORD).read_text())["iterations"]
shown = []
for decay in (0.0005, 100, 1000, 10000):
    folder = model.folder if decay == 100 else model.dataset / f"decay{decay}"
    if not (folder / RECORD).exists():
        overrides = Overrides(weight_decay=decay, max_iter=iterations)
        render(find_model("linear_softmax"), model.dataset, folder, on_gpu=False, overrides=overrides)
        train(folder, "cpu", quiet=True)
    other = find_trained(str(folder)).classifier()
    row = other.score_weights()[target]
    shown.append(template_image(row))
    levels = needed(start, other, row.transpose(1, 2, 0)[:, :, ::-1] / np.abs(row).mean())
    accuracy = evaluate(other, model.dataset / "val_lmdb", quiet=True)
    right = accuracy.top1 / accuracy.images
    print(f"weight decay {decay:<7} {levels} grey levels needed; {right:.1%} of the validation images are right")
show("4-decays", *shown)

# %% [markdown]
# ## 5. Why so little is enough
#
# The post shows it with ten numbers. Every number moves by half a unit in the direction of its weight, and the sum by
# ten halves. A picture has 12,288 numbers.

# %%
example = toy.toy()
print(f"ten numbers: score {example.score:g} → {example.score_ad:g}", end=", ")
print(f"class 1 with {example.probability:.1%} → {example.probability_ad:.1%}")
for dimensions in (10, 100, 1000, 12288):
    print(f"{dimensions:6,} numbers that move by 0.5 each: the score moves by {0.5 * dimensions:,g}")

# %% [markdown]
# ## 6. Not single pictures, but whole regions
#
# How near is the region of pictures that fool? For a linear net the smallest change can be computed, with a proof that
# there is none smaller. What counts is the file: the PNG is read again and judged by Caffe.

# %%
goal = Criterion(target)
result = run("exact", net, start, goal)
png = out / "6-smallest.png"
write_png(png, result.image)
verdict = verify(net, png, start, goal)
print(f"{png}: {'fools' if verdict.fooled else 'does not fool'}; seen as {seen(result.image)}")
print(f"L2 {verdict.distances.l2:.1f}; proved: no 8-bit picture nearer than {result.certificate.png:.1f} fools")
show("6-sum", start, template_image(result.image.to_bgr().array - start.to_bgr().array), result.image)
