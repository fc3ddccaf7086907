"""The course's data sets: ``load(name)`` returns a ``Dataset`` of train, val and test
splits; a ``Split`` goes to a device once and is batched there."""

import difflib
import functools
import gzip
import importlib.util
import inspect
import math
import pickle
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from fovea import downloads
from fovea.downloads import fetch


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images ``X (N, C, H, W)``, float32 in [0, 1], and their labels ``y (N,)``, int64,
    unless the data set says otherwise; NumPy arrays as loaded, tensors after ``to``."""

    X: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        if len(self.X) != len(self.y):
            raise ValueError(f"{len(self.X)} samples in X, but {len(self.y)} in y")

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        arrays = (f"{name} {(*a.shape,)} {a.dtype}" for name, a in vars(self).items())
        return f"{type(self).__name__}({', '.join(arrays)})"

    def to(self, device) -> "Split":
        """Return the split as tensors on ``device``; on the CPU they share memory with
        the arrays."""
        import torch

        return self._map(lambda array: torch.as_tensor(array, device=device))

    def head(self, n: int) -> "Split":
        """Return the first ``n`` samples, or all if there are fewer."""
        check_range("n", n, 1)
        return self._map(lambda array: array[:n])

    def batches(self, batch_size: int, generator=None) -> Iterator[tuple]:
        """Return an iterator of tensors ``(X, y)``, on the split's device; the last may
        be smaller. A ``torch.Generator`` shuffles; without one the order stays.

        Raises ``ValueError`` for an empty split or ``batch_size < 1``.
        """
        import torch

        check_range("batch_size", batch_size, 1)
        if not len(self):
            raise ValueError("the split has no samples, expected at least one")
        X, y = torch.as_tensor(self.X), torch.as_tensor(self.y)
        if generator is None:
            return zip(X.split(batch_size), y.split(batch_size), strict=True)
        order = torch.randperm(len(y), generator=generator, device=generator.device)
        batches = order.to(X.device).split(batch_size)
        # On a CPU this takes a fifth of the time of X[batch].
        return ((X.index_select(0, i), y.index_select(0, i)) for i in batches)

    def _map(self, change: Callable) -> "Split":
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(a) for name, a in arrays.items()})


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits that share no sample, and the name of each class."""

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]

    def to(self, device) -> "Dataset":
        """Return the data set with its splits as tensors on ``device``."""
        splits = {name: getattr(self, name) for name in ("train", "val", "test")}
        return replace(self, **{name: s.to(device) for name, s in splits.items()})


def load(name: str, **options: object) -> Dataset:
    """Return the data set called ``name``; its splits are the same every time.

    - ``"digits"``: 1,797 handwritten digits of 8×8 pixels, which scikit-learn ships (E.
      Alpaydin and C. Kaynak, 1998); 60 % train, 20 % val, 20 % test, every class in
      equal shares.
    - ``"mnist"`` (Y. LeCun et al., 1998), ``"fashion_mnist"`` (H. Xiao et al., 2017):
      grey images of 28×28 pixels; 50,000 train, 10,000 val, 10,000 test.
    - ``"cifar10"`` (A. Krizhevsky, 2009): colour images of 32×32 pixels; 45,000, 5,000
      and 10,000. These three take ``num_train=n``: only the first n of train.
    - ``"nuclei"`` (BBBC038, J. Caicedo et al., 2019): the 334 grey microscope images of
      256×256 pixels among its 670; y ``(N, 256, 256)`` is 0 for background, else the
      number of the nucleus; 70 %, 15 %, 15 %.
    - ``"shakespeare"`` (A. Karpathy, 2015): X ``(N, length)`` int64, indices of
      characters in ``class_names``; y, the next of each; 90 %, 5 %, 5 % of the text.
      Takes ``length=64``.
    - ``"shapes"``, ``"memory"``, ``"voxels"``: generated, see `fovea.scenes`.

    Raises ``ValueError`` for an unknown name or option, ``DataError`` without the file.

    >>> load("digits").train
    Split(X (1078, 1, 8, 8) float32, y (1078,) int64)
    """
    # It needs the classes above.
    from fovea import scenes

    loaders = {**_LOADERS, **scenes.LOADERS}
    check_choice("the data set's name", name, loaders)
    for option in options:
        known = inspect.signature(loaders[name]).parameters
        check_choice(f"an option of {name!r}", option, known)
    return loaders[name](**options)


def is_local(name: str) -> bool:
    """Tell whether ``load(name)`` finds all its files here, and downloads nothing.

    >>> is_local("digits")
    True
    """
    folders = {"nuclei": "nuclei_dsb2018", "shakespeare": "text"}
    return downloads.is_local(folders.get(name, name))


