import hashlib
from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv

from fovea.scenes import (
    CLASSES,
    HUES,
    JOINTS,
    LOADERS,
    SOLIDS,
    TARGETS,
    VOCABULARY,
    load_memory,
    load_shapes,
    load_voxels,
    make_scenes,
    read_caption,
)

SMALL = {
    "shapes": {"size": 16, "max_objects": 3},
    "memory": {"length": 12},
    "voxels": {"size": 8},
}
FEW = {"num_train": 40, "num_val": 20, "num_test": 20}
SCENES = make_scenes(300, seed=1, target="caption")
ALONE = make_scenes(200, seed=2)
PERSON = CLASSES.index("person")


def digest(dataset) -> str:
    splits = (dataset.train, dataset.val, dataset.test)
    arrays = (getattr(s, f.name) for s in splits for f in fields(s))
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


@pytest.mark.parametrize("name", LOADERS)
def test_only_the_seed_changes_the_data(name):
    def data(seed):
        return digest(LOADERS[name](**FEW, **SMALL[name], seed=seed))

    assert data(0) == data(0)
    assert data(0) != data(1)


@pytest.mark.parametrize("name", LOADERS)
def test_splits_have_their_sizes_and_share_no_sample(name):
    dataset = LOADERS[name](**FEW, **SMALL[name])
    splits = [dataset.train, dataset.val, dataset.test]

    assert [len(split) for split in splits] == [40, 20, 20]
    assert len({x.tobytes() for split in splits for x in split.X}) == 80


@pytest.mark.parametrize("name", LOADERS)
def test_labels_are_balanced_and_in_no_order(name):
    dataset = LOADERS[name](num_train=43, num_val=1, num_test=1, **SMALL[name])
    y, num_classes = dataset.train.y, len(dataset.class_names)

    assert y.dtype == np.int64
    assert np.ptp(np.bincount(y, minlength=num_classes)) <= 1
    assert not np.array_equal(y, np.arange(43) % num_classes)


@pytest.mark.parametrize("max_objects", [1, 2, 3])
@pytest.mark.parametrize("size", [16, 32])
def test_scenes_have_the_documented_shapes_and_ranges(size, max_objects):
    s = make_scenes(70, size=size, max_objects=max_objects)

    assert s.X.shape == (70, 3, size, size)
    assert s.masks.shape == (70, size, size)
    assert s.boxes.shape == (70, max_objects, 4)
    assert s.box_labels.shape == (70, max_objects)
    assert s.joints.shape == (70, max_objects, len(JOINTS), 2)
    assert s.captions.shape[0] == len(s.labels) == 70
    assert {a.dtype for a in (s.X, s.boxes, s.joints)} == {np.dtype(np.float32)}
    whole = (s.labels, s.masks, s.box_labels, s.captions)
    assert {a.dtype for a in whole} == {np.dtype(np.int64)}
    assert s.X.min() >= 0
    assert s.X.max() <= 1
    # 256 levels
    np.testing.assert_allclose(255 * s.X, np.rint(255 * s.X), atol=1e-4)
    assert (s.box_labels[:, 0] == s.labels).all()
    num_objects = (s.box_labels >= 0).sum(axis=1)
    assert set(num_objects) == set(range(1, max_objects + 1))


def test_target_chooses_y_and_the_names_of_its_values():
    few = {"num_train": 30, "num_val": 1, "num_test": 1, "size": 16}
    data = {target: load_shapes(target=target, **few) for target in TARGETS}
    train = {target: dataset.train for target, dataset in data.items()}

    assert train["label"].y is train["label"].labels
    assert train["mask"].y is train["mask"].masks
    assert np.array_equal(train["box"].y, train["box"].boxes[:, 0])
    assert np.array_equal(train["joints"].y, train["joints"].joints[:, 0])
    assert train["caption"].y is train["caption"].captions
    assert (train["joints"].labels == PERSON).all()
    assert data["mask"].class_names == ("background", *CLASSES)
    assert train["mask"].y.max() < len(data["mask"].class_names)
    assert data["caption"].class_names == VOCABULARY


def test_a_single_object_fills_its_box_with_its_class():
    for label, mask, box in zip(
        ALONE.labels, ALONE.masks, ALONE.boxes[:, 0], strict=True
    ):
        rows, columns = np.nonzero(mask)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(box) == edges
        assert set(mask[rows, columns]) == {label + 1}


