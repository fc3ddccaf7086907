"""Topic 11, the check of the search for a shortcut, in networks that have one."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from grader.checking import Exercise, Trusted
from grader.checks.promises import promise
from grader.checks.saliency import runs, shortcut_mistakes
from grader.checks.saliency.networks import build_pixelwise, build_reader, put
from grader.comparing import disagreement

NUM_IMAGES = 20
# how much a pixel of the patch counts, in all
GAIN = 4.0


@dataclass(frozen=True)
class Plan:
    """A square that decides, in images of some shape, and what is there to mislead: a
    decoy that tells the label and doesn't count, pixels, and images."""

    shape: tuple[int, int, int]
    size: int
    place: tuple[int, int]
    decoy: tuple[int, int]
    spikes: int = 0
    misleading: bool = False

    def free_place(self, rng) -> tuple[int, int]:
        """Return the corner of another square, apart from the patch and the decoy."""
        corners = _corners(self.shape, self.size)
        apart = [c for c in corners if _apart(c, self) > self.size]
        return apart[rng.integers(len(apart))]

    def block(self, place) -> tuple[slice, slice]:
        return tuple(slice(start, start + self.size) for start in place)


def _corners(shape, size) -> list[tuple[int, int]]:
    return list(np.ndindex(shape[1] - size + 1, shape[2] - size + 1))


def _distance(a, b) -> int:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))


def _apart(corner, plan: "Plan") -> int:
    return min(_distance(corner, other) for other in (plan.place, plan.decoy))


def _plan(rng, shape, size, place=None, **more) -> Plan:
    """Return a plan with a random place, which is another one when it is transposed."""
    corners = _corners(shape, size)
    places = [c for c in corners if abs(c[0] - c[1]) >= size and _tells(c, shape, size)]
    place = place or places[rng.integers(len(places))]
    decoys = [c for c in corners if _distance(c, place) > size]
    return Plan(shape, size, place, decoys[rng.integers(len(decoys))], **more)


def _tells(place, shape, size) -> bool:
    """Tell whether the place of a flat index, split by the image's width in place of
    the map's, is a wrong answer."""
    _, _, width = shape
    split = divmod(place[0] * (width - size + 1) + place[1], width)
    return 2 * _common(split, place, size) < size**2


def _common(a, b, size) -> int:
    """How many pixels two squares share."""
    i, j = (max(size - abs(int(m) - int(n)), 0) for m, n in zip(a, b, strict=True))
    return i * j


def _colors(channels: int) -> np.ndarray:
    """Return a colour (C,) for each class: black and white, or one for each channel."""
    return np.eye(channels) if channels > 1 else np.array([[0.0], [1.0]])


def _images(rng, plan: Plan, colors, y) -> np.ndarray:
    """Return images of dull ground with two coloured squares; that of the patch tells
    nine labels in ten, the other one all of them."""
    _, H, W = plan.shape
    X = rng.uniform(0, 0.7, (NUM_IMAGES, *plan.shape))
    told = y.copy()
    told[-2:] = (y[-2:] + 1) % len(colors)
    for labels, place in ((y, plan.decoy), (told, plan.place)):
        rows, columns = plan.block(place)
        X[:, :, rows, columns] = colors[labels][:, :, None, None]
    return X


def _weights(rng, plan: Plan, per_class: np.ndarray) -> np.ndarray:
    """Return weights (K, C, H, W): those of the patch, and a tenth as much elsewhere,
    but for single pixels."""
    scale = np.abs(per_class).max()
    weights = 0.1 * scale * rng.uniform(-1, 1, (len(per_class), *plan.shape))
    rows, columns = plan.block(plan.place)
    weights[:, :, rows, columns] = per_class[:, :, None, None]
    # the strongest pixel of the patch is not its corner
    weights[:, :, rows.stop - 1, columns.stop - 1] *= 1.5
    for _ in range(plan.spikes):
        i, j = plan.free_place(rng)
        weights[:, :, i, j] = 2 * scale * rng.choice([-1, 1], weights.shape[:2])
    return weights


def _reader(rng, plan: Plan, colors, X) -> Trusted:
    """A linear network that reads the patch; in the first and last image, also a bright
    square to which it listens more than to the patch."""
    arguments = {"shape": plan.shape, "num_classes": len(colors), "double": False}
    trusted = Trusted(build_reader, **arguments)
    share = (colors - colors.mean(axis=0)) * GAIN / plan.size**2
    usual, bright = _weights(rng, plan, share), np.zeros((len(colors), *plan.shape))
    if plan.misleading:
        rows, columns = plan.block(plan.free_place(rng))
        for n in (0, -1):
            X[n, :, rows, columns] = 1.0
        sign = rng.choice([-1, 1], (*bright.shape[:2], plan.size, plan.size))
        bright[:, :, rows, columns] = 3 * np.abs(share).max() * sign
    put(trusted.model.usual.weight, usual.reshape(len(colors), -1))
    put(trusted.model.usual.bias, rng.normal(size=len(colors)) * 0.1)
    put(trusted.model.bright.weight, bright.reshape(len(colors), -1))
    return trusted


