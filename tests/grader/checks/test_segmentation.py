"""The hidden checks of topic 09 refuse what is wrong, by name, and take the rest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fovea.scenes import make_scenes
from grader.checks import segmentation
from grader.checks.segmentation import answers as right
from grader.checks.segmentation import scenes
from tests.grader.checks.cells import Cells
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.topic import Topic

TOPIC = Topic(
    Cells("09_segmentation", "import numpy"),
    trains=("segment",),
    trivial={
        "tensor of zeros": lambda *a: torch.zeros_like(a[0]),
        "clone": lambda *a: a[0].clone() if torch.is_tensor(a[0]) else a[0],
    },
)

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules")


@pytest.mark.slow
def test_two_mistakes_at_once_are_both_named():
    class Net(right.UNet):
        def forward(self, x):
            return super().forward(x).softmax(1)

        def join(self, below, skip):
            size = skip.shape[2:]
            skip = torch.nn.functional.avg_pool2d(skip, 2)
            skip = torch.nn.functional.interpolate(skip, size)
            return super().join(below, skip)

    report = segmentation.unet(Net)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"softmax", "skips taken after pooling"}


def judged(masks_of):
    """The report on what a function of the true masks says, without any training."""
    small = {"NUM_TRAIN": 2, "NUM_NEW": 40, "SIZE": 32}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():
            patch.setattr(scenes, name, value)

        def segment(X_train, masks_train, X_new, num_classes, seed):
            (masks,) = scenes._held_out.values()
            return masks_of(torch.tensor(masks), X_new, num_classes)

        return segmentation.segment(segment)


@pytest.mark.parametrize(
    ("share", "points"), [(0.0, 6), (0.05, 4), (0.15, 2), (0.4, 0)]
)
def test_points_for_masks_follow_the_mean_iou(share, points):
    def with_errors(masks, X_new, num_classes):
        generator = torch.Generator().manual_seed(0)
        wrong = torch.rand(masks.shape, generator=generator) < share
        # so that errors spread over all classes alike
        other = masks[torch.randperm(len(masks), generator=generator)]
        other = torch.where(other == masks, (masks + 1) % num_classes, other)
        return torch.where(wrong, other, masks)

    assert judged(with_errors).score == points


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda masks, X, K: torch.zeros(len(X), K, 32, 32), "scores came back"),
        (lambda masks, X, K: masks.float(), "not one integer"),
        (lambda masks, X, K: masks[0], "not one integer"),
        (lambda masks, X, K: masks + 1, "not between 0 and"),
        (lambda masks, X, K: 0 * masks, "Does the loss fall?"),
        (lambda masks, X, K: None, "not one integer"),
    ],
    ids=["scores", "floats", "one mask", "from 1", "one label", "None"],
)
def test_what_is_no_good_mask_is_told_what_it_is(wrong, words):
    report = judged(wrong)
    assert report.score == 0
    assert words in report.to_markdown()


def test_held_out_masks_stay_with_the_judge(monkeypatch):
    monkeypatch.setattr(scenes, "NUM_TRAIN", 300)
    (case,) = scenes._cases(np.random.default_rng(0))
    (held_out,) = scenes._held_out.values()
    for value in case.values():
        assert not np.array_equal(np.asarray(value), held_out)
    assert case["masks_train"].shape[0] == len(case["X_train"]) == scenes.NUM_TRAIN


def test_classes_have_new_names_in_every_course(monkeypatch):
    monkeypatch.setattr(scenes, "NUM_TRAIN", 30)
    common = []
    for seed in range(4):
        (case,) = scenes._cases(np.random.default_rng(seed))
        common.append(case["masks_train"].flatten().mode().values.item())
    assert len(set(common)) > 1


def test_the_mean_iou_of_the_check_is_that_of_the_contract():
    new = torch.tensor(make_scenes(20, 0, target="mask", size=32).y)
    pred = new.roll(1, dims=2)
    expected = right.mean_iou(pred, new, scenes.NUM_CLASSES)
    assert scenes.mean_iou(pred.numpy(), new.numpy()) == pytest.approx(expected)


@pytest.mark.parametrize("num_levels", [2, 3])
def test_ways_are_found_in_networks_of_any_depth(num_levels):
    class Net(torch.nn.Module):
        def __init__(self, in_channels, num_classes, skips=True, missing=None):
            super().__init__()
            conv = lambda a, b: torch.nn.Conv2d(a, b, 3, padding=1)  # noqa: E731
            self.skips = [skips and i != missing for i in range(num_levels)]
            ins = [in_channels, *num_levels * [4]]
            self.down = torch.nn.ModuleList(conv(n, 4) for n in ins)
            self.up = torch.nn.ModuleList(conv(4 + 4 * s, 4) for s in self.skips)
            self.head = conv(4, num_classes)

        def forward(self, x):
            maps = []
            for i, layer in enumerate(self.down):
                x = layer(torch.nn.functional.max_pool2d(x, 2) if i else x).relu()
                maps.append(x)
            for i in reversed(range(num_levels)):
                x = torch.nn.functional.interpolate(x, maps[i].shape[2:])
                x = torch.cat([x, maps[i]], 1) if self.skips[i] else x
                x = self.up[i](x).relu()
            return self.head(x)

    ways = segmentation.unet.properties[3:6]
    check = replace(segmentation.unet, mistakes=(), properties=ways)
    assert check(Net).findings == ()
    for missing in range(num_levels):
        (finding,) = check(lambda *a, m=missing, **o: Net(*a, missing=m, **o)).findings
        assert "of the levels" in finding.message


def test_nan_for_everything_earns_nothing():
    assert segmentation.mean_iou(lambda *a, **k: float("nan")).score == 0
