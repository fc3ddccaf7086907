"""Topic 02, compact right answers: what the mistakes are edits of."""

import numpy as np


def minibatches(X, y, batch_size, rng):
    N = len(X)
    order = rng.permutation(N)
    for i in range(0, N, batch_size):
        batch = order[i : i + batch_size]
        yield X[batch], y[batch]


def sgd(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-2)
    next_w = w - lr * dw
    return next_w, config


def sgd_momentum(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-2)
    mu = config.setdefault("momentum", 0.9)
    v = config.get("velocity", np.zeros_like(w))
    v = mu * v - lr * dw
    next_w = w + v
    config["velocity"] = v
    return next_w, config


def nesterov(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-2)
    mu = config.setdefault("momentum", 0.9)
    v = config.get("velocity", np.zeros_like(w))
    new_v = mu * v - lr * dw
    next_w = w + mu * new_v - lr * dw
    config["velocity"] = new_v
    return next_w, config


def adagrad(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-2)
    eps = config.setdefault("epsilon", 1e-8)
    cache = config.get("cache", np.zeros_like(w))
    cache = cache + dw * dw
    next_w = w - lr * dw / (np.sqrt(cache) + eps)
    config["cache"] = cache
    return next_w, config


def rmsprop(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-2)
    rho = config.setdefault("decay_rate", 0.99)
    eps = config.setdefault("epsilon", 1e-8)
    cache = config.get("cache", np.zeros_like(w))
    cache = rho * cache + (1 - rho) * dw * dw
    next_w = w - lr * dw / (np.sqrt(cache) + eps)
    config["cache"] = cache
    return next_w, config


def adam(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-3)
    beta1 = config.setdefault("beta1", 0.9)
    beta2 = config.setdefault("beta2", 0.999)
    eps = config.setdefault("epsilon", 1e-8)
    m = config.get("m", np.zeros_like(w))
    v = config.get("v", np.zeros_like(w))
    t = config.get("t", 0) + 1
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw * dw
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    next_w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    config.update(m=m, v=v, t=t)
    return next_w, config


def adam_uncorrected(w, dw, config=None):
    config = dict(config or {})
    lr = config.setdefault("learning_rate", 1e-3)
    beta1 = config.setdefault("beta1", 0.9)
    beta2 = config.setdefault("beta2", 0.999)
    eps = config.setdefault("epsilon", 1e-8)
    m = config.get("m", np.zeros_like(w))
    v = config.get("v", np.zeros_like(w))
    t = config.get("t", 0) + 1
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw * dw
    next_w = w - lr * m / (np.sqrt(v) + eps)
    config.update(m=m, v=v, t=t)
    return next_w, config


def convert_velocity(velocity, learning_rate, given, wanted):
    lr = learning_rate
    to_sum = {"sum": 1.0, "minus": 1 / lr, "plus": -1 / lr}[given]
    from_sum = {"sum": 1.0, "minus": lr, "plus": -lr}[wanted]
    converted = velocity * to_sum * from_sum
    return converted


def descend(rule, gradient, w, num_steps, config=None):
    config = dict(config or {})
    path = [w.copy()]
    for _ in range(num_steps):
        w, config = rule(w, gradient(w), config)
        path.append(w)
    return np.stack(path)


def step_decay(lr0, epoch, drop=0.5, every=10):
    drops = epoch // every
    return lr0 * drop**drops


def exponential_decay(lr0, k, t):
    return lr0 * np.exp(-k * t)


class ReduceOnPlateau:
    def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
        self.lr = lr
        self.factor = factor
        self.patience = patience
        self.min_lr = min_lr
        self.best = float("inf")
        self.count = 0

    def step(self, value):
        if value < self.best:
            self.best = value
            self.count = 0
        else:
            self.count += 1
        if self.count > self.patience:
            self.count = 0
            reduced = max(self.lr * self.factor, self.min_lr)
            self.lr = min(self.lr, reduced)
        return self.lr


def train(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    configs = {name: dict(config) for name in net.params}
    losses = []
    for epoch in range(num_epochs):
        if schedule is not None:
            for name in configs:
                configs[name]["learning_rate"] = schedule(epoch)
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            loss, grads = net.loss(X_batch, y_batch)
            losses.append(loss)
            for name, grad in grads.items():
                next_w, next_config = rule(net.params[name], grad, configs[name])
                net.params[name] = next_w
                configs[name] = next_config
    return losses


def range_test(net, batches, low=1e-4, high=10.0):
    before = {name: w.copy() for name, w in net.params.items()}
    growth = (high / low) ** (1 / (len(batches) - 1))
    rates, losses = [], []
    for i, (X, y) in enumerate(batches):
        rate = low * growth**i
        loss, grads = net.loss(X, y)
        rates.append(rate)
        losses.append(loss)
        if not np.isfinite(loss) or loss > 4 * min(losses):
            break
        for name in net.params:
            net.params[name] = net.params[name] - rate * grads[name]
    net.params.update(before)
    return rates, losses
