"""Topic 09, the exercise that ends it: what a trained network sees in new scenes.

The masks of the new scenes never leave this process.
"""

import functools
import hashlib
import os

import numpy as np
import torch

from fovea.scenes import CLASSES, make_scenes
from grader.checking import Exercise
from grader.checks.promises import promise
from grader.checks.segmentation import runs

NUM_TRAIN, NUM_NEW, SIZE = 2000, 200, 48
# of all classes and the background
NUM_CLASSES = 1 + len(CLASSES)
SHARES = {0.6: 2, 0.75: 2, 0.85: 2}

_held_out: dict[str, np.ndarray] = {}


@functools.lru_cache(maxsize=1)
def _scenes(secret: str, *sizes: int) -> tuple[torch.Tensor, ...]:
    """Scenes and masks to learn from, and others: the same for a whole course."""
    num_train, num_new, size = sizes
    digest = hashlib.sha256(f"segmentation scenes\n{secret}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    pair = [make_scenes(n, rng, target="mask", size=size) for n in (num_train, num_new)]
    return tuple(torch.tensor(part) for split in pair for part in (split.X, split.y))


def _cases(rng):
    """Scenes of the judge's own; classes have new names, as learning won't mind."""
    names = torch.tensor(rng.permutation(NUM_CLASSES))
    secret = os.environ.get("FOVEA_SECRET", "")
    X_train, y_train, X_new, y_new = _scenes(secret, NUM_TRAIN, NUM_NEW, SIZE)
    _held_out.clear()
    _held_out[_name(X_new)] = names[y_new].numpy()
    return [
        {
            "X_train": X_train,
            "masks_train": names[y_train],
            "X_new": X_new,
            "num_classes": NUM_CLASSES,
            "seed": int(rng.integers(1000)),
        }
    ]


def _name(X: torch.Tensor) -> str:
    return hashlib.sha256(X.numpy().tobytes()).hexdigest()


def _masks(X_train, masks_train, X_new, num_classes, seed):
    return {"masks": _held_out[_name(X_new)]}


def mean_iou(seen: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean over the classes, all of which are expected somewhere."""
    pairs = NUM_CLASSES * expected.astype(np.int64) + seen
    counts = np.bincount(pairs.ravel(), minlength=NUM_CLASSES**2)
    counts = counts.reshape(NUM_CLASSES, NUM_CLASSES)
    both = counts.diagonal()
    return float((both / (counts.sum(0) + counts.sum(1) - both)).mean())


def _compare(least: float):
    """Return a comparison that asks for this mean IoU."""

    def compare(key, seen, expected):
        seen = np.asarray(seen)
        if seen.shape == (len(expected), NUM_CLASSES, *expected.shape[1:]):
            return "scores came back for each pixel, where one label is asked for"
        if seen.shape != expected.shape or seen.dtype.kind not in "iu":
            return "what came back is not one integer for each pixel of each new scene"
        if seen.min() < 0 or seen.max() >= NUM_CLASSES:
            return "labels that came back are not between 0 and num_classes - 1"
        value = mean_iou(seen, expected)
        if value >= least:
            return ""
        words = f"the mean IoU of the held-out scenes is {value:.2f}, of {least:g}"
        if value < 0.2:
            words += ": about what one label for all pixels gets. Does the loss fall?"
        return words

    return compare


segment = Exercise(
    name="segment",
    run=runs.run_segment,
    oracle=_masks,
    properties=tuple(
        promise(
            points,
            f"reaches a mean IoU of {least:g} in new scenes",
            _cases,
            "masks",
            compare=_compare(least),
        )
        for least, points in SHARES.items()
    ),
)
