"""The exercise that ends several topics: a classifier that names handwritten digits."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fovea.data import load
from grader.checking import Exercise, StudentError
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
    return _Learned(name=name, run=_run, oracle=_right, properties=tuple(properties))


# from so few digits of each class nobody learns the names of so many others
FEW, TOO_MANY = 3, 0.95


@dataclass(frozen=True)
class _Unknowable:
    """Labels that can't be learned from what was shown."""

    labels: np.ndarray


class _Learned(Exercise):
    """The last case is beyond the contract: whatever happens is fine, but for labels
    that were looked up."""

    def _looked_at(self, seen: Any, case: dict[str, Any]) -> Any:
        few = len(case["X_train"]) == 10 * FEW
        return {"labels": None} if few and isinstance(seen, StudentError) else seen


def _cases(rng):
    X, y, X_new, _ = digits_data()
    names = rng.permutation(10)
    seed = int(rng.integers(1000))
    few = np.sort([np.flatnonzero(y == k)[:FEW] for k in range(10)], axis=None)
    return [
        {"X_train": X[some], "y_train": names[y[some]], "X_new": X_new, "seed": seed}
        for some in (slice(None), few)
    ]


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
    true = {image.tobytes(): int(label) for image, label in zip(X, y, strict=True)}
    names = {true[i.tobytes()]: int(n) for i, n in zip(X_train, y_train, strict=True)}
    assert np.array_equal(X_held_out, X_new)
    labels = np.array([names[int(label)] for label in y_held_out])
    return {"labels": labels if len(X_train) == len(X) else _Unknowable(labels)}


def _compare(least: float):
    """Return a comparison that asks for this share of right labels."""

    def compare(key, seen, expected):
        try:
            seen = np.asarray(seen)
        # lists of different lengths
        except ValueError:
            seen = np.empty(0)
        if isinstance(expected, _Unknowable):
            return _looked_up(seen, expected.labels)
        if seen.shape == (len(expected), 10):
            return "ten numbers came back for each digit, where one label is asked for"
        if seen.shape != expected.shape or seen.dtype.kind not in "iu":
            return "what came back is not one integer for each new digit"
        return too_few_right(seen, expected, least, "digits")

    return compare


def _looked_up(seen: np.ndarray, labels: np.ndarray) -> str:
    """Return in words that more is known than can have been learned, or ""."""
    if seen.shape != labels.shape or np.mean(seen == labels) <= TOO_MANY:
        return ""
    return (
        f"{10 * FEW} labelled digits are enough for it to name all others:"
        " where do these labels come from?"
    )


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
