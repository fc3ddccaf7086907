"""Generated data: scenes of shapes, sequences with a long memory, shapes in voxels.

The same seed gives the same data. Points are in pixels, x to the right and y down from
the upper left corner of the image: the pixel in row i and column j covers x from j to
j + 1 and y from i to i + 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fovea.data import Dataset, Split, check_choice, check_range

CLASSES = ("circle", "square", "triangle", "star", "person")
# Degrees on the colour circle
HUES = {"red": 0, "orange": 30, "yellow": 58, "green": 120, "blue": 220, "purple": 285}
JOINTS = ("head", "neck", "hip", "left hand", "right hand", "left foot", "right foot")
# Pairs of joints that a limb connects
LIMBS = ((0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (2, 6))
RELATIONS = ("left of", "right of", "above", "below")
VOCABULARY = (
    *("<pad>", "<start>", "<end>", "a", "and", "small", "large", *HUES, *CLASSES),
    *("left", "right", "of", "above", "below"),
)
TARGETS = ("label", "mask", "box", "joints", "caption")
SOLIDS = ("box", "sphere", "cylinder", "cone", "torus")

PERSON = CLASSES.index("person")
# Drawn as stars: tips, their distance from the centre, that of the notches between them
STARS = ((48, 0.75, 0.75), (4, 0.9, 0.636), (3, 1, 0.5), (5, 1, 0.48), (5, 1, 0.48))
# Of one object, all lengths in units of the image's side
OBJECT = np.dtype(
    [("label", "i8"), ("color", "i8"), ("radius", "f4"), ("angle", "f4")]
    + [("center", "f4", 2), ("joints", "f4", (len(JOINTS), 2))]
)


@dataclass(frozen=True, eq=False, repr=False)
class Scenes(Split):
    """Images ``X (N, 3, H, W)``, the target ``y``, and all that is known about them.

    A scene has 1 to K objects: the first is the largest and in front, then they get
    smaller. What it doesn't have is -1, and so are joints of what isn't a person.

    - ``labels (N,)`` int64: the first object's class
    - ``masks (N, H, W)`` int64: 0 for background, else 1 + the class seen in the pixel
    - ``boxes (N, K, 4)`` float32: x0, y0, x1, y1 around the pixels that are seen of it
    - ``box_labels (N, K)`` int64: the class of each object
    - ``joints (N, K, 7, 2)`` float32: x, y of ``JOINTS``, left being left in the image
    - ``captions (N, T)`` int64: indices of words in ``VOCABULARY``
    """

    labels: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    box_labels: np.ndarray
    joints: np.ndarray
    captions: np.ndarray


def make_scenes(
    num_scenes: int,
    seed: int | Sequence[int] | np.random.Generator = 0,
    *,
    target: str = "label",
    size: int = 64,
    max_objects: int | None = None,
) -> Scenes:
    """Return scenes of 1 to ``max_objects`` objects on a textured ground, as images of
    ``size × size`` pixels in 256 levels from 0 to 1.

    ``y`` is what ``target`` says of the first object: label ``(N,)``, box ``(N, 4)`` or
    joints ``(N, 7, 2)``, for which it is always a person; or of all: mask
    ``(N, H, W)``, caption ``(N, T)``. ``max_objects`` is at most 3; left out, it is 3
    where ``y`` is of all and 1 elsewhere. Raises ``ValueError`` for other options.
    """
    if max_objects is None:
        max_objects = 3 if target in ("mask", "caption") else 1
    check_choice("target", target, TARGETS)
    check_range("num_scenes", num_scenes, 1)
    check_range("size", size, 16, 256)
    check_range("max_objects", max_objects, 1, 3)
    rng = np.random.default_rng(seed)
    objects = _place(rng, num_scenes, max_objects, person_first=target == "joints")
    # Blocks fit into the processor's cache.
    blocks = [_draw(rng, objects[i : i + 64], size) for i in range(0, num_scenes, 64)]
    X, masks, boxes = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    box_labels, captions = objects["label"].copy(), _captions(objects)
    labels = box_labels[:, 0].copy()
    person = (box_labels == PERSON)[..., None, None]
    joints = np.where(person, objects["joints"] * size, np.float32(-1))
    targets = (labels, masks, boxes[:, 0], joints[:, 0], captions)
    y = targets[TARGETS.index(target)]
    return Scenes(X, y, labels, masks, boxes, box_labels, joints, captions)


def read_caption(tokens: Sequence[int]) -> str:
    """Return a caption's words, without ``<start>`` and up to ``<end>``.

    >>> read_caption([1, 3, 6, 11, 13, 2, 0, 0])
    'a large blue circle'
    """
    words = [VOCABULARY[token] for token in tokens if token > 1]
    return " ".join(words[: words.index("<end>")] if "<end>" in words else words)


def _place(rng, n: int, num: int, person_first: bool) -> np.ndarray:
    """Return objects ``(n, num)`` of type ``OBJECT``."""
    objects = np.zeros((n, num), OBJECT)
    objects["label"] = rng.integers(len(CLASSES), size=(n, num))
    objects["label"][:, 0] = PERSON if person_first else _balanced(rng, n, CLASSES)
    objects["color"] = rng.integers(len(HUES), size=(n, num))
    objects["angle"] = rng.uniform(-np.pi, np.pi, (n, num))
    # People stand, more or less.
    objects["angle"][objects["label"] == PERSON] /= 7
    limits = np.array([(0.18, 0.20), (0.25, 0.32)])[rng.integers(2, size=n)]
    shrink = (1, 0.8, 0.62)[:num] - rng.uniform(0, 0.05, (n, num))
    radius = rng.uniform(*limits.T)[:, None] * shrink
    # Nothing lies between small and large, so the words never depend on taste.
    objects["radius"] = np.where((radius > 0.2) & (radius < 0.225), 0.2, radius)
    for k in range(num):
        objects["center"][:, k] = _find_room(rng, objects[:, k], objects[:, :k])
    objects["joints"] = _pose(rng, objects)
    objects["label"][np.arange(num) >= rng.integers(1, num + 1, (n, 1))] = -1
    return objects


def _balanced(rng, n: int, classes: Sequence[str]) -> np.ndarray:
    return rng.permutation(np.arange(n) % len(classes))


def _find_room(rng, one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a centre ``(n, 2)``: of 32 places the first that is far enough from the
    other objects, and from the first two diagonals through the first one."""
    radius = one["radius"][:, None, None]
    places = rng.uniform(radius, 1 - radius, (len(one), 32, 2))
    offset = abs(places[:, :, None] - others["center"][:, None])
    apart = np.hypot(offset[..., 0], offset[..., 1])
    overlap = 0.8 * (radius + others["radius"][:, None]) - apart
    diagonal = 0.08 - abs(offset[..., :1, 0] - offset[..., :1, 1])
    room = -overlap.clip(0).sum(-1) - diagonal.clip(0).sum(-1)
    return places[np.arange(len(one)), room.argmax(1)]


