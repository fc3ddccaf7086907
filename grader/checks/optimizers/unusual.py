"""Topic 02, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a function of the notebook to answers, each of them a tuple of that
function alone, under its own name. They need no more than NumPy as ``np``, so that
their source can stand in a notebook.
"""

from collections.abc import Callable

import numpy as np

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def minibatches_by_sorting_random_keys():
    def minibatches(X, y, batch_size, rng):
        order = list(np.argsort(rng.random(len(X))))
        batches = []
        while order:
            chosen, order = order[:batch_size], order[batch_size:]
            batches.append([X[chosen], y[chosen]])
        return batches

    return minibatches


@_unusual
def sgd_in_place_on_a_copy():
    def sgd(w, dw, config=None):
        if config is None:
            config = {}
        config.setdefault("learning_rate", 0.01)
        next_w = w.copy()
        next_w -= config["learning_rate"] * dw
        return next_w, config

    return sgd


@_unusual
def momentum_with_a_velocity_in_place():
    def sgd_momentum(w, dw, config=None):
        config = {} if config is None else config
        config.setdefault("learning_rate", 0.01)
        config.setdefault("momentum", 0.9)
        if "velocity" not in config:
            config["velocity"] = np.zeros_like(w)
        config["velocity"] *= config["momentum"]
        config["velocity"] -= config["learning_rate"] * dw
        return np.add(w, config["velocity"]), config

    return sgd_momentum


@_unusual
def nesterov_by_both_velocities():
    def nesterov(w, dw, config=None):
        config = {**(config or {})}
        mu, lr = config.get("momentum", 0.9), config.get("learning_rate", 0.01)
        before = config.get("velocity", 0 * w)
        after = mu * before - lr * dw
        config |= {"velocity": after, "momentum": mu, "learning_rate": lr}
        return w - mu * before + (1 + mu) * after, config

    return nesterov


@_unusual
def adagrad_by_powers():
    def adagrad(w, dw, config=None):
        config = {"learning_rate": 0.01, "epsilon": 1e-8} | (config or {})
        config["cache"] = np.square(dw) + config.get("cache", 0)
        size = config["cache"] ** 0.5 + config["epsilon"]
        return w - config["learning_rate"] / size * dw, config

    return adagrad


@_unusual
def rmsprop_by_a_difference():
    def rmsprop(w, dw, config=None):
        config = {"learning_rate": 0.01, "epsilon": 1e-8} | (config or {})
        share = 1 - config.setdefault("decay_rate", 0.99)
        cache = config.setdefault("cache", np.zeros_like(w))
        config["cache"] = cache + share * (dw**2 - cache)
        root = np.sqrt(config["cache"])
        return w - config["learning_rate"] * dw / (root + config["epsilon"]), config

    return rmsprop


@_unusual
def adam_with_one_factor():
    def adam(w, dw, config=None):
        made = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
        made |= {"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0} | (config or {})
        b1, b2, made["t"] = made["beta1"], made["beta2"], made["t"] + 1
        made["m"] = made["m"] + (1 - b1) * (dw - made["m"])
        made["v"] = made["v"] + (1 - b2) * (dw * dw - made["v"])
        root = (1 - b2 ** made["t"]) ** 0.5
        rate = made["learning_rate"] * root / (1 - b1 ** made["t"])
        step = rate * made["m"] / (np.sqrt(made["v"]) + made["epsilon"] * root)
        return w - step, made

    return adam


@_unusual
def descend_by_filling_an_array():
    def descend(rule, gradient, w, num_steps, config=None):
        path = np.empty((num_steps + 1, *w.shape))
        path[0], config = w, {**config} if config else None
        for i in range(num_steps):
            path[i + 1], config = rule(path[i], gradient(path[i]), config)
        return path

    return descend


@_unusual
def step_decay_by_a_loop():
    def step_decay(lr0, epoch, drop=0.5, every=10):
        while epoch >= every:
            lr0, epoch = lr0 * drop, epoch - every
        return lr0

    return step_decay


@_unusual
def reduce_on_plateau_with_a_list():
    class ReduceOnPlateau:
        def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
            self.settings = factor, patience, min_lr
            self.rate, self.seen, self.since = lr, [], 0

        def step(self, value):
            factor, patience, min_lr = self.settings
            better = not self.seen or value < min(self.seen)
            self.seen.append(value)
            self.since = 0 if better else self.since + 1
            if self.since == patience + 1:
                self.since = 0
                if self.rate > min_lr:
                    self.rate = max(factor * self.rate, min_lr)
            return self.rate

    return ReduceOnPlateau
