"""The hidden checks of topic 11 refuse what is wrong, by name, and take the rest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from grader.checks import saliency
from grader.checks.saliency import answers as right
from grader.checks.saliency import cases, oracles, shortcuts, view_oracles
from grader.checks.saliency.networks import build_linear, build_quadratic, network
from grader.judge import refer
from tests.grader.checks.cells import Cells
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.topic import Topic

TOPIC = Topic(
    Cells("11_saliency", "import numpy"),
    trains=[],
    trivial={
        "zeros of the last input": lambda *a: torch.zeros_like(torch.as_tensor(a[-1])),
        "the images": lambda *a: next(t for t in a if isinstance(t, torch.Tensor)),
        "one map of zeros": lambda *a: torch.zeros(1, 4, 4),
    },
)

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")

X = torch.tensor([[[[0.5, -2.0, 1.0]], [[3.0, 0.1, -1.0]]]], dtype=torch.float64)
LABEL = torch.tensor([1])


# --- the oracles, against closed forms ---


def test_saliency_of_a_linear_network_is_its_weights():
    model = network(np.random.default_rng(0), build_linear, (2, 1, 3), 3, X.dtype).model
    weights = model[1].weight.detach()[1].reshape(2, 1, 3)
    maps = oracles.saliency_maps(model, X, LABEL)
    assert torch.allclose(maps, weights.abs().amax(dim=0))


def test_integrated_gradients_of_a_quadratic_network_lie_within_the_bounds():
    model = network(
        np.random.default_rng(0), build_quadratic, (2, 1, 3), 3, X.dtype
    ).model
    curve, slope = (p.detach()[1] for p in model.parameters())
    given = {"x": X, "y": LABEL, "baseline": torch.tensor(0.3).double()}
    known = oracles.integrated_gradients(model, [], given, {"steps": 20}, {})["map"]
    way = X - 0.3
    exact = way * (curve * (X + 0.3) / 2 + slope)
    assert ((known.low <= exact) & (exact <= known.high)).all()
    # left and right sums differ by (curve · way) · way / steps
    width = (curve * way**2).abs() / 20
    width = oracles.WIDER * width
    width += 2 * oracles.UNSEEN * width.max()
    assert torch.allclose(known.high - known.low, width)
    (((low, high),), total) = known.totals, exact.sum()
    assert low <= total <= high


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (1.5, 0.4), (-0.3, 2.0)])
def test_moments_of_folded_normals_are_those_of_many_draws(mean, scale):
    means = torch.tensor([mean, 0.2]).view(2, 1, 1)
    scales = torch.tensor([scale, 0.7]).view(2, 1, 1)
    drawn = torch.randn(400_000, 2, generator=torch.Generator().manual_seed(0))
    drawn = (means.flatten() + scales.flatten() * drawn).abs().amax(dim=1)
    first, variance = oracles._folded(means, scales)
    assert first.item() == pytest.approx(drawn.mean().item(), abs=0.01)
    assert variance.item() == pytest.approx(drawn.var().item(), rel=0.02)


# --- randomness ---


@pytest.mark.slow
def test_no_honest_smoothgrad_is_unlucky(monkeypatch):
    check = replace(TOPIC.exercises["smoothgrad"], mistakes=())
    kept = [p for p in check.properties if "level" in p.keys or "spread" in p.keys]
    check = replace(check, properties=tuple(kept))
    for seed in range(12):
        monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
        report = check(right.smoothgrad)
        assert report.findings == (), report.to_markdown()


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_noise_that_is_a_seventh_off_is_refused(factor):
    def smoothgrad(model, x, y, noise=0.1, samples=50, *, rng=None):
        return right.smoothgrad(model, x, y, factor * noise, samples, rng=rng)

    report = TOPIC.scorer("smoothgrad")(smoothgrad)
    assert any("strength" in f.property for f in report.findings)


@pytest.mark.parametrize("more", [1, -1])
def test_another_number_of_copies_is_refused(more):
    def smoothgrad(model, x, y, noise=0.1, samples=50, *, rng=None):
        return right.smoothgrad(model, x, y, noise, max(samples + more, 2), rng=rng)

    report = TOPIC.scorer("smoothgrad")(smoothgrad)
    assert any("as many copies" in f.property for f in report.findings)


# --- ties ---


def test_patches_that_tie_may_come_in_any_order():
    images = torch.arange(8.0).reshape(1, 1, 2, 4)
    given = {"activations": torch.tensor([[[[1.0, 2, 2, 0]]]]), "images": images}
    known = view_oracles.top_patches({**given, "unit": 0}, {"k": 2})["result"]
    columns = images[0, :, :, :, None].permute(2, 0, 1, 3)
    for order, words in (([1, 2], ""), ([2, 1], ""), ([1, 1], "other patches")):
        said = view_oracles.compare_patches("result", columns[order], known)
        assert said.startswith(words)
        assert bool(said) == bool(words)


def test_the_neighbour_of_a_tie_may_be_either_but_not_twice():
    features = torch.tensor([[1.0], [-1.0], [3.0]])
    given = {"features": features, "query": torch.zeros(1)}
    known = view_oracles.nearest_in_feature_space(given, {"k": 2})["result"]
    for indices, good in (([0, 1], True), ([1, 0], True), ([0, 0], False)):
        said = view_oracles.compare_neighbours("result", torch.tensor(indices), known)
        assert (said == "") == good


# --- the shortcut ---


def test_where_the_shortcut_lies_does_not_cross_to_the_student():
    for case in shortcuts.linear(np.random.default_rng(0)):
        assert "place" not in case
        build, arguments, weights, _ = refer(case["model"]).content
        assert set(arguments) == {"shape", "num_classes", "double"}
        assert all("place" not in name for name in weights)


@pytest.mark.parametrize(("off", "good"), [((0, 0), 1), ((2, 0), 1), ((2, 2), 0)])
def test_half_of_the_patch_has_to_be_covered(off, good):
    expected = (5, 3), 4, (16, 16)
    said = shortcuts._compare("place", [5 + off[0], 3 + off[1]], expected)
    assert (said == "") == bool(good)


def test_labels_of_a_batch_differ():
    for seed in range(20):
        assert len(set(cases.labels(np.random.default_rng(seed), 2, 4).tolist())) == 2


def test_the_image_itself_is_no_map_that_knows_its_defaults():
    report = saliency.smoothgrad(lambda model, x, y, **settings: x)
    assert report.score == 0