def check_choice(what: str, value: str, known: Iterable[str]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``known``."""
    if value not in (known := list(known)):
        close = difflib.get_close_matches(str(value), known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        expected = f"one of {', '.join(known)}" if known else "none"
        raise ValueError(f"{what} is {value!r}, expected {expected}{hint}")


def check_range(what: str, value: int, low: int, high: float = math.inf) -> None:
    """Raise ``ValueError`` unless ``value`` is an int from ``low`` to ``high``."""
    if not (isinstance(value, (int, np.integer)) and low <= value <= high):
        limits = f"{low} or more" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{what} is {value!r}, expected an int, {limits}")


def _dataset(name, X, y, parts, class_names: Sequence[str], top: int = 255) -> Dataset:
    """Return the samples ``X[part]`` for each part; levels are 0 to ``top``."""
    splits = (Split(X[i] / np.float32(top), y[i].astype(np.int64)) for i in parts)
    return Dataset(name, *splits, class_names=tuple(class_names))


def _digits() -> Dataset:
    rows, order = _digit_files()
    X, y = rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1]
    return _dataset("digits", X, y, np.split(order, [1078, 1437]), "0123456789", top=16)


@functools.cache
def _digit_files() -> tuple[np.ndarray, np.ndarray]:
    # Its file alone: importing scikit-learn costs a second and 85 MB.
    folder = Path(importlib.util.find_spec("sklearn").origin).parent / "datasets/data"
    rows = np.loadtxt(folder / "digits.csv.gz", delimiter=",", dtype=np.uint8)
    # What scikit-learn's train_test_split drew once; grades rest on it.
    return rows, np.load(Path(__file__).with_name("digits_split.npy"))


def _official(name, X, y, num_test, num_val, class_names, num_train) -> Dataset:
    """Return the official test split, and train, whose last ``num_val`` are val."""
    end = len(y) - num_test
    num_train = end - num_val if num_train is None else num_train
    check_range("num_train", num_train, 1, end - num_val)
    parts = slice(num_train), slice(end - num_val, end), slice(end, None)
    return _dataset(name, X, y, parts, class_names)


def _mnist(name: str, class_names: str, num_train: int | None = None) -> Dataset:
    def read(kind: str, header: int) -> np.ndarray:
        files = [fetch(f"{name}/{part}-{kind}-ubyte.gz") for part in ("train", "t10k")]
        raw = [gzip.decompress(file.read_bytes())[header:] for file in files]
        return np.frombuffer(b"".join(raw), np.uint8)

    X, y = read("images-idx3", 16).reshape(-1, 1, 28, 28), read("labels-idx1", 8)
    return _official(name, X, y, 10_000, 10_000, class_names.split(", "), num_train)


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays and plain containers: a pickle could run any code."""

    allowed = {"_reconstruct": np._core.multiarray._reconstruct}
    allowed |= {"ndarray": np.ndarray, "dtype": np.dtype}

    def find_class(self, module: str, name: str) -> object:
        if module.partition(".")[0] != "numpy" or name not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a data file")
        return self.allowed[name]


def _cifar10(num_train: int | None = None) -> Dataset:
    found = {}
    with tarfile.open(fetch("cifar10/cifar-10-python.tar.gz")) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            file_name = PurePosixPath(member.name).name
            if file_name != "readme.html":
                file = archive.extractfile(member)
                found[file_name] = _ArraysOnly(file, encoding="bytes").load()
    batches = [found[f"data_batch_{i}"] for i in range(1, 6)] + [found["test_batch"]]
    X, y = (np.concatenate([b[key] for b in batches]) for key in (b"data", b"labels"))
    num_test = len(batches[-1][b"labels"])
    num_val = (len(y) - num_test) // 10
    class_names = [text.decode() for text in found["batches.meta"][b"label_names"]]
    X = X.reshape(-1, 3, 32, 32)
    return _official("cifar10", X, y, num_test, num_val, class_names, num_train)


def _nuclei() -> Dataset:
    X, y, folders = [], [], defaultdict(list)
    with zipfile.ZipFile(fetch("nuclei_dsb2018/stage1_train.zip")) as archive:
        for path in map(PurePosixPath, sorted(archive.namelist())):
            folders[path.parent].append(path)
        images = [p for p in chain(*folders.values()) if p.match("images/[!.]*.png")]
        for path in sorted(images, key=lambda path: path.name):
            image = _read_png(archive, path, "RGB")
            if image.shape == (256, 256, 3) and (image == image[:, :, :1]).all():
                X.append(image[None, :, :, 0])
                masks = folders[path.parent.with_name("masks")]
                y.append(_read_nuclei(archive, path, masks))
    order = np.random.default_rng(0).permutation(len(X))
    parts = np.split(order, [len(X) * 70 // 100, len(X) * 85 // 100])
    class_names = ("background", "nucleus")
    return _dataset("nuclei", np.stack(X), np.stack(y), parts, class_names)


def _read_nuclei(archive, path: PurePosixPath, masks: list) -> np.ndarray:
    """Return labels ``(256, 256)`` from a mask per nucleus, or else from one file."""
    if not masks:
        return _read_png(archive, path.parent.with_name("labels") / path.name, "L")
    labels = np.zeros((256, 256), np.int64)
    for number, mask in enumerate(masks, start=1):
        labels[_read_png(archive, mask, "L") > 0] = number
    return labels


def _read_png(archive, path: PurePosixPath, mode: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(archive.open(str(path))).convert(mode))


def _shakespeare(length: int = 64) -> Dataset:
    text = fetch("text/tinyshakespeare_input.txt").read_bytes()
    alphabet, ids = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    check_range("length", length, 1, len(ids) // 20 - 1)
    splits = []
    for part in np.split(ids, [len(ids) * 90 // 100, len(ids) * 95 // 100]):
        end = (len(part) - 1) // length * length
        pair = part[:end].astype(np.int64), part[1 : end + 1].astype(np.int64)
        splits.append(Split(*(values.reshape(-1, length) for values in pair)))
    return Dataset("shakespeare", *splits, class_names=tuple(map(chr, alphabet)))


_CLOTHES = (
    "T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot"
)
_LOADERS = {
    "digits": _digits,
    "mnist": partial(_mnist, "mnist", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    "fashion_mnist": partial(_mnist, "fashion_mnist", _CLOTHES),
    "cifar10": _cifar10,
    "nuclei": _nuclei,
    "shakespeare": _shakespeare,
}
