import numpy as np
import pytest
from sklearn.datasets import load_digits

from fovea.data import load

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


def test_splits_share_no_sample_and_lose_none():
    rows = [
        (*(16 * x).ravel().astype(int), label)
        for split in SPLITS.values()
        for x, label in zip(split.X, split.y, strict=True)
    ]
    raw = load_digits()
    expected = [
        (*x.ravel().astype(int), label)
        for x, label in zip(raw.images, raw.target, strict=True)
    ]

    # The same rows as the original, each as often: no sample is in two splits.
    assert sorted(rows) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "share"), [("train", 0.6), ("val", 0.2), ("test", 0.2)]
)
def test_every_class_has_its_share(name, share):
    counts = np.bincount(SPLITS[name].y) / np.bincount(load_digits().target)

    # At most one sample of about 180 more or less than the share
    np.testing.assert_allclose(counts, share, atol=0.01)


def test_the_split_is_the_same_every_time():
    assert np.array_equal(load("digits").val.y, DIGITS.val.y)
    assert np.array_equal(load("digits").val.X, DIGITS.val.X)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'digit'.*digits"):
        load("digit")
