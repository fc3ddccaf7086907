import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fovea import downloads
from fovea.data import Dataset, Split, load

DIGITS = load("digits")
SPLITS = {"train": DIGITS.train, "val": DIGITS.val, "test": DIGITS.test}


@pytest.mark.parametrize("split", list(SPLITS.values()), ids=list(SPLITS))
def test_split_has_the_documented_shapes_and_ranges(split):
    assert split.X.shape == (len(split), 1, 8, 8)
    assert split.X.dtype == np.float32
    assert split.X.min() == 0
    assert split.X.max() == 1
    assert split.y.shape == (len(split),)
    assert split.y.dtype == np.int64
    assert set(split.y) == set(range(len(DIGITS.class_names)))


def test_digits_are_split_as_scikit_learn_does_it():
    raw = load_digits()
    X = (raw.images[:, None] / 16).astype(np.float32)
    X, X_rest, y, y_rest = train_test_split(
        X, raw.target, test_size=0.4, random_state=0, stratify=raw.target
    )
    X_val, X_test, y_val, y_test = train_test_split(
        X_rest, y_rest, test_size=0.5, random_state=0, stratify=y_rest
    )

    expected = [(X, y), (X_val, y_val), (X_test, y_test)]
    for split, (X, y) in zip(SPLITS.values(), expected, strict=True):
        np.testing.assert_array_equal(split.X, X, strict=True)
        np.testing.assert_array_equal(split.y, y, strict=True)


@pytest.mark.parametrize(
    ("name", "share"), [("train", 0.6), ("val", 0.2), ("test", 0.2)]
)
def test_every_class_has_its_share(name, share):
    counts = np.bincount(SPLITS[name].y) / np.bincount(load_digits().target)

    # At most one sample of about 180 more or less than the share
    np.testing.assert_allclose(counts, share, atol=0.01)


def test_digits_load_without_torch_and_scikit_learn():
    code = (
        "from fovea.data import load; load('digits'); import sys; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert not {"torch", "sklearn", "pooch", "PIL"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "options", "facts"),
    [
        ("digit", {}, ["'digit'", "mnist", "did you mean 'digits'"]),
        ("mnist", {"num_trian": 3}, ["'num_trian'", "'mnist'", "mean 'num_train'"]),
        ("digits", {"num_train": 3}, ["'num_train'", "'digits'", "expected none"]),
        (3, {}, ["3", "digits"]),
    ],
)
def test_unknown_name_or_option_lists_the_known_ones(name, options, facts):
    with pytest.raises(ValueError, match="expected") as caught:
        load(name, **options)
    for fact in facts:
        assert fact in str(caught.value)


@pytest.mark.parametrize("name", ["shapes", "memory", "voxels"])
def test_generated_sets_are_loaded_by_name(name):
    assert load(name, num_train=10, num_val=5, num_test=5).name == name


# Splits


def make_split(n=10):
    return Split(np.arange(4.0 * n).reshape(n, 1, 2, 2), np.arange(n))


def test_tensors_share_the_memory_of_the_arrays():
    split = make_split()
    tensors = split.to("cpu")

    tensors.X[0, 0, 0, 0] = 7
    assert split.X[0, 0, 0, 0] == 7
    assert (tensors.X.dtype, tensors.y.dtype) == (torch.float64, torch.int64)
    assert torch.is_tensor(DIGITS.to("cpu").test.y)


def test_head_is_the_first_samples():
    assert make_split().head(3).y.tolist() == [0, 1, 2]
    assert len(make_split().to("cpu").head(30)) == 10
    with pytest.raises(ValueError, match="n is 0, expected an int, 1 or more"):
        make_split().head(0)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("change", [lambda s: s, lambda s: s.to("cpu")])
def test_batches_are_each_sample_once_with_its_label(shuffled, change):
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = list(change(make_split()).batches(4, generator))

    assert [len(y) for _, y in batches] == [4, 4, 2]
    y = torch.cat([y for _, y in batches])
    assert torch.equal(torch.cat([X for X, _ in batches])[:, 0, 0, 0], 4.0 * y)
    assert sorted(y.tolist()) == list(range(10))
    assert (y.tolist() == list(range(10))) != shuffled