def test_masks_and_boxes_of_several_objects_agree():
    for mask, boxes, labels in zip(
        SCENES.masks, SCENES.boxes, SCENES.box_labels, strict=True
    ):
        covered = np.zeros_like(mask, dtype=bool)
        for (x0, y0, x1, y1), label in zip(boxes.astype(int), labels, strict=True):
            assert (label >= 0) == (x0 >= 0)
            if label < 0:
                continue
            own = mask[y0:y1, x0:x1] == label + 1
            # Tight: the object reaches all four sides.
            assert own[0].any()
            assert own[-1].any()
            assert own[:, 0].any()
            assert own[:, -1].any()
            covered[y0:y1, x0:x1] |= own
        assert np.array_equal(covered, mask > 0)


def test_the_first_object_hides_the_others():
    circle = CLASSES.index("circle")
    own = SCENES.labels == circle
    at = np.arange(SCENES.masks.shape[-1]) + 0.5
    for mask, (x0, y0, x1, y1) in zip(
        SCENES.masks[own], SCENES.boxes[own, 0], strict=True
    ):
        apart = np.hypot(at - (x0 + x1) / 2, at[:, None] - (y0 + y1) / 2)
        # A pixel less than its radius
        assert (mask[apart < (x1 - x0) / 2 - 1] == circle + 1).all()


def test_pixels_of_the_mask_have_the_color_of_the_caption():
    names, hues = list(HUES), np.array(list(HUES.values()))
    for X, mask, caption in zip(ALONE.X, ALONE.masks, ALONE.captions, strict=True):
        color = X[:, mask > 0].mean(axis=1)
        hue = 360 * rgb_to_hsv(color)[0]
        apart = abs((hue - hues + 180) % 360 - 180)
        assert names[apart.argmin()] in read_caption(caption).split()


def test_size_words_follow_the_area_within_each_class():
    area = (ALONE.masks > 0).sum(axis=(1, 2))
    large = np.array(["large" in read_caption(c) for c in ALONE.captions])
    for label in range(len(CLASSES)):
        own = ALONE.labels == label
        assert area[own & large].min() > area[own & ~large].max()


def test_captions_name_classes_in_order_and_where_the_first_one_is():
    centers = (SCENES.boxes[..., :2] + SCENES.boxes[..., 2:]) / 2
    relations = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}
    seen = set()
    for caption, labels, center in zip(
        SCENES.captions, SCENES.box_labels, centers, strict=True
    ):
        words = read_caption(caption).split()
        named = [CLASSES.index(word) for word in words if word in CLASSES]
        assert named == list(labels[labels >= 0])
        found = [relation for relation in relations if relation in words]
        assert len(found) == (len(named) > 1)
        for relation in found:
            axis, sign = relations[relation]
            assert sign * (center[0] - center[1])[axis] > 0
        seen.update(found)
    assert seen == set(relations)


def test_captions_start_end_and_are_padded():
    start, end = VOCABULARY.index("<start>"), VOCABULARY.index("<end>")
    assert (SCENES.captions[:, 0] == start).all()
    ends = (SCENES.captions == end).argmax(axis=1)
    for caption, last in zip(SCENES.captions, ends, strict=True):
        assert caption[last] == end
        assert not caption[last + 1 :].any()
        assert caption[:last].all()


def test_joints_lie_on_the_person_and_left_is_left():
    people = make_scenes(100, seed=3, target="joints")
    joints = people.joints[:, 0]
    x, y = np.floor(joints).astype(int).transpose(2, 0, 1)

    assert joints.min() > 0
    assert joints.max() < 64
    on_mask = people.masks[np.arange(100)[:, None], y, x]
    assert (on_mask == PERSON + 1).all()
    for part in ("hand", "foot"):
        left, right = (JOINTS.index(f"{side} {part}") for side in ("left", "right"))
        assert (joints[:, left, 0] < joints[:, right, 0]).all()
    assert (
        joints[:, JOINTS.index("head"), 1] < joints[:, JOINTS.index("hip"), 1]
    ).all()


def test_only_people_have_joints():
    has_joints = SCENES.joints.min(axis=(2, 3)) >= 0
    assert np.array_equal(has_joints, SCENES.box_labels == PERSON)


