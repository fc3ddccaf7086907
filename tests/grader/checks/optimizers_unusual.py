"""Topic 02: right answers that look unlike the ones in the solution."""

import math
from collections import ChainMap, UserDict, defaultdict, deque
from itertools import accumulate, repeat, takewhile

import numpy as np
import torch

from grader.checks.optimizers import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise):
    """Register a function or a class as an answer to an exercise."""

    def register(answer):
        UNUSUAL.setdefault(exercise, {})[answer.__name__] = (answer,)
        return answer

    return register


# --- minibatches ---


@unusual("minibatches")
def shuffled_list(X, y, batch_size, rng):
    order = list(range(len(X)))
    rng.shuffle(order)
    for i in range(math.ceil(len(X) / batch_size)):
        chosen = order[i * batch_size : (i + 1) * batch_size]
        yield np.array([X[n] for n in chosen]), np.array([y[n] for n in chosen])


@unusual("minibatches")
def split_at_places(X, y, batch_size, rng):
    order = rng.permutation(len(y))
    places = range(batch_size, len(y), batch_size)
    return zip(np.split(X[order], places), np.split(y[order], places), strict=True)


@unusual("minibatches")
def choice_without_replacement(X, y, batch_size, rng):
    order = rng.choice(len(X), size=len(X), replace=False)
    X, y = np.take(X, order, axis=0), np.take(y, order, axis=0)
    while len(X):
        yield [X[:batch_size], y[:batch_size]]
        X, y = X[batch_size:], y[batch_size:]


class Batches:
    """An iterator written by hand."""

    def __init__(self, X, y, batch_size, rng):
        self.X, self.y, self.size = X, y, batch_size
        self.left = deque(rng.permutation(len(X)).tolist())

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        count = min(self.size, len(self.left))
        chosen = [self.left.popleft() for _ in range(count)]
        return self.X[chosen], self.y[chosen]


unusual("minibatches")(Batches)

# --- sgd ---


@unusual("sgd")
def by_numpy_functions(w, dw, config=None):
    config = config if config is not None else {}
    if "learning_rate" not in config:
        config["learning_rate"] = 0.01
    return np.subtract(w, np.multiply(config["learning_rate"], dw)), config


@unusual("sgd")
def entry_by_entry(w, dw, config=None):
    rate = (config or {}).get("learning_rate", 1e-2)
    next_w = np.empty_like(w)
    for index in np.ndindex(w.shape):
        next_w[index] = w[index] - rate * dw[index]
    return next_w, {**(config or {}), "learning_rate": rate}


@unusual("sgd")
def by_torch(w, dw, config=None):
    config = {"learning_rate": 1e-2} | dict(config or {})
    weights = torch.tensor(w).add(torch.tensor(dw), alpha=-config["learning_rate"])
    return weights.numpy(), config


# --- momentum ---


@unusual("sgd_momentum")
def sum_inside(w, dw, config=None):
    config = defaultdict(float, config or {})
    config["learning_rate"] = config.get("learning_rate", 0.01)
    config["momentum"] = config.get("momentum", 0.9)
    config["velocity"] = (
        config["momentum"] * config["velocity"] - config["learning_rate"] * dw
    )
    return w + config["velocity"], config


@unusual("sgd_momentum")
def keeps_more(w, dw, config=None):
    config = config or {"learning_rate": 1e-2}
    lr, mu = config.setdefault("learning_rate", 1e-2), config.get("momentum", 0.9)
    config.setdefault("history", []).append(dw.copy())
    config["velocity"] = (
        mu * config.get("velocity", np.zeros(w.shape, w.dtype)) - lr * dw
    )
    return w + config["velocity"], config


@unusual("sgd_momentum")
def in_minus_notation(w, dw, config=None):
    config = dict(config or {})
    down = -config.get("velocity", np.zeros_like(w))
    down = config.get("momentum", 0.9) * down
    down = down + config.get("learning_rate", 1e-2) * dw
    config["velocity"] = -down
    return w - down, config