def test_generator_decides_the_order():
    def order(seed):
        generator = torch.Generator().manual_seed(seed)
        epochs = [make_split().batches(10, generator) for _ in range(2)]
        return [y.tolist() for epoch in epochs for _, y in epoch]

    assert order(0) == order(0) != order(1)
    assert order(0)[0] != order(0)[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_batches_on_cuda_come_in_the_order_of_the_cpu():
    split = make_split()
    here, there = (
        s.batches(4, torch.Generator().manual_seed(0))
        for s in (split, split.to("cuda"))
    )

    for (X, y), (X_cuda, y_cuda) in zip(here, there, strict=True):
        assert X_cuda.is_cuda
        assert torch.equal(X_cuda.cpu(), X)
        assert torch.equal(y_cuda.cpu(), y)


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        make_split().batches(0)
    with pytest.raises(ValueError, match="no samples"):
        make_split(0).batches(4)
    with pytest.raises(ValueError, match="3 samples in X, but 2 in y"):
        Split(np.zeros((3, 1, 2, 2)), np.zeros(2))


# Files, as the official ones are laid out


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a function that puts a file, as if it were known, into FOVEA_DATA."""
    table = {}
    monkeypatch.setenv("FOVEA_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "_read_table", lambda: table)

    def place(name, content):
        table[name] = {"sha256": hashlib.sha256(content).hexdigest(), "urls": []}
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    return place


def test_gzip_files_of_mnist(place):
    # Image i is of the one level i % 251, its label is i % 10.
    for part, n in (("train", 10_003), ("t10k", 10_000)):
        levels = np.repeat((np.arange(n) % 251).astype(np.uint8), 784)
        images = gzip.compress(bytes(16) + levels.tobytes(), 1)
        labels = gzip.compress(
            bytes(8) + (np.arange(n) % 10).astype(np.uint8).tobytes()
        )
        place(f"mnist/{part}-images-idx3-ubyte.gz", images)
        place(f"mnist/{part}-labels-idx1-ubyte.gz", labels)
    mnist = load("mnist")

    for split, first, n in [(mnist.train, 0, 3), (mnist.val, 3, 10_000)]:
        assert split.X.shape == (n, 1, 28, 28)
        expected = (np.arange(first, first + n) % 251 / 255).astype(np.float32)
        np.testing.assert_array_equal(split.X[:, 0, 27, 0], expected)
        np.testing.assert_array_equal(split.y, np.arange(first, first + n) % 10)
    assert len(mnist.test) == 10_000
    assert mnist.test.y[7] == 7

    few = load("mnist", num_train=2)
    assert (few.train.y.tolist(), len(few.val)) == ([0, 1], 10_000)
    for num_train in (0, 4, 2.0):
        with pytest.raises(ValueError, match=f"num_train is {num_train}.*from 1 to 3"):
            load("mnist", num_train=num_train)


def test_tar_of_cifar10(place):
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(6, 4, 3072), dtype=np.uint8)
    files = {b"readme.html": b"<html>", b"batches.meta": {b"label_names": [b"a", b"b"]}}
    for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        files[name.encode()] = {b"data": pixels[i], b"labels": [i % 2] * 4}
    place("cifar10/cifar-10-python.tar.gz", _tar(files))
    cifar10 = load("cifar10")

    assert (len(cifar10.train), len(cifar10.val), len(cifar10.test)) == (18, 2, 4)
    assert cifar10.class_names == ("a", "b")
    # Red, green, blue, one after the other, row by row
    expected = pixels[1, 2].reshape(3, 32, 32) / np.float32(255)
    np.testing.assert_array_equal(cifar10.train.X[6], expected, strict=True)
    assert cifar10.train.y.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4 + [0] * 2


def test_pickle_that_would_run_code_is_refused(place, capfd):
    class Evil:
        def __reduce__(self):
            return os.system, ("echo evil",)

    place("cifar10/cifar-10-python.tar.gz", _tar({b"data_batch_1": Evil()}))

    with pytest.raises(pickle.UnpicklingError, match="system has no place"):
        load("cifar10")
    assert capfd.readouterr().out == ""


def test_both_layouts_of_the_nuclei_are_read_alike(place):
    rng = np.random.default_rng(0)
    grey = rng.integers(255, size=(10, 256, 256, 1), dtype=np.uint8)
    labels = np.zeros((10, 256, 256), np.uint8)
    labels[:, 10:20, 30:40], labels[:5, 200:, 250:] = 1, 2
    official = {"stage1_train/x/images/x.png": np.zeros((256, 320, 4), np.uint8)}
    # A coloured one, and what macOS leaves in an archive
    official["stage1_train/y/images/y.png"] = grey[:3].reshape(256, 256, 3)
    prepared = {}
    for i in range(10):
        alpha = np.full((256, 256, 1), 255, np.uint8)
        rgba = np.concatenate([grey[i]] * 3 + [alpha], axis=2)
        official[f"stage1_train/im{i}/images/im{i}.png"] = rgba
        for number in range(1, labels[i].max() + 1):
            mask = 255 * (labels[i] == number).astype(np.uint8)
            official[f"stage1_train/im{i}/masks/mask{number}.png"] = mask
        part = "train" if i % 2 else "val"
        prepared[f"{part}/images/im{i}.png"] = grey[i, :, :, 0]
        prepared[f"{part}/labels/im{i}.png"] = labels[i]
    place("nuclei_dsb2018/stage1_train.zip", _zip(official))
    first = load("nuclei")
    place("nuclei_dsb2018/stage1_train.zip", _zip(prepared))
    second = load("nuclei")

    order = np.random.default_rng(0).permutation(10)
    X = grey.transpose(0, 3, 1, 2)[order] / np.float32(255)
    y = labels[order].astype(np.int64)
    for nuclei in (first, second):
        assert nuclei.class_names == ("background", "nucleus")
        assert [len(s) for s in (nuclei.train, nuclei.val, nuclei.test)] == [7, 1, 2]
        np.testing.assert_array_equal(nuclei.train.X, X[:7], strict=True)
        np.testing.assert_array_equal(nuclei.train.y, y[:7], strict=True)
        np.testing.assert_array_equal(nuclei.test.y, y[8:], strict=True)


def test_text_becomes_characters_and_the_next_ones(place):
    text = "To be, or not to be: that is the question.\n" * 100
    place("text/tinyshakespeare_input.txt", text.encode())
    plays = load("shakespeare", length=20)

    def read(ids):
        return "".join(plays.class_names[i] for i in ids.ravel())

    assert plays.class_names == tuple(sorted(set(text)))
    start = 0
    for split, share in [(plays.train, 0.9), (plays.val, 0.05), (plays.test, 0.05)]:
        # The last characters of a part may not fill a sample.
        assert split.X.shape == (int((share * len(text) - 1) // 20), 20)
        assert split.X.dtype == split.y.dtype == np.int64
        assert read(split.X) == text[start : start + split.X.size]
        assert read(split.y) == text[start + 1 : start + 1 + split.y.size]
        start += round(share * len(text))
    with pytest.raises(ValueError, match="length is 0"):
        load("shakespeare", length=0)


def _tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-py")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            if not isinstance(content, bytes):
                content = pickle.dumps(content, protocol=4)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name.decode()}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _zip(images):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__MACOSX/train/images/._x.png", b"Mac OS X")
        for name, pixels in images.items():
            with archive.open(name, "w") as file:
                Image.fromarray(pixels).save(file, "png", compress_level=1)
    return buffer.getvalue()


# The real files, where they are


@pytest.mark.parametrize(
    ("name", "shape", "counts", "first_labels"),
    [
        ("mnist", (1, 28, 28), (50_000, 10_000, 10_000), [5, 0, 4, 1, 9]),
        ("fashion_mnist", (1, 28, 28), (50_000, 10_000, 10_000), [9, 0, 0, 3, 0]),
        ("cifar10", (3, 32, 32), (45_000, 5_000, 10_000), [6, 9, 9, 4, 1]),
    ],
)
def test_real_images(name, shape, counts, first_labels):
    data = _load_real(name)
    if "small" in str(downloads.fetch("cifar10/cifar-10-python.tar.gz")):
        counts = (1_800, 200, 400) if name == "cifar10" else counts

    for split, n in zip((data.train, data.val, data.test), counts, strict=True):
        assert split.X.shape == (n, *shape)
        assert (split.X.min(), split.X.max()) == (0, 1)
        assert set(split.y) == set(range(10))
    assert data.train.y[:5].tolist() == first_labels
    assert len(data.class_names) == 10


def test_real_nuclei():
    nuclei = _load_real("nuclei")
    splits = (nuclei.train, nuclei.val, nuclei.test)

    assert [len(split) for split in splits] == [233, 50, 51]
    X, y = nuclei.val.X, nuclei.val.y
    assert X.shape == (50, 1, 256, 256)
    assert y.shape == (50, 256, 256)
    # Fluorescence: nuclei shine.
    assert X[:, 0][y > 0].mean() > 2 * X[:, 0][y == 0].mean()


def test_real_plays():
    plays = _load_real("shakespeare", length=32)
    text = "".join(plays.class_names[i] for i in plays.train.X[0])

    assert text == "First Citizen:\nBefore we proceed"
    assert len(plays.class_names) == 65


def _load_real(name, **options) -> Dataset:
    if not Path(os.environ.get("FOVEA_DATA", ""), "weights").is_dir():
        pytest.skip("FOVEA_DATA does not name a folder with the real files")
    return load(name, **options)
