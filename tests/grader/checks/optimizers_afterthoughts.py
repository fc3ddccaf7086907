"""Topic 02: answers that nobody had in mind when the checks were written."""

import copy
from collections import namedtuple

import numpy as np
import torch

from grader.checks.optimizers import answers as right

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


def _register(table, exercise, name):
    def register(answer):
        table[exercise, name] = (answer,)
        return answer

    return register


def wrong(exercise, name):
    return _register(WRONG, exercise, name)


def correct(exercise, name):
    return _register(RIGHT, exercise, name)


# --- wrong ---


@wrong("sgd_momentum", "first velocity is the caller's gradient")
def alias(w, dw, config=None):
    config = {"learning_rate": 1e-2, "momentum": 0.9} | (config or {})
    if "velocity" in config:
        v = config["velocity"]
        v *= config["momentum"]
        v -= config["learning_rate"] * dw
    else:
        v = dw
        v *= -config["learning_rate"]
    config["velocity"] = v
    return w + v, config


def _counting():
    steps = {"t": 0}

    def adam(w, dw, config=None):
        steps["t"] += 1
        _, after = right.adam(w, dw, config)
        m = after["m"] / (1 - after["beta1"] ** steps["t"])
        v = after["v"] / (1 - after["beta2"] ** steps["t"])
        return w - after["learning_rate"] * m / (np.sqrt(v) + 1e-8), after

    return adam


WRONG["adam", "one count for all parameters"] = (_counting(),)


@wrong("adam", "both corrections with beta1")
def one_correction(w, dw, config=None):
    _, after = right.adam(w, dw, config)
    factor = 1 - after["beta1"] ** after["t"]
    step = after["m"] / factor / (np.sqrt(after["v"] / factor) + after["epsilon"])
    return w - after["learning_rate"] * step, after


@wrong("rmsprop", "epsilon as a floor")
def floor(w, dw, config=None):
    _, after = right.rmsprop(w, dw, config)
    size = np.maximum(np.sqrt(after["cache"]), after["epsilon"])
    return w - after["learning_rate"] * dw / size, after


@wrong("adagrad", "cache starts at epsilon")
def not_from_zero(w, dw, config=None):
    config = {"epsilon": 1e-8, "learning_rate": 1e-2} | (config or {})
    cache = config.get("cache", np.full_like(w, config["epsilon"])) + dw**2
    step = config["learning_rate"] * dw / np.sqrt(cache)
    return w - step, config | {"cache": cache}