@unusual("sgd_momentum")
def through_a_class(w, dw, config=None):
    class Config(dict):
        def __missing__(self, key):
            defaults = {"learning_rate": 1e-2, "momentum": 0.9, "velocity": 0 * w}
            return defaults[key]

    config = Config(config or {})
    config["velocity"] = (
        config["momentum"] * config["velocity"] - config["learning_rate"] * dw
    )
    return w + config["velocity"], config


@unusual("nesterov")
def peeking(w, dw, config=None):
    config = dict(config or {})
    lr, mu = config.get("learning_rate", 1e-2), config.get("momentum", 0.9)
    # where the ball is, and where it will be; w is the point ahead of it
    old = config.get("velocity", np.zeros_like(w))
    ball = w - mu * old
    config["velocity"] = mu * old - lr * dw
    return ball + config["velocity"] + mu * config["velocity"], config


@unusual("nesterov")
def momentum_and_correction(w, dw, config=None):
    plain, config = right.sgd_momentum(w, dw, config)
    mu, lr = config["momentum"], config["learning_rate"]
    return plain + (mu - 1) * config["velocity"] - lr * dw, config


@unusual("nesterov")
def by_torch_buffer(w, dw, config=None):
    config = {"learning_rate": 1e-2, "momentum": 0.9} | (config or {})
    lr, mu = config["learning_rate"] or 1e-300, config["momentum"]
    buffer = mu * (-config.get("velocity", np.zeros_like(w)) / lr) + dw
    config["velocity"] = -lr * buffer
    return w - lr * (dw + mu * buffer), config


# --- a rate for every entry ---


@unusual("adagrad")
def where_nonzero(w, dw, config=None):
    config = {"learning_rate": 1e-2, "epsilon": 1e-8} | (config or {})
    config["cache"] = config.get("cache", np.zeros_like(w)) + np.abs(dw) ** 2
    step = np.zeros_like(w)
    some = dw != 0
    root = np.sqrt(config["cache"][some])
    step[some] = config["learning_rate"] * dw[some] / (root + config["epsilon"])
    return w - step, config


@unusual("adagrad")
def epsilon_inside_by_default(w, dw, config=None):
    given = config or {}
    eps = given.get("epsilon", 1e-8)
    cache = given.get("cache", np.zeros_like(w)) + dw * dw
    size = np.sqrt(cache) + eps if "epsilon" in given else np.sqrt(cache + eps)
    return w - given.get("learning_rate", 1e-2) * dw / size, {**given, "cache": cache}


@unusual("adagrad")
def by_hypot(w, dw, config=None):
    config = dict(config or {})
    root = np.hypot(np.sqrt(config.get("cache", np.zeros_like(w))), dw)
    config["cache"] = root**2
    root = root + config.get("epsilon", 1e-8)
    return w - config.get("learning_rate", 1e-2) * dw / root, config


@unusual("rmsprop")
def by_lerp(w, dw, config=None):
    config = {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8} | (
        config or {}
    )
    old = torch.tensor(config.get("cache", np.zeros_like(w)))
    new = torch.lerp(old, torch.tensor(dw) ** 2, 1 - config["decay_rate"])
    config["cache"] = new.numpy()
    size = np.sqrt(config["cache"]) + config["epsilon"]
    return w - config["learning_rate"] * dw / size, config


@unusual("rmsprop")
def by_reciprocal(w, dw, config=None):
    config = dict(config or {})
    rho = config.get("decay_rate", 0.99)
    cache = config["cache"] = rho * config.get("cache", 0 * w) + (1 - rho) * dw**2
    per_entry = 1 / (cache**0.5 + config.get("epsilon", 1e-8))
    return w - config.get("learning_rate", 1e-2) * per_entry * dw, config


