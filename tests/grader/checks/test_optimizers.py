"""The hidden checks of topic 02 refuse what is wrong, by name, and take the rest."""

import re

import numpy as np
import pytest

from grader.checks import optimizers
from grader.checks.optimizers import oracles, rule_cases, runs
from tests.grader.checks.cells import OPTIMIZERS
from tests.grader.checks.every_topic import *  # noqa: F403
from tests.grader.checks.every_topic import noisy
from tests.grader.checks.nearest import nearest
from tests.grader.checks.topic import Topic

TOPIC = Topic(
    OPTIMIZERS,
    trivial={
        "w and an empty config": lambda *a: (a[0], {}),
        "w and its config": lambda *a: (a[0], a[2] if len(a) > 2 else {}),
        "dw and an empty config": lambda *a: (a[1], {}),
        "one pair": lambda *a: [(a[0], a[1])],
        "two empty lists": lambda *a: ([], []),
    },
    allowed={("minibatches", "one pair"): 0.25},
)
RULES = sorted(n for n, e in TOPIC.exercises.items() if e.run is runs.run_rule)


def test_two_mistakes_at_once_are_both_named():
    def minibatches(X, y, batch_size, rng):
        order = np.random.default_rng(0).permutation(len(X))
        for i in range(0, len(X) - batch_size + 1, batch_size):
            yield X[order[i : i + batch_size]], y[order[i : i + batch_size]]

    report = optimizers.minibatches(minibatches)
    named = {name for finding in report.findings for name in finding.mistakes}
    assert named == {"last batch dropped", "own seed"}, report.to_markdown()


def test_pytorchs_notation_loses_what_depends_on_it_alone():
    (sums,) = [m for m in optimizers.sgd_momentum.mistakes if "sum" in m.name]
    report = optimizers.sgd_momentum(*sums.functions)
    lost = {finding.property for finding in report.findings}
    assert len(lost) == 2
    assert report.score == 2.75


# --- the oracles ---


def _by_hand(name, w, dws, config):
    """Each rule as sums over all gradients so far: no state, no recursion."""
    lr = config["learning_rate"]
    G = np.stack(dws)

    def averaged(values, beta, t):
        weights = (1 - beta) * beta ** np.arange(t - 1, -1, -1.0)
        return np.tensordot(weights, values[:t], axes=1)

    for t in range(1, len(G) + 1):
        if name in ("sgd_momentum", "nesterov"):
            mu = config["momentum"]
            v = -lr * averaged(G, mu, t) / (1 - mu)
            w = w + (v if name == "sgd_momentum" else mu * v - lr * G[t - 1])
        elif name == "adagrad":
            w = w - lr * G[t - 1] / (np.sqrt((G[:t] ** 2).sum(axis=0)) + 1e-8)
        elif name == "rmsprop":
            cache = averaged(G**2, config["decay_rate"], t)
            w = w - lr * G[t - 1] / (np.sqrt(cache) + 1e-8)
        elif name.startswith("adam"):
            b1, b2 = config["beta1"], config["beta2"]
            m, v = averaged(G, b1, t), averaged(G**2, b2, t)
            if name == "adam":
                m, v = m / (1 - b1**t), v / (1 - b2**t)
            w = w - lr * m / (np.sqrt(v) + 1e-8)
        else:
            w = w - lr * G[t - 1]
        yield w


@pytest.mark.parametrize("name", RULES)
def test_oracles_agree_with_sums_over_all_gradients(name):
    rng = np.random.default_rng(0)
    config = {"learning_rate": 0.1, "momentum": 0.7, "decay_rate": 0.8}
    config |= {"beta1": 0.6, "beta2": 0.9}
    dws = rule_cases.gradients(rng, 12, (2, 3))
    param = {"w": rng.normal(size=(2, 3)), "dws": dws, "config": config}
    (path,) = oracles.rule(name)([param], None)["next_w"]
    closed_form = list(_by_hand(name, param["w"], dws, config))
    np.testing.assert_allclose(path, closed_form, rtol=1e-12)


def test_the_oracle_follows_a_changing_rate_in_the_notation_of_the_course():
    rng = np.random.default_rng(0)
    (case,) = rule_cases.momentum.changing_rate(rng)
    (param,), rates = case["params"], case["rates"]
    v, w = 0.0, param["w"]
    for dw, rate in zip(param["dws"], rates, strict=True):
        v = param["config"]["momentum"] * v - rate * dw
        w = w + v
    found = oracles.rule("sgd_momentum")(**case)
    np.testing.assert_allclose(found["next_w"][0][-1], w, rtol=1e-12)
    np.testing.assert_allclose(found["state"][0]["velocity"], v, rtol=1e-12)


# --- digits ---


@pytest.mark.parametrize(
    ("flipped", "points"), [(0.0, 6), (0.05, 2), (0.5, 0)], ids=["98%", "93%", "50%"]
)
def test_points_for_digits_follow_the_share_of_right_labels(flipped, points):
    def classify(X_train, y_train, X_new, seed):
        labels = nearest(X_train, y_train, X_new, seed)
        wrong = np.arange(len(labels)) < flipped * len(labels)
        return np.where(wrong, (labels + 1) % 10, labels)

    assert optimizers.digits(classify).score == points


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_digits_solution_passes_for_every_seed(seed, monkeypatch):
    monkeypatch.setenv("FOVEA_SECRET", f"course {seed}")
    assert optimizers.digits(TOPIC.solved["classify_digits"]).score == 6


def test_messages_on_a_schedule_leak_no_numbers():
    class Almost(TOPIC.solved["ReduceOnPlateau"]):
        def step(self, value):
            return noisy(super().step(value))

    findings = TOPIC.scorer("reduce_on_plateau")(Almost).findings
    assert findings
    assert not any(re.search(r"\d\.\d", finding.message) for finding in findings)