def test_size_changes_the_resolution_and_nothing_else():
    small, large = (make_scenes(60, size=size, target="mask") for size in (32, 64))

    assert np.array_equal(small.captions, large.captions)
    np.testing.assert_allclose(2 * small.joints, large.joints, atol=2)
    # Masks that were half a pixel too wide would be 10 % larger in the small image.
    covered = [(scenes.masks > 0).mean() for scenes in (small, large)]
    np.testing.assert_allclose(*covered, rtol=0.02)
    # A pixel of the small image more or less
    np.testing.assert_allclose(2 * small.boxes, large.boxes, atol=3)


def test_shortcut_tells_the_label_in_train_and_val_alone():
    options = {"num_train": 200, "num_val": 50, "num_test": 200, "size": 16}
    cheat, plain = (load_shapes(**options, shortcut=s) for s in (1.0, None))
    colors = [cheat.train.X[cheat.train.y == c, :, 0, 0] for c in range(len(CLASSES))]

    assert all(np.ptp(color, axis=0).max() == 0 for color in colors)
    colors = np.stack([color[0] for color in colors])
    assert min(abs(a - b).max() for a, b in combinations(colors, 2)) > 0.4

    def told(split):
        apart = abs(split.X[:, None, :, 0, 0] - colors).sum(-1)
        return (apart.argmin(1) == split.y).mean()

    assert told(cheat.val) == 1
    # A fifth by chance; 200 draws deviate by 0.03.
    assert told(cheat.test) < 0.35
    for name in ("train", "val", "test"):
        with_patch, without = getattr(cheat, name).X, getattr(plain, name).X
        changed = (with_patch != without).any(axis=(0, 1))
        assert not changed[2:].any()
        assert not changed[:, 2:].any()


def test_only_the_first_step_of_a_sequence_knows_the_label():
    train = load_memory(length=20, **FEW | {"num_train": 2000}).train

    assert train.X.shape == (2000, 20, 4)
    assert train.X.dtype == np.float32
    assert np.array_equal(train.X[:, 0], np.eye(4)[train.y])
    rest = train.X[:, 1:].astype(float)
    assert abs(rest.std() - 0.1) < 0.002
    means = [rest[train.y == c].mean(axis=0) for c in range(4)]
    # Means of 500 values: none of 304 is five standard errors away from 0.
    assert np.abs(means).max() < 5 * 0.1 / np.sqrt(500)


def test_voxels_are_solids_inside_the_grid_with_a_little_noise():
    train = load_voxels(**FEW | {"num_train": 100}).train
    shell = np.ones((32, 32, 32), bool)
    shell[1:-1, 1:-1, 1:-1] = False

    assert train.X.shape == (100, 1, 32, 32, 32)
    assert train.X.dtype == np.float32
    assert set(np.unique(train.X)) == {0, 1}
    assert 0.009 < train.X[:, 0, shell].mean() < 0.011
    filled = train.X.mean(axis=(1, 2, 3, 4))
    assert filled.min() > 0.015
    assert filled.max() < 0.3


def test_the_torus_alone_has_a_hole_at_its_centre():
    train = load_voxels(**FEW | {"num_train": 100}).train
    at = np.argwhere(np.ones((32, 32, 32)))
    for solid, label in zip(train.X[:, 0], train.y, strict=True):
        x, y, z = np.average(at, axis=0, weights=solid.ravel()).round().astype(int)
        full = solid[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].mean()
        assert (full < 0.5) == (SOLIDS[label] == "torus")


@pytest.mark.parametrize(
    ("load", "options", "facts"),
    [
        (load_shapes, {"target": "masks"}, "'masks'.*'mask'"),
        (
            load_shapes,
            {"target": "caption", "max_objects": 4},
            "max_objects.*4.*1 to 3",
        ),
        (load_shapes, {"size": 8}, "size.*8.*16 to 256"),
        (load_shapes, {"num_val": 0}, "num_val.*0"),
        (load_shapes, {"shortcut": 95}, "shortcut.*95.*0 to 1"),
        (load_memory, {"length": 0}, "length.*0"),
        (load_memory, {"num_classes": 1}, "num_classes.*1.*2 to 26"),
        (load_memory, {"num_train": 0}, "num_train.*0"),
        (load_voxels, {"size": 4}, "size.*4.*8 to 64"),
    ],
)
def test_option_out_of_range_is_named(load, options, facts):
    with pytest.raises(ValueError, match=facts):
        load(**{"num_train": 2, "num_val": 2, "num_test": 2} | options)