@unusual("rmsprop")
def in_place_cache(w, dw, config=None):
    config = config if config else {}
    for name, value in (("learning_rate", 0.01), ("decay_rate", 0.99)):
        config.setdefault(name, value)
    cache = config.setdefault("cache", np.zeros_like(w))
    cache *= config["decay_rate"]
    cache += (1 - config["decay_rate"]) * np.square(dw)
    out = np.sqrt(cache)
    out += config.setdefault("epsilon", 1e-8)
    np.divide(dw, out, out=out)
    out *= -config["learning_rate"]
    out += w
    return out, config


@unusual("adam")
def counts_with_numpy(w, dw, config=None):
    config = dict(config or {})
    b1, b2 = config.get("beta1", 0.9), config.get("beta2", 0.999)
    config["t"] = np.int64(config.get("t", 0)) + 1
    config["m"] = b1 * config.get("m", 0 * w) + (1 - b1) * dw
    config["v"] = b2 * config.get("v", 0 * w) + (1 - b2) * dw**2
    t = int(config["t"])
    m_hat, v_hat = config["m"] / (1 - b1**t), config["v"] / (1 - b2**t)
    size = v_hat**0.5 + config.get("epsilon", 1e-8)
    return w - config.get("learning_rate", 1e-3) * m_hat / size, config


@unusual("adam")
def epsilon_inside(w, dw, config=None):
    config = dict(config or {})
    eps = config.get("epsilon", 1e-8)
    beside, after = right.adam(w, dw, config)
    if "epsilon" in config:
        return beside, after
    del after["epsilon"]
    t, b1, b2 = after["t"], after["beta1"], after["beta2"]
    step = after["m"] / (1 - b1**t) / np.sqrt(after["v"] / (1 - b2**t) + eps)
    return w - after["learning_rate"] * step, after


@unusual("adam")
def by_moments_in_one_array(w, dw, config=None):
    config = {"t": 0, "learning_rate": 1e-3, "epsilon": 1e-8} | (config or {})
    betas = [config.get("beta1", 0.9), config.get("beta2", 0.999)]
    old = [config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))]
    powers = [dw, dw * dw]
    config["t"] += 1
    new = [b * o + (1 - b) * p for b, o, p in zip(betas, old, powers, strict=True)]
    config["m"], config["v"] = new
    first, second = (
        n / (1 - b ** config["t"]) for n, b in zip(new, betas, strict=True)
    )
    step = first / (np.sqrt(second) + config["epsilon"])
    return w - config["learning_rate"] * step, config


@unusual("adam_uncorrected")
def adam_far_on(w, dw, config=None):
    config = {"t": 0} | (config or {})
    steps = config["t"] + 1
    next_w, config = right.adam(w, dw, config | {"t": 10**6})
    return next_w, config | {"t": steps}


@unusual("adam_uncorrected")
def by_ratio(w, dw, config=None):
    config = dict(config or {})
    b1, b2 = config.get("beta1", 0.9), config.get("beta2", 0.999)
    config["m"] = config.get("m", 0 * w) * b1 + dw * (1 - b1)
    config["v"] = config.get("v", 0 * w) * b2 + dw * dw * (1 - b2)
    config["t"] = config.get("t", 0) + 1
    root = np.sqrt(config["v"]) + config.get("epsilon", 1e-8)
    ratio = np.divide(config["m"], root)
    return w - config.get("learning_rate", 1e-3) * ratio, config


