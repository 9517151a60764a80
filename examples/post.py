"""The post in plain pycaffe: add a little of a class's data gradient to an image until Caffe sees that class.

    .caffe/bin/python examples/post.py build/demo/linear_softmax data/demo/photos/astronaut.JPEG 12 fooled.png

MODEL is a folder that `make demo` or `make train` made; CLASS is a position in its ../synset_words.txt. Without
arguments the astronaut becomes a rocket. Where real Caffe is not installed, torchcaffe stands in for it:

    PYTHONPATH=python .venv/bin/python examples/post.py
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import caffe
except ImportError:
    import torchcaffe

    torchcaffe.install()
    import caffe

arguments = sys.argv[1:] or ["build/demo/linear_softmax", "data/demo/photos/astronaut.JPEG", "12", "fooled.png"]
if len(arguments) != 4:
    sys.exit("usage: post.py MODEL IMAGE CLASS OUT.png")
model, photo, target, png = Path(arguments[0]), arguments[1], int(arguments[2]), arguments[3]
names = (model.parent / "synset_words.txt").read_text().splitlines()
weights = max(model.glob("*.caffemodel"), key=lambda file: file.stat().st_mtime)
net = caffe.Net(str(model / "deploy.prototxt"), str(weights), caffe.TEST)
blob = caffe.proto.caffe_pb2.BlobProto.FromString((model.parent / "mean.binaryproto").read_bytes())
mean = np.array(blob.data).reshape(3, 64, 64)


def probabilities(rgb):
    """Return the net's confidence in each class for an image of 64 x 64 x 3 grey levels, 0 to 255."""
    net.blobs["data"].data[0] = rgb[:, :, ::-1].transpose(2, 0, 1) - mean  # Caffe's order: BGR, channels first
    return net.forward()["prob"][0].copy()


# The data gradient of a class's score, of which a linear net has one for every image: the class's row of weights.
start = np.asarray(Image.open(photo).convert("RGB").resize((64, 64)), dtype=float)
before = probabilities(start)
net.blobs["fc"].diff[0] = np.arange(len(names)) == target
gradient = net.backward(start="fc")["data"][0].transpose(1, 2, 0)[:, :, ::-1].copy()

# Add more and more of it, until the image that a PNG can hold, with whole grey levels, is the class to the net.
for strength in range(256):
    fooled = np.clip(np.rint(start + strength * gradient / np.abs(gradient).max()), 0, 255)
    if probabilities(fooled).argmax() == target:
        break
else:
    sys.exit(f"even 255 grey levels of the gradient do not make it {names[target]}")

Image.fromarray(fooled.astype(np.uint8)).save(png)
after = probabilities(np.asarray(Image.open(png), dtype=float))  # what counts is the file
print(f"before: {names[before.argmax()]}, {before.max():.1%} sure")
change = np.abs(fooled - start).mean()
print(f"after:  {names[after.argmax()]}, {after.max():.1%} sure, a mean change of {change:.1f} grey levels")
