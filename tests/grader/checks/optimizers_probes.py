"""What functions of topic 02 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import copy
from itertools import islice

import numpy as np

from tests.grader.checks.backprop_probes import watched

FLOATS = (np.float64, np.float32)
SETTINGS = [
    None,
    {},
    {"learning_rate": 0.2},
    {"learning_rate": 0.1, "momentum": 0.4, "decay_rate": 0.6},
    {"learning_rate": 0.1, "beta1": 0.2, "beta2": 0.5, "epsilon": 0.5},
    {"momentum": 0.0, "decay_rate": 0.0, "beta1": 0.0, "beta2": 0.0},
    {"epsilon": 0.01},
]


def rule(rule, rng):
    """Six steps with many settings, without state and with it, zeros among them."""

    def walk(w, dws, config):
        seen = []
        for i, dw in enumerate(dws):
            result = rule(w, dw) if config is None else rule(w, dw, config)
            w, config = result
            seen.append([copy.deepcopy(w), _visible(config)])
            if i == 3:
                config["learning_rate"] = 0.05
        return seen

    made = []
    for dtype in FLOATS:
        for settings in SETTINGS:
            for state in (False, True):
                w, *dws = rng.normal(size=(7, 2, 3)).astype(dtype)
                config = copy.deepcopy(settings)
                for dw in dws:
                    dw[0, 0] = 0
                if state:
                    config = {**(config or {}), **_state(rng, dtype)}
                made.append(watched(walk, w, dws, config)[:2])
                made.append(watched(lambda *a: rule(*a)[0], w, dws[0])[2])
    # as small as epsilon
    small = 1e-8 * rng.normal(size=4)
    made.append([1e6 * (rule(np.zeros(4), small)[0])])
    return made


def _visible(config):
    names = ("velocity", "cache", "m", "v", "t")
    return {n: copy.deepcopy(config[n]) for n in names if n in config}


def _state(rng, dtype):
    draw = rng.uniform(0.5, 2, size=(4, 2, 3)).astype(dtype)
    names = ("velocity", "cache", "m", "v")
    return dict(zip(names, draw, strict=True)) | {"t": 3}


def minibatches(minibatches, rng):
    """What stays the same in any order."""
    made = []
    for N, size in [(10, 3), (12, 4), (5, 9), (1, 1), (7, 7), (6, 1)]:
        X, y = rng.normal(size=(N, 2)), np.arange(N)

        def facts(X, y, size=size):
            rng = np.random.default_rng(5)
            passes = [list(islice(minibatches(X, y, size, rng), 30)) for _ in range(30)]
            labels = [np.concatenate([b for _, b in p]).tolist() for p in passes]
            again = list(minibatches(X, y, size, np.random.default_rng(5)))
            return [
                [len(b) for _, b in passes[0]],
                [sorted(row) for row in labels],
                all((a == X[b]).all() for p in passes for a, b in p),
                len({tuple(row) for row in labels}) > 5,
                [b.tolist() for _, b in again] == [b.tolist() for _, b in passes[0]],
            ]

        made.append(watched(facts, X, y))
    return made


def conversions(convert_velocity, rng):
    made = []
    for dtype in FLOATS:
        for given in ("sum", "minus", "plus"):
            for wanted in ("sum", "minus", "plus"):
                v = rng.normal(size=(2, 3)).astype(dtype)
                call = watched(convert_velocity, v, 0.07, given, wanted)
                made.append(call)
    return made


def _momentum(w, dw, config=None):
    config = {"learning_rate": 0.1, "velocity": 0.0} | (config or {})
    velocity = 0.6 * config["velocity"] - config["learning_rate"] * dw
    return w + velocity, config | {"velocity": velocity}


def _momentum_in_place(w, dw, config=None):
    _, new = _momentum(w, dw, config)
    config.update(new)
    return w + config["velocity"], config


def walks(descend, rng):
    made = []
    for rule in (_momentum, _momentum_in_place):
        for num_steps in (0, 1, 6):
            for config in (None, {}, {"learning_rate": 0.3}):
                w = rng.normal(size=(2, 2))
                arguments = w, num_steps, config

                def walk(w, num_steps, config, rule=rule):
                    return descend(rule, lambda w: 3 * w + 1, w, num_steps, config)

                made.append(watched(walk, *arguments))
    return made


def step_decays(step_decay, rng):
    epochs = range(0, 45)
    return [
        [step_decay(0.7, e) for e in epochs],
        [step_decay(0.7, e, 0.3, 7) for e in epochs],
        [step_decay(0.7, e, every=1) for e in range(10)],
    ]


def exponential_decays(exponential_decay, rng):
    return [
        exponential_decay(lr0, k, t)
        for lr0 in (0.3, 2.0)
        for k in (0.0, 0.2, 1.5)
        for t in (0, 1, 4, 7.5)
    ]


def plateaus(ReduceOnPlateau, rng):
    made = []
    for arguments in ({}, {"patience": 0}, {"patience": 3, "factor": 0.5}):
        for min_lr in (0.0, 0.05, 2.0):
            values = np.minimum.accumulate(rng.normal(size=120)) + rng.choice(
                [0, 0, 0.1, 1], size=120
            )
            schedule = ReduceOnPlateau(1.0, min_lr=min_lr, **arguments)
            made.append([schedule.step(float(value)) for value in values])
    return made


class _Net:
    """A net whose loss depends on the batch by its mean, and on nothing else."""

    def __init__(self, rng):
        self.params = {"a": rng.normal(size=3), "b": rng.normal(size=(2, 2))}
        self.batches = []

    def loss(self, X, y):
        self.batches.append([X.tolist(), y.tolist()])
        off = {name: w - y.mean() for name, w in self.params.items()}
        loss = sum(0.5 * X.mean() * (d**2).sum() for d in off.values())
        return float(loss), {name: X.mean() * d for name, d in off.items()}


def trainings(train, rng):
    made = []
    for rule in (_momentum, _momentum_in_place):
        for N, size in [(6, 6), (4, 9), (7, 2)]:
            for schedule in (None, lambda epoch: 0.1 / (1 + epoch)):
                # with batches that differ, the order would matter
                X, y = np.ones((N, 1)), np.ones(N)
                net, config = _Net(rng), {"learning_rate": 0.2}
                draws = np.random.default_rng(1)

                def run(
                    X,
                    y,
                    config,
                    net=net,
                    more=(3, size, draws),
                    rule=rule,
                    schedule=schedule,
                ):
                    return train(net, X, y, rule, config, *more, schedule)

                made.append(watched(run, X, y, config))
                made.append([net.params, [len(y) for _, y in net.batches]])
    X, y = np.arange(7.0)[:, None], np.arange(7.0)
    net = _Net(rng)
    train(net, X, y, _momentum, {}, 3, 3, np.random.default_rng(2))
    rows = [label for _, labels in net.batches for label in labels]
    made += [sorted(rows[i : i + 7]) for i in (0, 7, 14)]
    made.append(rows[:7] != rows[7:14])
    return made


def range_tests(range_test, rng):
    made = []
    for options in ({}, {"low": 0.01, "high": 0.5}, {"low": 0.5, "high": 500.0}):
        for num_batches in (2, 9, 25):
            net = _Net(rng)
            before = copy.deepcopy(net.params)
            batches = [
                (np.ones((1, 1)) * rng.uniform(0.5, 1.5), rng.normal(size=1))
                for _ in range(num_batches)
            ]
            made.append(
                watched(lambda b, n=net, o=options: range_test(n, b, **o), batches)
            )
            made.append([net.params, before])
    net = _Net(rng)
    net.params["a"][0] = np.nan
    batch = np.ones((1, 1)), np.ones(1)
    made.append(range_test(net, [batch] * 4))
    return made