@unusual("adam_uncorrected")
def with_a_chain_of_dicts(w, dw, config=None):
    defaults = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    defaults |= {"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0}
    c = dict(ChainMap(dict(config or {}), defaults))
    c["m"] += (1 - c["beta1"]) * (dw - c["m"])
    c["v"] += (1 - c["beta2"]) * (dw**2 - c["v"])
    c["t"] += 1
    step = c["learning_rate"] * c["m"] / (c["v"] ** 0.5 + c["epsilon"])
    return w - step, c


# --- notations ---


@unusual("convert_velocity")
def by_cases(velocity, learning_rate, given, wanted):
    if given == wanted:
        return velocity.copy()
    if "sum" not in (given, wanted):
        return -velocity
    if given == "sum":
        step = velocity * learning_rate
        return step if wanted == "minus" else -step
    total = velocity / learning_rate
    return total if given == "minus" else -total


@unusual("convert_velocity")
def by_signs_and_powers(velocity, learning_rate, given, wanted):
    sign = {"sum": 1, "minus": 1, "plus": -1}
    power = {"sum": 0, "minus": 1, "plus": 1}
    factor = learning_rate ** (power[wanted] - power[given])
    return sign[given] * sign[wanted] * factor * velocity


@unusual("convert_velocity")
def by_way_of_the_step(velocity, learning_rate, given, wanted):
    v = np.array(velocity)
    match given:
        case "sum":
            v *= -learning_rate
        case "minus":
            v *= -1
    match wanted:
        case "sum":
            v /= -learning_rate
        case "minus":
            v *= -1
    return v


# --- walks and schedules ---


@unusual("descend")
def recursive(rule, gradient, w, num_steps, config=None):
    if not num_steps:
        return w[None].copy()
    next_w, config = rule(w, gradient(w), {**(config or {})})
    rest = recursive(rule, gradient, next_w, num_steps - 1, config)
    return np.concatenate([w[None], rest])


@unusual("descend")
def accumulated(rule, gradient, w, num_steps, config=None):
    def step(state, _):
        place, config = state
        return rule(place, gradient(place), config)

    start = w.copy(), dict(config) if config else None
    states = accumulate(repeat(None, num_steps), step, initial=start)
    return np.array([place for place, _ in states])


@unusual("descend")
def in_lists(rule, gradient, w, num_steps, config=None):
    places = [w.tolist()]
    config = None if config is None else config.copy()
    for _ in range(num_steps):
        here = np.array(places[-1])
        there, config = rule(here, gradient(here), config)
        places.append(there.tolist())
    return np.array(places)


@unusual("step_decay")
def by_floats(lr0, epoch, drop=0.5, every=10):
    return float(lr0 * np.power(drop, np.floor(epoch / every)))


@unusual("step_decay")
def by_counting(lr0, epoch, drop=0.5, every=10):
    edges = sum(1 for e in range(1, epoch + 1) if e % every == 0)
    return math.prod([lr0, *[drop] * edges])


@unusual("step_decay")
def by_logarithms(lr0, epoch, drop=0.5, every=10):
    times, _ = divmod(epoch, every)
    return np.exp(np.log(lr0) + times * np.log(drop))


@unusual("exponential_decay")
def by_math(lr0, k, t):
    return lr0 / math.exp(k * t)


@unusual("exponential_decay")
def by_a_power(lr0, k, t):
    return lr0 * math.exp(-k) ** t


@unusual("exponential_decay")
def by_a_tensor(lr0, k, t):
    return (lr0 * torch.exp(torch.tensor(-k * t, dtype=torch.float64))).item()


@unusual("reduce_on_plateau")
class WithTorch:
    def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
        self.optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, "min", factor, patience, 0.0, "abs", 0, min_lr, 0.0
        )

    def step(self, value):
        self.schedule.step(value)
        return self.optimizer.param_groups[0]["lr"]


@unusual("reduce_on_plateau")
class CountsDown:
    def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
        self.__dict__.update(lr=lr, factor=factor, patience=patience, min_lr=min_lr)
        self.left = patience

    def step(self, value):
        if not hasattr(self, "best") or value < self.best:
            self.best, self.left = value, self.patience
        elif self.left:
            self.left -= 1
        else:
            self.left = self.patience
            self.lr = max(self.lr * self.factor, min(self.lr, self.min_lr))
        return self.lr


@unusual("reduce_on_plateau")
def with_a_generator(lr, factor=0.1, patience=10, min_lr=0.0):
    def run():
        rate, best, bad = lr, math.inf, 0
        value = yield
        while True:
            bad, best = (0, value) if value < best else (bad + 1, best)
            if bad > patience:
                rate, bad = min(rate, max(rate * factor, min_lr)), 0
            value = yield rate

    running = run()
    next(running)

    class Schedule:
        step = staticmethod(running.send)

    return Schedule()


# --- training ---