def _pose(rng, objects: np.ndarray) -> np.ndarray:
    """Return the joints ``(n, num, 7, 2)`` of a person in each object's place."""
    # Limbs hang down at 0 and point up at π.
    low, high = (0.5, 0.5, 0.15, 0.15), (2.5, 2.5, 0.85, 0.85)
    swing = rng.uniform(low, high, (*objects.shape, 4))
    points = np.zeros((*objects.shape, len(JOINTS), 2))
    points[..., :3, 1] = -0.66, -0.35, 0.18
    points[..., 3:, 0] = (-0.56, 0.56, -0.66, 0.66) * np.sin(swing)
    points[..., 3:, 1] = (0.56, 0.56, 0.66, 0.66) * np.cos(swing)
    points[..., 3:, 1] += (-0.35, -0.35, 0.18, 0.18)
    cos, sin = np.cos(objects["angle"]), np.sin(objects["angle"])
    turn = np.stack([cos, sin, -sin, cos], axis=-1).reshape(*objects.shape, 2, 2)
    radius = objects["radius"][..., None, None]
    return objects["center"][..., None, :] + radius * (points @ turn)


def _draw(rng, objects: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Return the images, masks and boxes of a block of scenes."""
    n, num = objects.shape
    image = _background(rng, n, size)
    front = np.full((n, size, size), num)
    hue = np.array(list(HUES.values()))[objects["color"]] + rng.uniform(-8, 8, (n, num))
    color = _rgb(hue, *rng.uniform([[[0.7]], [[0.65]]], 1, (2, n, num)))
    for k in reversed(range(num)):
        # Edges are a pixel wide: what share of it is inside
        inside = (0.5 - _distance(objects[:, k], size)).clip(0, 1)
        inside[objects["label"][:, k] < 0] = 0
        image += inside[:, None] * (color[:, k, :, None, None] - image)
        front[inside > 0.5] = k
    image *= _light(rng, n, size)
    sigma = rng.uniform(0.01, 0.04, (n, 1, 1, 1)).astype(np.float32)
    image += sigma * rng.standard_normal(image.shape, dtype=np.float32)
    classes = np.pad(objects["label"] + 1, ((0, 0), (0, 1)))
    masks = classes[np.arange(n)[:, None, None], front]
    boxes = np.stack([_boxes(front == k) for k in range(num)], axis=1)
    return np.rint(255 * image.clip(0, 1)) / np.float32(255), masks, boxes


def _distance(objects: np.ndarray, size: int) -> np.ndarray:
    """Return how many pixels each pixel ``(n, H, W)`` is away from the object's edge,
    less than 0 inside."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    pixels = np.stack(np.meshgrid(at, at))
    x, y = (pixels - objects["center"][..., None, None]).swapaxes(0, 1)
    tips, tip, notch = np.float32(STARS)[objects["label"]].T[..., None, None]
    radius = objects["radius"][:, None, None]
    # Mirrored at tips and notches, the whole edge is one line between two of them.
    half = np.float32(np.pi) / tips
    phi = np.arctan2(y, x) - objects["angle"][:, None, None]
    phi, rho = abs((phi + half) % (2 * half) - half), np.hypot(x, y) / radius
    dx, dy = notch * np.cos(half) - tip, notch * np.sin(half)
    distance = (rho * np.cos(phi) - tip) * dy - rho * np.sin(phi) * dx
    distance *= radius / np.hypot(dx, dy)
    person = objects["label"] == PERSON
    joints = objects["joints"][person].swapaxes(0, 1)[..., None, None]
    limbs = [_from_line(pixels, joints[a], joints[b]) for a, b in LIMBS]
    limbs = np.min(limbs, axis=0) - 0.13 * radius[person]
    head = _from_line(pixels, joints[0], joints[0]) - 0.28 * radius[person]
    distance[person] = np.minimum(limbs, head)
    return distance * size


def _from_line(pixels: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how far pixels ``(2, H, W)`` are from lines between points ``(n, 2)``."""
    line, offset = end - start, pixels - start
    length = (line**2).sum(1, keepdims=True).clip(1e-9)
    share = ((offset * line).sum(1, keepdims=True) / length).clip(0, 1)
    x, y = (offset - share * line).swapaxes(0, 1)
    return np.hypot(x, y)


def _background(rng, n: int, size: int) -> np.ndarray:
    """Return images ``(n, 3, H, W)``: two colours, mixed by noise and stripes."""
    at = np.linspace(0, 1, size, dtype=np.float32)
    mix = np.full((n, size, size), np.float32(0.5))
    for cells in (3, 7, 17):
        # Linear interpolation of a coarse grid
        weights = (1 - abs(at[:, None] * (cells - 1) - np.arange(cells))).clip(0)
        grid = rng.uniform(-0.5, 0.5, (n, cells, cells)) * rng.random((n, 1, 1))
        mix += (weights @ grid @ weights.T).astype(np.float32)
    angle, waves, phase, strength = rng.random((4, n, 1, 1), dtype=np.float32)
    along = np.cos(np.pi * angle) * at + np.sin(np.pi * angle) * at[:, None]
    stripes = np.sin(2 * np.pi * ((3 + 9 * waves) * along + phase))
    mix += 0.6 * (strength - 0.4).clip(0) * stripes
    hue = rng.uniform(0, 360, (n, 1)) + rng.uniform(-60, 60, (n, 2))
    color = _rgb(hue, rng.uniform(0.1, 0.6, (n, 2)), rng.uniform(0.25, 0.85, (n, 2)))
    first, second = color.swapaxes(0, 1)[..., None, None]
    return first + mix.clip(0, 1)[:, None] * (second - first)


def _rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return colours ``(..., 3)`` in [0, 1]."""
    sector = (np.array([5, 3, 1]) + hue[..., None] / 60) % 6
    dip = np.minimum(sector, 4 - sector).clip(0, 1)
    rgb = value[..., None] * (1 - saturation[..., None] * dip)
    return rgb.astype(np.float32)


def _light(rng, n: int, size: int) -> np.ndarray:
    """Return factors ``(n, 1, H, W)`` that fall off to one side."""
    at = np.linspace(0, 1, size, dtype=np.float32)
    x, y = rng.uniform(-0.4, 0.4, (2, n, 1, 1, 1)).astype(np.float32)
    # 1 in the brightest corner
    return 1 + x * at + y * at[:, None] - x.clip(0) - y.clip(0)


def _boxes(seen: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 ``(n, 4)`` of pixels ``(n, H, W)``, or -1 of none."""
    sides = seen.any(axis=1), seen.any(axis=2)
    low = [side.argmax(1) for side in sides]
    high = [side.shape[1] - side[:, ::-1].argmax(1) for side in sides]
    boxes = np.stack([*low, *high], axis=1).astype(np.float32)
    return np.where(seen.any(axis=(1, 2))[:, None], boxes, np.float32(-1))


def _captions(objects: np.ndarray) -> np.ndarray:
    # 4 words each, "left of", "and", <start> and <end>
    length = (6, 12, 17)[objects.shape[1] - 1]
    texts = (f"<start> {_sentence(scene)} <end>".split() for scene in objects)
    padded = (text + ["<pad>"] * (length - len(text)) for text in texts)
    return np.array([[VOCABULARY.index(word) for word in text] for text in padded])


def _sentence(scene: np.ndarray) -> str:
    names = [
        f"a {'large' if one['radius'] > 0.21 else 'small'} {list(HUES)[one['color']]} "
        + CLASSES[one["label"]]
        for one in scene[scene["label"] >= 0]
    ]
    if len(names) > 1:
        dx, dy = scene["center"][0] - scene["center"][1]
        relation = RELATIONS[int(dx > 0 if abs(dx) > abs(dy) else 2 + (dy > 0))]
        names[:2] = [f"{names[0]} {relation} {names[1]}"]
    return " and ".join(names)


def load_shapes(
    *,
    target: str = "label",
    num_train: int = 2000,
    num_val: int = 500,
    num_test: int = 500,
    size: int = 64,
    max_objects: int | None = None,
    shortcut: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Return scenes, see `make_scenes`.

    A shortcut paints a patch into the upper left corner of every image. In this share
    of the train and val images its colour tells the label; in the others, and in all of
    test, it is drawn by lot. Nothing but ``X`` knows of the patch.
    """
    if shortcut is not None and not 0 <= shortcut <= 1:
        raise ValueError(f"shortcut is {shortcut!r}, expected None or 0 to 1")

    def make(num: int, rng, split: str) -> Scenes:
        options = {"target": target, "size": size, "max_objects": max_objects}
        scenes = make_scenes(num, rng, **options)
        if shortcut is not None:
            _plant(rng, scenes, shortcut if split != "test" else 0)
        return scenes

    names = {"mask": ("background", *CLASSES), "joints": JOINTS, "caption": VOCABULARY}
    class_names = names.get(target, CLASSES)
    return _dataset("shapes", make, (num_train, num_val, num_test), class_names, seed)


def _plant(rng, scenes: Scenes, share: float) -> None:
    lot = rng.integers(len(CLASSES), size=len(scenes))
    told = np.where(rng.random(len(scenes)) < share, scenes.labels, lot)
    hue, ones = np.array(list(HUES.values()))[told], np.ones(len(told))
    width = scenes.X.shape[-1] // 8
    scenes.X[:, :, :width, :width] = _rgb(hue, ones, ones)[..., None, None]


def load_memory(
    *,
    length: int = 100,
    num_classes: int = 4,
    num_train: int = 2000,
    num_val: int = 500,
    num_test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Return sequences ``X (N, length, num_classes)``, float32: the label ``y (N,)``,
    one-hot, in the first step, then nothing but normal noise of deviation 0.1.

    An LSTM learns to keep it for 100 steps if its forget gate starts open, with a bias
    of 5.
    """
    check_range("length", length, 1)
    check_range("num_classes", num_classes, 2, 26)
    names = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:num_classes])

    def make(num: int, rng, split: str) -> Split:
        y = _balanced(rng, num, names)
        X = rng.normal(0, 0.1, (num, length, num_classes)).astype(np.float32)
        X[:, 0] = np.eye(num_classes)[y]
        return Split(X, y)

    return _dataset("memory", make, (num_train, num_val, num_test), names, seed)


def load_voxels(
    *,
    num_train: int = 1000,
    num_val: int = 250,
    num_test: int = 250,
    size: int = 32,
    seed: int = 0,
) -> Dataset:
    """Return solids ``X (N, 1, size, size, size)``, float32: 1 inside and 0 outside,
    but for 1 % of the voxels; turned, shifted, scaled, and stretched by chance."""
    check_range("size", size, 8, 64)

    def make(num: int, rng, split: str) -> Split:
        labels = _balanced(rng, num, SOLIDS)
        X = np.stack([_solid(rng, SOLIDS[label], size) for label in labels])
        return Split(X[:, None], labels)

    return _dataset("voxels", make, (num_train, num_val, num_test), SOLIDS, seed)


def _solid(rng, name: str, size: int) -> np.ndarray:
    at = (np.arange(size) + 0.5) / (size / 2) - 1
    grid = np.stack(np.meshgrid(at, at, at)).reshape(3, -1)
    # Three directions at right angles
    a, b = rng.standard_normal((2, 3))
    c = np.cross(a, b)
    turn = np.stack([v / np.linalg.norm(v) for v in (a, c, np.cross(c, a))])
    scale = rng.uniform(0.45, 0.6) * rng.uniform(0.9, 1.1, (3, 1))
    x, y, z = turn @ (grid - rng.uniform(-0.25, 0.25, (3, 1))) / scale
    rho = np.hypot(x, y)
    inside = {
        "box": np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 0.65,
        "sphere": np.hypot(rho, z) < 0.85,
        "cylinder": np.maximum(rho / 0.55, abs(z) / 0.95) < 1,
        "cone": np.maximum(rho - 0.6 * (0.9 - z), -0.6 - z) < 0,
        "torus": np.hypot(rho - 0.75, z) < 0.33,
    }[name]
    flipped = inside ^ (rng.random(inside.shape) < 0.01)
    return flipped.reshape(size, size, size).astype(np.float32)


def _dataset(name, make: Callable, nums, class_names, seed: int) -> Dataset:
    """Return what ``make(num, rng, split)`` makes; no two splits share a generator."""
    splits = []
    for i, split in enumerate(("train", "val", "test")):
        check_range(f"num_{split}", nums[i], 1)
        splits.append(make(nums[i], np.random.default_rng([seed, i]), split))
    return Dataset(name, *splits, class_names=class_names)


LOADERS: dict[str, Callable[..., Dataset]] = {
    "shapes": load_shapes,
    "memory": load_memory,
    "voxels": load_voxels,
}
