"""The course's data sets: ``load(name)`` returns a ``Dataset`` of train, val and test
splits."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Split:
    """Images ``X (N, C, H, W)``, float32 in [0, 1], and their labels ``y (N,)``,
    int64."""

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no sample, and the name of each class."""

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]


def load(name: str) -> Dataset:
    """Return the data set called ``name``; the split is the same every time.

    ``"digits"``: 1,797 handwritten digits of 8×8 pixels, which scikit-learn ships (E.
    Alpaydin and C. Kaynak, 1998); 60 % train, 20 % val, 20 % test, every class in equal
    shares.

    Raises ``ValueError`` if there is no data set of that name.
    """
    if name not in _LOADERS:
        raise ValueError(
            f"no data set is called {name!r}; there are: {', '.join(_LOADERS)}"
        )
    return _LOADERS[name]()


def _digits() -> Dataset:
    raw = load_digits()
    # (N, 1, H, W): one grey channel, the raw range is 0 to 16
    X = (raw.images[:, None] / 16).astype(np.float32)
    y = raw.target.astype(np.int64)
    X_train, X_rest, y_train, y_rest = train_test_split(
        X, y, test_size=0.4, random_state=0, stratify=y
    )
    X_val, X_test, y_val, y_test = train_test_split(
        X_rest, y_rest, test_size=0.5, random_state=0, stratify=y_rest
    )
    return Dataset(
        name="digits",
        train=Split(X_train, y_train),
        val=Split(X_val, y_val),
        test=Split(X_test, y_test),
        class_names=tuple("0123456789"),
    )


_LOADERS = {"digits": _digits}