@unusual("train")
def configs_in_a_list(
    net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None
):
    names = sorted(net.params)
    configs, losses = [{**config} for _ in names], []
    for epoch in range(num_epochs):
        for X_batch, y_batch in list(right.minibatches(X, y, batch_size, rng)):
            loss, grads = net.loss(X_batch, y_batch)
            for i, name in enumerate(names):
                if schedule:
                    configs[i]["learning_rate"] = schedule(epoch)
                w = net.params[name]
                net.params[name], configs[i] = rule(w, grads[name], configs[i])
            losses = [*losses, float(loss)]
    return losses


@unusual("train")
def in_place(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    configs, losses = {}, []
    for epoch in range(num_epochs):
        rate = {} if schedule is None else {"learning_rate": schedule(epoch)}
        for batch in right.minibatches(X, y, batch_size, rng):
            loss, grads = net.loss(*batch)
            losses.append(loss)
            for name, w in net.params.items():
                mine = configs.get(name, config) | rate
                next_w, configs[name] = rule(w, grads[name], mine)
                w[...] = next_w
    return losses


@unusual("train")
def with_a_new_dict(
    net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None
):
    states = {name: config.copy() for name in net.params}
    losses = np.zeros(num_epochs * -(-len(X) // batch_size))
    step = 0
    for epoch in range(num_epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            chosen = order[start : start + batch_size]
            losses[step], grads = net.loss(X[chosen], y[chosen])
            step += 1
            if schedule is not None:
                rate = schedule(epoch)
                states = {n: s | {"learning_rate": rate} for n, s in states.items()}
            moved = {n: rule(w, grads[n], states[n]) for n, w in net.params.items()}
            net.params = {n: w for n, (w, _) in moved.items()}
            states = {n: s for n, (_, s) in moved.items()}
    return losses


@unusual("range_test")
def by_logspace(net, batches, low=1e-4, high=10.0):
    kept = {name: np.array(w) for name, w in net.params.items()}
    losses = []
    rates = np.logspace(np.log10(low), np.log10(high), num=len(batches))
    for (X, y), rate in zip(batches, rates, strict=True):
        loss, grads = net.loss(X, y)
        stop = math.isnan(loss) or math.isinf(loss)
        stop = stop or (len(losses) > 0 and loss > 4 * min(losses))
        losses.append(float(loss))
        if stop:
            break
        for name in net.params:
            net.params[name] -= rate * grads[name]
    for name in kept:
        net.params[name][...] = kept[name]
    return rates[: len(losses)], np.array(losses)


@unusual("range_test")
def on_new_params(net, batches, low=1e-4, high=10.0):
    params, net.params = net.params, dict(net.params)
    rates, losses, smallest = [], [], math.inf
    rate, factor = low, (high / low) ** (1 / (len(batches) - 1))
    for X, y in batches:
        loss, grads = net.loss(X, y)
        rates.append(rate)
        losses.append(loss)
        if not loss <= 4 * smallest or not math.isfinite(loss):
            break
        smallest = min(smallest, loss)
        for name, grad in grads.items():
            net.params[name], _ = right.sgd(
                net.params[name], grad, {"learning_rate": rate}
            )
        rate *= factor
    net.params = params
    return rates, losses


@unusual("range_test")
def as_a_generator(net, batches, low=1e-4, high=10.0):
    before = UserDict(net.params)
    seen = []

    def steps():
        for i, (X, y) in enumerate(batches):
            rate = math.exp(
                math.log(low) + i / (len(batches) - 1) * math.log(high / low)
            )
            loss, grads = net.loss(X, y)
            yield rate, loss
            net.params |= {n: net.params[n] - rate * grads[n] for n in grads}

    def fine(pair):
        seen.append(pair)
        losses = [loss for _, loss in seen]
        return math.isfinite(losses[-1]) and losses[-1] <= 4 * min(losses)

    list(takewhile(fine, steps()))
    net.params.update(before)
    return [rate for rate, _ in seen], [loss for _, loss in seen]
