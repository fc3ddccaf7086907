"""The exercise that ends several topics: a classifier that names handwritten digits."""

import functools

import numpy as np

from fovea.data import load
from grader.checking import Exercise
from grader.checks.promises import promise


def digits_named(name: str, shares: dict[float, float]) -> Exercise:
    """Return the exercise ``classify(X_train, y_train, X_new, seed) -> labels``, which
    gives points for each share of held-out digits that is named right."""
    properties = (
        promise(
            points,
            f"names {least * 100:.0f} % of new digits right",
            _cases,
            "labels",
            compare=_compare(least),
        )
        for least, points in shares.items()
    )
    return Exercise(name=name, run=_run, oracle=_right, properties=tuple(properties))


def _cases(rng):
    X, y, X_new, _ = digits_data()
    names = rng.permutation(10)
    seed = int(rng.integers(1000))
    return [{"X_train": X, "y_train": names[y], "X_new": X_new, "seed": seed}]


def _run(classify_digits, X_train, y_train, X_new, seed):
    """Train on labelled digits and name new ones."""
    return {"labels": classify_digits(X_train, y_train, X_new, seed)}


@functools.cache
def digits_data():
    """Labelled digits to train on, and digits to name: the same for everybody."""
    data = load("digits")
    X = np.concatenate([data.train.X, data.val.X])
    y = np.concatenate([data.train.y, data.val.y])
    return X, y, data.test.X, data.test.y


def _right(X_train, y_train, X_new, seed):
    """The labels of the new digits, under the names that y_train gives the classes."""
    X, y, X_held_out, y_held_out = digits_data()
    names = {int(true): int(name) for true, name in zip(y, y_train, strict=True)}
    assert np.array_equal(X, X_train)
    assert np.array_equal(X_held_out, X_new)
    return {"labels": np.array([names[int(true)] for true in y_held_out])}


def _compare(least: float):
    """Return a comparison that asks for this share of right labels."""

    def compare(key, seen, expected):
        seen = np.asarray(seen)
        if seen.shape == (len(expected), 10):
            return "ten numbers came back for each digit, where one label is asked for"
        if seen.shape != expected.shape or seen.dtype.kind not in "iu":
            return "what came back is not one integer for each new digit"
        return too_few_right(seen, expected, least, "digits")

    return compare


def too_few_right(
    seen: np.ndarray, expected: np.ndarray, least: float, things: str
) -> str:
    """Return in words that fewer than ``least`` of the labels are right, or ""."""
    share = (seen == expected).mean()
    if share >= least:
        return ""
    words = f"{share:.1%} of the held-out {things} are right, of {least:.0%} asked for"
    if share < 0.2:
        words += ": that is what guessing gets. Does the loss fall below log 10?"
    return words
