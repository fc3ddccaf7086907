"""The hidden checks of topic 12 refuse what is wrong, by name, and take the rest."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grader.checks import adversarial
from grader.checks.adversarial import answers as right
from grader.checks.adversarial import attacks, models, oracles
from grader.checks.adversarial.comparisons import compare_draws, compare_starts
from grader.checks.digits import digits_data
from tests.grader.checks.cells import Cells
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.topic import Topic

TOPIC = Topic(
    Cells("12_adversarial", "import torch", "def make_net"),
    trains=("robust_digits",),
)


@pytest.mark.slow
def test_two_mistakes_at_once_are_both_named():
    def pgd(model, x, y, epsilon, alpha, steps, *, rng=None):
        model.eval()
        return right.pgd(model, x, y, epsilon, alpha, steps)

    report = TOPIC.namer("pgd")(pgd)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"rng ignored", "left in eval mode"}, report.to_markdown()


def test_who_breaks_the_rules_of_the_house_keeps_the_points_for_values():
    """A gradient that pollutes, on a graph, in a mode that stays: four properties."""

    def fgsm(model, x, y, epsilon, targeted=False):
        model.eval()
        image = x.detach().clone().requires_grad_()
        F.cross_entropy(model(image), y).backward()
        step = -epsilon if targeted else epsilon
        return (image + step * image.grad.sign()).clamp(0, 1)

    report = replace(adversarial.fgsm, mistakes=())(fgsm)
    assert report.score == 5.5, report.to_markdown()


# --- the oracle ---


def test_the_judges_attack_reaches_the_worst_corner_of_a_linear_model():
    rng = np.random.default_rng(0)
    trusted = models.made(rng, "linear", (1, 4, 5), 2)
    x = torch.tensor(rng.uniform(-0.3, 1.3, (6, 1, 4, 5)).clip(0, 1))
    y = torch.tensor([0, 1, 0, 1, 1, 0])
    W = trusted.model[1].weight.detach().view(2, 1, 4, 5)
    worst = (x + 0.2 * (W[1 - y] - W[y]).sign()).clamp(0, 1)
    assert torch.allclose(oracles.walk(trusted.model, x, y, 0.2, 0.07, 3).end, worst)
    start = (x - 0.1).clamp(0, 1)
    end = oracles.walk(trusted.model, x, y, 0.2, 0.07, 6, start).end
    assert torch.allclose(end, worst)


def test_the_judges_loss_gradient_is_that_of_a_linear_model_in_closed_form():
    rng = np.random.default_rng(1)
    trusted = models.made(rng, "linear", (1, 2, 3), 4)
    x, y = torch.tensor(rng.random((5, 1, 2, 3))), torch.tensor([0, 1, 2, 3, 0])
    with torch.no_grad():
        surplus = trusted.model(x).softmax(1) - F.one_hot(y, 4)
        expected = (surplus @ trusted.model[1].weight).view_as(x)
    assert torch.allclose(oracles.loss_gradient(trusted.model, x, y), expected)


def test_a_way_to_another_class_ends_where_it_arrives():
    rng = np.random.default_rng(2)
    trusted = models.made(rng, "tanh", (1, 4, 3), 4)
    for target in range(4):
        way, _ = oracles.fooled(trusted.model, torch.rand(1, 1, 4, 3), target)
        lengths = [float((b - a).norm()) for a, b in zip(way, way[1:], strict=False)]
        assert np.allclose(lengths, 1)
        named = [int(trusted.model(image).argmax()) for image in way]
        assert target not in named[:-1]
        assert named[-1] == target or len(way) == 101


# --- random starts ---

X = torch.full((5, 1, 9, 9), 0.5).double()
KNOWN = {"x": X, "epsilon": 0.2}
NOT_STARTS = {
    "number": 3,
    "numbers": [1, 2, 3, 4],
    "texts": ["a"] * 7,
    "None": None,
    "dict": {"starts": [X]},
    "other shape": [X[:1]] * 7,
    "float32": [X.float()] * 7,
    "nan": [X * np.nan] * 7,
}


@pytest.mark.parametrize("seen", NOT_STARTS.values(), ids=NOT_STARTS)
def test_whatever_comes_back_for_starts_is_answered_in_words(seen):
    assert compare_starts("starts", seen, KNOWN)
    assert compare_draws("draws", seen, KNOWN)


@pytest.mark.slow
def test_uniform_starts_are_taken_whatever_the_seed():
    for seed in range(200):
        rng = torch.Generator().manual_seed(seed)
        noise = torch.rand(4, *X.shape, generator=rng).double()
        assert compare_starts("starts", list(X + 0.4 * noise - 0.2), KNOWN) == ""


# --- the network that the judge attacks ---


def train(attack, num_epochs=10):
    """Train a network of the notebook on the digits; ``attack`` changes the images."""
    X, y, _, _ = digits_data()
    X, y = torch.tensor(X), torch.tensor(y)
    torch.manual_seed(0)
    net = attacks.make_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(num_epochs):
        for batch in torch.randperm(len(X)).split(64):
            loss = F.cross_entropy(net(attack(net, X[batch], y[batch])), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


def judged(net):
    state = {n: w.detach().numpy() for n, w in net.state_dict().items()}
    return attacks.robustness(state, np.arange(10))


@pytest.fixture(scope="module")
def plain_net():
    return train(lambda net, x, y: x)


@pytest.fixture
def loud_net(plain_net):
    """Its scores are so large that the gradient of its loss is 0."""
    net = attacks.make_net()
    net.load_state_dict(plain_net.state_dict())
    with torch.no_grad():
        for parameter in net[-1].parameters():
            parameter *= 1e6
    return net


def hands_in(net):
    """A stand-in that knows the names of the classes, and the network for them."""

    def train_robust(X_train, y_train, seed):
        X, y, _, _ = digits_data()
        names = [int(y_train[y == k][0]) for k in range(10)]
        with torch.no_grad():
            named = attacks.make_net()
            named.load_state_dict(net.state_dict())
            named[-1].weight[names] = net[-1].weight
            named[-1].bias[names] = net[-1].bias
        return named

    return train_robust


def test_the_network_of_the_notebook_is_the_judges():
    ours, theirs = attacks.make_net(), TOPIC.solved["make_net"]()
    assert repr(ours) == repr(theirs)
    theirs.load_state_dict(ours.state_dict())


def test_a_network_trained_as_usual_gets_the_points_for_clean_digits(plain_net):
    report = adversarial.robust_digits(hands_in(plain_net))
    assert report.score == 2, report.to_markdown()


def test_a_network_that_hides_its_gradient_is_seen_through(plain_net, loud_net):
    plain, loud = judged(plain_net), judged(loud_net)
    # PGD alone is deceived
    assert loud.pgd == loud.clean == plain.clean
    assert loud.robust <= plain.pgd + 0.05
    report = adversarial.robust_digits(hands_in(loud_net))
    assert report.score == 2
    assert "the gradient hides" in report.to_markdown()


def test_scores_that_round_the_image_away_are_seen_through(plain_net):
    """Units of huge constants, which cancel: what reaches the scores through them is
    rounded away, but adds noise to the gradient."""
    net = copy.deepcopy(plain_net).double()
    first, second, last = net[1], net[3], net[5]
    loud, big = range(118, 128), 2.0**102
    with torch.no_grad():
        for unit in loud:
            second.weight[:, unit] = second.weight[unit] = 0
        last.weight[:, loud] = torch.eye(10).double()
        second.weight[loud, loud] = 1
        first.bias[loud], second.bias[loud] = big, 2.0**52 - big
        first.weight[loud] = 2.0**30 * torch.randn(10, 64).double()
    found = judged(net)
    assert found.clean > 0.9
    # PGD alone is deceived
    assert found.pgd > judged(plain_net).pgd + 0.1
    assert found.robust < 0.1


@pytest.mark.slow
def test_pixels_made_black_or_white_hide_the_gradient_but_not_from_a_search():
    small = train(lambda net, x, y: (x > 0.5).float())
    sharp = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU())
    ones, k = torch.eye(64), 1e4
    with torch.no_grad():
        sharp[0].weight.copy_(torch.cat([k * ones, k * ones]))
        sharp[0].bias.copy_(
            torch.cat([0.5 - k * ones.sum(1) / 2, -0.5 - k * ones.sum(1) / 2])
        )
    # a network of its own architecture: that is all that the attacks ask for
    step = torch.nn.Linear(128, 64, bias=False)
    step.weight.data = torch.cat([ones, -ones], 1)
    net = torch.nn.Sequential(torch.nn.Flatten(), sharp, step, small).double()
    X, y = (torch.tensor(v) for v in digits_data()[2:])
    X = X.double()
    with torch.no_grad():
        clean = attacks._survives(net, X, y)
        plain = attacks._plain(net, X, y) & clean
        searched = attacks._without_gradients(net, X, y) & clean
    assert clean.double().mean() > 0.9
    assert plain.double().mean() > clean.double().mean() - 0.08
    assert searched.double().mean() < plain.double().mean() - 0.08


def test_a_network_of_random_weights_gets_nothing():
    report = adversarial.robust_digits(hands_in(attacks.make_net()))
    assert report.score == 0


def changed(change):
    net = attacks.make_net()
    with torch.no_grad():
        change(net)
    return net


UNFIT = {
    "another network": torch.nn.Linear(64, 10),
    "wider": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 256)),
    "nan": changed(lambda net: net[1].weight.fill_(torch.nan)),
    "inf": changed(lambda net: net[5].bias.fill_(torch.inf)),
    "weights alone": attacks.make_net().state_dict(),
    "function": lambda x: x,
}


@pytest.mark.parametrize("net", UNFIT.values(), ids=UNFIT)
def test_what_is_no_such_network_gets_nothing_and_is_told_so(net):
    report = adversarial.robust_digits(lambda X, y, seed: net)
    assert report.score == 0
    assert len({finding.message for finding in report.findings}) == 1


def test_shares_fall_from_attack_to_attack_and_tell_no_single_digit(plain_net):
    found = judged(plain_net)
    assert found.robust <= found.pgd <= found.clean
    report = adversarial.robust_digits(hands_in(plain_net))
    assert all("%" in finding.message for finding in report.findings)