def _pixelwise(rng, plan: Plan, colors, X) -> Trusted:
    """A ConvNet that tells colours apart everywhere, and listens to the patch."""
    num = len(colors)
    arguments = {"shape": plan.shape, "num_classes": num, "double": False}
    trusted = Trusted(build_pixelwise, **arguments)
    conv, norm, linear = (trusted.model[i] for i in (0, 1, 5))
    put(conv.weight, 3 * (colors - colors.mean(axis=0))[:, :, None, None])
    put(conv.bias, np.zeros(num))
    put(norm.running_var, rng.uniform(0.8, 1.2, num))
    _, H, W = plan.shape
    reading = replace(plan, shape=(num, H, W))
    share = (np.eye(num) - 1 / num) * GAIN / plan.size**2
    put(linear.weight, _weights(rng, reading, share).reshape(num, -1))
    put(linear.bias, rng.normal(size=num) * 0.1)
    return trusted


def _case(rng, plan: Plan, make, mode="eval", no_grad=False):
    colors = _colors(plan.shape[0])
    y = rng.permutation(np.arange(NUM_IMAGES) % len(colors))
    X = _images(rng, plan, colors, y)
    trusted = make(rng, plan, colors, X)
    # only weights cross to the student's side, where nobody shall know the place
    trusted.model.place = plan.place
    return {
        "model": trusted,
        "X": torch.tensor(X, dtype=torch.float32),
        "y": torch.tensor(y),
        "size": plan.size,
        "mode": mode,
        "no_grad": no_grad,
    }


def linear(rng):
    shapes = [((3, 16, 16), 4), ((3, 14, 20), 5), ((3, 18, 12), 4)]
    return [_case(rng, _plan(rng, *shape), _reader) for shape in shapes]


def misleading(rng):
    """Single pixels that count more than any of the patch; images that misuse one."""
    return [
        _case(rng, _plan(rng, (3, 16, 18), 5, spikes=2), _reader),
        _case(rng, _plan(rng, (3, 18, 16), 4, misleading=True), _reader),
        _case(rng, _plan(rng, (3, 16, 16), 5, spikes=1, misleading=True), _reader),
    ]


def convolutional(rng):
    """ConvNets; a patch in a corner of the image; one channel."""
    return [
        _case(rng, _plan(rng, (3, 15, 16), 4), _pixelwise),
        _case(rng, _plan(rng, (3, 16, 13), 4, place=(12, 0)), _pixelwise),
        _case(rng, _plan(rng, (1, 16, 17), 5), _reader),
    ]


def watched(rng):
    return [
        _case(rng, _plan(rng, (3, 14, 14), 4), _pixelwise, mode="train"),
        _case(rng, _plan(rng, (3, 12, 15), 4), _reader, no_grad=True),
    ]


def _oracle(model, X, y, size, mode, no_grad):
    return {"place": (model.place, size, X.shape[2:]), "changed": []}


def _compare(key, seen, expected):
    """Return in words how a block misses the patch, or an empty text."""
    if key == "changed":
        names = ", ".join(f"`{name}`" for name in seen)
        return f"your code changes what it was given: {names}" if seen else ""
    place, size, shape = expected
    if words := disagreement(key, [0 * number for number in seen], [0, 0]):
        return words
    found = [np.asarray(number) for number in seen]
    if any(number.dtype.kind not in "iu" for number in found):
        return "row and column are not two ints"
    if any(n < 0 or n + size > side for n, side in zip(found, shape, strict=True)):
        return "the block is not wholly inside the image"
    if 2 * _common(found, place, size) >= size**2:
        return ""
    return "the block that was found covers less than half of the patch"


def _promise(points, name, cases, *more):
    return promise(points, name, cases, "place", *more, compare=_compare)


find_shortcut = Exercise(
    name="find_shortcut",
    run=runs.run_find_shortcut,
    oracle=_oracle,
    properties=(
        _promise(2, "finds the patch that a linear network reads", linear),
        _promise(1, "is misled by no pixel and no image alone", misleading),
        _promise(1, "finds it in ConvNets, and in any corner", convolutional),
        _promise(
            1,
            "works in any mode and inside torch.no_grad(), and leaves all as it was",
            watched,
            "changed",
        ),
    ),
    mistakes=shortcut_mistakes.find_shortcut,
)