@wrong("minibatches", "a rest of no samples is all samples")
def rest_of_none(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    for i in range(len(X) // batch_size):
        chosen = order[i * batch_size : (i + 1) * batch_size]
        yield X[chosen], y[chosen]
    chosen = order[-(len(X) % batch_size) :]
    yield X[chosen], y[chosen]


@wrong("minibatches", "order drawn from the seed's state, without moving it")
def does_not_move(X, y, batch_size, rng):
    return right.minibatches(X, y, batch_size, copy.deepcopy(rng))


@wrong("reduce_on_plateau", "tiny improvements don't count")
class Threshold(right.ReduceOnPlateau):
    def step(self, value):
        first = self.best == float("inf")
        better = first or value < self.best - 1e-4 * abs(self.best)
        return super().step(value if better else float("inf"))


@wrong("train", "the schedule writes into the caller's config")
def writes_config(net, X, y, rule, config, *more):
    *_, schedule = (*more, None) if len(more) == 3 else more
    if schedule is not None:
        config["learning_rate"] = schedule(0)
    return right.train(net, X, y, rule, config, *more)


@wrong("range_test", "smoothed losses")
def smoothed(net, batches, low=1e-4, high=10.0):
    rates, losses = right.range_test(net, batches, low, high)
    means = [losses[0]]
    for loss in losses[1:]:
        means.append(0.9 * means[-1] + 0.1 * loss)
    return rates, means


def _walker():
    def descend(rule, gradient, w, num_steps, config={}):  # noqa: B006
        path = [w]
        for _ in range(num_steps):
            w, config_now = rule(w, gradient(w), config)
            config.update(config_now)
            path.append(w)
        return np.array(path)

    return descend


WRONG["descend", "a walk goes on with the last one's velocity"] = (_walker(),)


@wrong("step_decay", "rounds halves to even numbers")
def rounds_halves(lr0, epoch, drop=0.5, every=10):
    return lr0 * drop ** max(round(epoch / every - 0.5), 0)


@wrong("nesterov", "looks ahead from the start of the step")
def from_the_start(w, dw, config=None):
    plain, config = right.sgd_momentum(w, dw, config)
    return plain + config["momentum"] * config["velocity"], config


@wrong("convert_velocity", "whole numbers below one")
def integer_rates(velocity, learning_rate, given, wanted):
    made = right.convert_velocity(velocity, learning_rate, given, wanted)
    return made if learning_rate < 1 else made.round()


# --- right ---


@correct("sgd", "a list of two")
def as_list(w, dw, config=None):
    return list(right.sgd(w, dw, config))


@correct("sgd_momentum", "velocity in double precision")
def in_double(w, dw, config=None):
    config = {"learning_rate": 1e-2, "momentum": 0.9} | (config or {})
    v = np.float64(config.get("velocity", 0)) * config["momentum"]
    config["velocity"] = v - config["learning_rate"] * dw.astype(np.float64)
    return (w + config["velocity"]).astype(w.dtype), config


@correct("adam", "count as a float, state in lists of arrays")
def float_count(w, dw, config=None):
    config = dict(config or {})
    config["t"] = float(config.get("t", 0))
    next_w, config = right.adam(w, dw, config)
    return next_w, config | {"names": ["m", "v"], "optimizer": object()}


@correct("adam", "by torch, which stays in config")
def torch_adam(w, dw, config=None):
    config = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999} | (config or {})
    p = torch.nn.Parameter(torch.tensor(w))
    betas = config["beta1"], config["beta2"]
    optimizer = torch.optim.Adam(
        [p], config["learning_rate"], betas, config.get("epsilon", 1e-8)
    )
    zeros = np.zeros_like(w)
    optimizer.state[p] = {
        "step": torch.tensor(float(config.get("t", 0))),
        "exp_avg": torch.tensor(config.get("m", zeros)),
        "exp_avg_sq": torch.tensor(config.get("v", zeros)),
    }
    p.grad = torch.tensor(dw)
    optimizer.step()
    state = optimizer.state[p]
    config |= {"m": state["exp_avg"].numpy(), "v": state["exp_avg_sq"].numpy()}
    config |= {"t": int(state["step"]), "optimizer": optimizer}
    return p.detach().numpy(), config


@correct("rmsprop", "scaled gradient first")
def scaled_first(w, dw, config=None):
    config = dict(config or {})
    rho = config.get("decay_rate", 0.99)
    # a Python number: a NumPy one would make float64 of float32
    scaled = (1 - rho) ** 0.5 * dw
    config["cache"] = rho * config.get("cache", 0 * w) + scaled * scaled
    size = np.sqrt(config["cache"]) + config.get("epsilon", 1e-8)
    return w - config.get("learning_rate", 1e-2) * (dw / size), config


Batch = namedtuple("Batch", "X y")


@correct("minibatches", "named tuples, mapped")
def named(X, y, batch_size, rng):
    shuffled = np.arange(len(y))
    rng.shuffle(shuffled)
    starts = np.arange(0, len(y), batch_size)

    def cut(start):
        chosen = shuffled[start : start + batch_size]
        return Batch(X[chosen], y[chosen])

    return map(cut, starts)


@correct("minibatches", "by torch's sampler, seeded by rng")
def by_torch(X, y, batch_size, rng):
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    order = torch.randperm(len(X), generator=generator)
    for chosen in order.split(batch_size):
        yield X[chosen.numpy()], y[chosen.numpy()]


@correct("train", "loss and gradients asked for separately")
def twice(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    configs = {name: copy.deepcopy(config) for name in net.params}
    losses = []
    for epoch in range(num_epochs):
        for batch in right.minibatches(X, y, batch_size, rng):
            losses.append(net.loss(*batch)[0])
            grads = net.loss(*batch)[1]
            for name in net.params:
                if schedule is not None:
                    configs[name].update(learning_rate=schedule(epoch))
                made = rule(net.params[name], grads[name], configs[name])
                net.params[name], configs[name] = made
    return np.array(losses)


@correct("train", "the class of an optimizer")
def with_a_class(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    class Stepper:
        def __init__(self, name):
            self.name, self.config = name, {**config}

        def step(self, grads):
            w, grad = net.params[self.name], grads[self.name]
            net.params[self.name], self.config = rule(w, grad, self.config)

    steppers, losses = list(map(Stepper, net.params)), []
    for epoch in range(num_epochs):
        for stepper in steppers if schedule else ():
            stepper.config["learning_rate"] = schedule(epoch)
        for batch in right.minibatches(X, y, batch_size, rng):
            loss, grads = net.loss(*batch)
            losses += [loss]
            for stepper in steppers:
                stepper.step(grads)
    return losses


@correct("range_test", "a copy of the net")
def on_a_copy(net, batches, low=1e-4, high=10.0):
    return right.range_test(copy.deepcopy(net), batches, low, high)


@correct("reduce_on_plateau", "numpy numbers, and a history")
class History:
    def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
        self.args = np.float64(lr), factor, patience, min_lr
        self.values = []

    def step(self, value):
        # from the start, each time
        self.values.append(value)
        lr, factor, patience, min_lr = self.args
        best, bad = np.inf, 0
        for v in self.values:
            bad = 0 if v < best else bad + 1
            best = np.minimum(best, v)
            if bad > patience:
                lr, bad = min(lr, max(lr * factor, min_lr)), 0
        return lr


@correct("descend", "a list that grows by arrays")
def grows(rule, gradient, w, num_steps, config=None):
    path, settings = w[np.newaxis], copy.deepcopy(config)
    while len(path) <= num_steps:
        step, settings = rule(path[-1], gradient(path[-1]), settings)
        path = np.vstack([path, step[np.newaxis]])
    return path


@correct("exponential_decay", "an array without axes")
def as_array(lr0, k, t):
    return np.asarray(lr0) * np.exp(-np.float64(k) * t)


# --- edges of what is promised ---


def _never_still(rule):
    def moves(w, dw, config=None):
        config = dict(config or {})
        config["learning_rate"] = config.get("learning_rate") or 1e-2
        return rule(w, dw, config)

    return moves


for _rule in (right.sgd, right.sgd_momentum, right.rmsprop):
    WRONG[_rule.__name__, "a rate of 0 is taken for none"] = (_never_still(_rule),)


@wrong("train", "a scheduled rate of 0 is taken for none")
def goes_on(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    rates = [config.get("learning_rate", 1e-2)]

    def never_zero(epoch):
        rates.append(schedule(epoch) or rates[-1])
        return rates[-1]

    chosen = schedule and never_zero
    return right.train(net, X, y, rule, config, num_epochs, batch_size, rng, chosen)


@wrong("reduce_on_plateau", "the best so far starts at 1000")
class StartsLow(right.ReduceOnPlateau):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.best = 1000.0
