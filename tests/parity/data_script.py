"""Data layers on the same files in real Caffe and in torchcaffe: order of records, draws, decoded pixels, to the bit.

.caffe/bin/python tests/parity/data_script.py goldens/data.npz

stores the files (JPEGs and PNGs, so that the encoder does not matter) and what real Caffe makes of them.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")
FORWARDS = 4


def _data(source: str, transform: str = "", more: str = "") -> str:
    return (
        'layer { name: "d" type: "Data" top: "data" top: "label" '
        f'data_param {{ source: "{source}" batch_size: 3 backend: LMDB {more} }} transform_param {{ {transform} }} }}'
    )


def _images(more: str, transform: str = "") -> str:
    return (
        'layer { name: "d" type: "ImageData" top: "data" top: "label" '
        f'image_data_param {{ source: "list.txt" root_folder: "./" {more} }} transform_param {{ {transform} }} }}\n'
        'layer { name: "x" type: "DummyData" top: "x" '
        'dummy_data_param { shape { dim: 3 } data_filler { type: "gaussian" std: 1 } } }'
    )


def _hdf5(source: str, more: str = "", phase: str = "TRAIN") -> str:
    return (
        f'layer {{ name: "h" type: "HDF5Data" top: "data" top: "label" phase: {phase} '
        f'hdf5_data_param {{ source: "{source}" batch_size: 4 {more} }} }}'
    )


def _windows(more: str, transform: str) -> str:
    return (
        'layer { name: "w" type: "WindowData" top: "data" top: "label" '
        'window_data_param { source: "windows.txt" root_folder: "./" fg_threshold: 0.625 bg_threshold: 0.375 '
        f"{more} }} "
        f"transform_param {{ {transform} }} }}\n"
        'layer { name: "x" type: "DummyData" top: "x" '
        'dummy_data_param { shape { dim: 3 } data_filler { type: "gaussian" std: 1 } } }'
    )


CROP = "mirror: true crop_size: 14"
NETS = {
    "jpeg_444": _data("jpeg_444"),
    "jpeg_422": _data("jpeg_422", CROP),
    "jpeg_420": _data("jpeg_420", CROP + " scale: 0.25 mean_value: 3 mean_value: 5 mean_value: 90"),
    "progressive": _data("progressive"),
    "grey": _data("grey", CROP),
    "grey_in_colour": _data("grey", "force_color: true"),
    "old_field": _data("grey", more="force_encoded_color: true"),
    "colour_in_grey": _data("jpeg_420", "force_gray: true"),
    "png": _data("png"),
    "alpha": _data("alpha"),
    "alpha_in_colour": _data("alpha", "force_color: true"),
    "images": _images("batch_size: 4 new_height: 15 new_width: 18"),
    "images_shuffled": _images("batch_size: 5 new_height: 15 new_width: 18 shuffle: true", "mirror: true"),
    "images_grey": _images("batch_size: 4 shuffle: true rand_skip: 7 is_color: false", "crop_size: 13"),
    "images_one": _images("batch_size: 1 shuffle: true", "scale: 0.5"),
    "windows": _windows("batch_size: 6", "crop_size: 14"),
    "windows_padded": _windows("batch_size: 13 context_pad: 3 fg_fraction: 0.6", "crop_size: 15 mirror: true"),
    "windows_square": _windows(
        'batch_size: 11 crop_mode: "square" scale: 0.3 cache_images: true fg_fraction: 1',
        "crop_size: 16 mirror: true mean_value: 3.5 mean_value: 90 mean_value: 101.25",
    ),
    "windows_mean": _windows(
        'batch_size: 12 crop_mode: "square" context_pad: 2', 'crop_size: 13 mirror: true mean_file: "mean.binaryproto"'
    ),
    "windows_plain": _windows("batch_size: 5 fg_fraction: 0", "crop_size: 9 mean_value: 7 scale: 0.5"),
    "hdf5": _hdf5("one.txt"),
    "hdf5_two": _hdf5("two.txt"),
    "hdf5_shuffled": _hdf5("one.txt", "shuffle: true"),
    "hdf5_two_shuffled": _hdf5("two.txt", "shuffle: true", "TEST"),
}


def make_inputs() -> dict[str, bytes]:
    """Small images in several encodings, and their list."""
    from PIL import Image

    random = np.random.RandomState(2)

    def image(height: int, width: int, channels: int) -> Any:
        y, x = np.mgrid[0:height, 0:width]
        waves = 128 + 80 * np.sin(x / 5 + y / 9)[..., None] * np.array([1, 0.5, -1, 0.7])[:channels]
        return np.clip(waves + random.normal(0, 20, (height, width, channels)), 0, 255).astype(np.uint8).squeeze()

    def encoded(pixels: Any, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    files: dict[str, bytes] = {}
    for i, quality in enumerate((30, 60, 75, 90, 98)):
        for subsampling, name in enumerate(("jpeg_444", "jpeg_422", "jpeg_420")):
            files[f"{name}/{i}"] = encoded(image(21, 27, 3), "JPEG", quality=quality, subsampling=subsampling)
        files[f"progressive/{i}"] = encoded(image(21, 27, 3), "JPEG", quality=quality, progressive=True)
        files[f"grey/{i}"] = encoded(image(21, 27, 1), "JPEG", quality=quality)
        files[f"png/{i}"] = encoded(image(21, 27, 3), "PNG")
        files[f"alpha/{i}"] = encoded(image(21, 27, 4), "PNG")
    lines = []
    for i in range(13):
        name = f"im/a {i}.jpg" if i % 2 else f"im/b{i}.png"
        files[name] = encoded(image(16 + i, 33 - i, 3 if i % 5 else 1), "JPEG" if i % 2 else "PNG")
        lines.append(f"{name} {i * 3}\n")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    files["im/turned.jpg"] = encoded(image(19, 31, 3), "JPEG", exif=exif.tobytes())
    files["list.txt"] = "".join([*lines, "im/turned.jpg 77\n"]).encode()
    files["windows.txt"] = window_file(random).encode()
    return files


def window_file(random: np.random.RandomState) -> str:
    """Windows of the images without a blank in their names: the whole, a pixel, the edges, and some at random."""
    sizes = {f"im/b{i}.png": (16 + i, 33 - i) for i in range(0, 13, 2)}
    sizes["im/turned.jpg"] = (31, 19)  # as its EXIF shows it
    text = ""
    for index, (name, (height, width)) in enumerate(sizes.items()):
        boxes = [(0, 0, width - 1, height - 1), (width - 1, 0, width - 1, 0), (0, height - 5, 6, height - 1)]
        for _ in range(8):
            x, y = np.sort(random.randint(0, width, 2)), np.sort(random.randint(0, height, 2))
            boxes.append((x[0], y[0], x[1], y[1]))
        lines = [f"{random.randint(1, 20)} {random.randint(0, 9) / 8:g} {' '.join(map(str, box))}\n" for box in boxes]
        dimensions = f"3 {height} {width}" if index % 2 else f"3\n{height}\n{width}"  # any white space will do
        text += f"# {index}\n{name}\n{dimensions}\n{len(boxes)}\n" + "".join(lines)
    return text


def lay_out(files: dict[str, bytes]) -> None:
    """Write the files, LMDBs of them, and HDF5 files, into the present folder."""
    import h5py
    import lmdb
    from caffe.proto import caffe_pb2

    databases: dict[str, list[bytes]] = {}
    for name, content in files.items():
        folder = name.split("/")[0]
        if folder in ("im", "list.txt", "windows.txt"):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content)
        else:
            databases.setdefault(folder, []).append(content)
    for folder, contents in databases.items():
        with lmdb.open(folder, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
            for i, content in enumerate(contents):
                datum = caffe_pb2.Datum(data=content, label=7 * i, encoded=True)
                transaction.put(b"%08d" % i, datum.SerializeToString())
    for k, count in enumerate((6, 11)):
        with h5py.File(f"{k}.h5", "w") as file:
            file["data"] = (np.arange(count * 6).reshape(count, 2, 3) + 100 * k).astype(np.float64)
            file["label"] = np.arange(count, dtype=np.int32).reshape(count, 1) + 50 * k
    mean = caffe_pb2.BlobProto(num=1, channels=3, height=17, width=18)
    mean.data.extend(np.arange(3 * 17 * 18) / 4)
    Path("mean.binaryproto").write_bytes(mean.SerializeToString())
    Path("one.txt").write_text("1.h5\n")
    Path("two.txt").write_text("0.h5\n1.h5\n")


def run(caffe: Any, name: str) -> dict[str, Any]:
    """Some forwards of a net in the present folder."""
    Path(f"{name}.prototxt").write_text(NETS[name])
    caffe.set_random_seed(3)
    net = caffe.Net(f"{name}.prototxt", caffe.TRAIN)
    results = {}
    for k in range(FORWARDS):
        net.forward()
        for blob in net.blobs:
            results[f"{name}|{k}|{blob}"] = np.array(net.blobs[blob].data)
    return results


def hdf5_output(caffe: Any) -> dict[str, Any]:
    """What HDF5Output writes."""
    import h5py

    inputs = "".join(
        f'layer {{ name: "{name}" type: "DummyData" top: "{name}" dummy_data_param {{ shape {{ {dims} }} '
        'data_filler { type: "gaussian" std: 1 } } }'
        for name, dims in (("x", "dim: 4 dim: 2 dim: 3 dim: 5"), ("y", "dim: 4 dim: 1"))
    )
    output = 'layer { name: "o" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param { file_name: "out.h5" } }'
    Path("o.prototxt").write_text(inputs + output)
    caffe.set_random_seed(3)
    net = caffe.Net("o.prototxt", caffe.TRAIN)
    net.forward()
    del net
    with h5py.File("out.h5", "r") as file:
        return {f"hdf5_output|{name}": np.array(file[name]) for name in file}


if __name__ == "__main__":
    if len(sys.argv) == 3:  # one net in a process of its own: rand() begins anew
        import caffe

        made = hdf5_output(caffe) if sys.argv[2] == "hdf5_output" else run(caffe, sys.argv[2])
        np.savez(sys.argv[1], **made)
        sys.exit(0)
    inputs = make_inputs()
    if Path(sys.argv[1]).is_file():  # the files stay as they are
        with np.load(sys.argv[1]) as stored:
            old = {key[len("file|") :]: stored[key].tobytes() for key in stored if key.startswith("file|")}
        inputs = {**inputs, **old}
    results = {f"file|{name}": np.frombuffer(content, np.uint8) for name, content in inputs.items()}
    script, out = Path(__file__).resolve(), Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lay_out(inputs)
        for wanted in (*NETS, "hdf5_output"):
            print(wanted, file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-W", "ignore", script, "part.npz", wanted], check=True)
            with np.load("part.npz") as part:
                results.update(part)
        np.savez_compressed(out, **results)
