"""Topic 02, what is right: PyTorch's optimizers and schedules in float64, closed forms.

An oracle takes the data of one case and returns what ``run`` has to return. Results are
computed in float64 and have the dtype of the case's arrays.
"""

import math
from itertools import permutations

import numpy as np
import torch

from grader.checks.promises import NO_SIDE_EFFECTS
from grader.comparing import disagreement

RATES = {"adam": 1e-3, "adam_uncorrected": 1e-3}
# where a solution puts epsilon inside the root, and that is to be forgiven
FIRST_STEPS = {
    "adagrad": lambda dw: dw / np.sqrt(dw**2 + 1e-8),
    "rmsprop": lambda dw: dw / np.sqrt((1 - 0.99) * dw**2 + 1e-8),
    "adam": lambda dw: dw / np.sqrt(dw**2 + 1e-8),
    "adam_uncorrected": lambda dw: (1 - 0.9) * dw / np.sqrt((1 - 0.999) * dw**2 + 1e-8),
}


def _tensor(array):
    return torch.tensor(np.float64(array))


# --- update rules ---


def rule(name):
    """Return the oracle of an update rule."""

    def oracle(params, rates, either=False):
        walks = [_walk(name, rates=rates, **param) for param in params]
        paths = [path for path, _ in walks]
        if either:
            step = FIRST_STEPS[name]
            inside = [
                [param["w"] - RATES.get(name, 1e-2) * step(param["dws"][0])]
                for param in params
            ]
            paths = {"beside": paths, "inside": inside}
        return {
            "next_w": paths,
            "state": [state for _, state in walks],
            "settings": [_settings(param["config"], rates) for param in params],
            **NO_SIDE_EFFECTS,
        }

    return oracle


def _settings(config, rates):
    state = ("velocity", "cache", "m", "v", "t")
    kept = {n: value for n, value in (config or {}).items() if n not in state}
    return kept | ({"learning_rate": rates[-1]} if rates and kept else {})


def _walk(name, w, dws, config, rates):
    """Return where PyTorch's optimizer goes, and its state in the course's terms."""
    config = {"learning_rate": RATES.get(name, 1e-2)} | (config or {})
    weights = torch.nn.Parameter(_tensor(w))
    optimizer = _OPTIMIZERS[name](weights, config)
    path, lr = [], config["learning_rate"]
    for i, dw in enumerate(dws):
        if rates:
            _set_rate(optimizer, weights, lr, rates[i])
            lr = rates[i]
        weights.grad = _tensor(dw)
        optimizer.step()
        path.append(weights.detach().numpy().astype(w.dtype, copy=True))
    state = _STATES[name](optimizer.state[weights], lr, dws[-1])
    if "t" in state:
        state["t"] = config.get("t", 0) + len(dws)
    return path, {n: _as(w.dtype, value) for n, value in state.items()}


def _as(dtype, value):
    return value.numpy().astype(dtype) if torch.is_tensor(value) else value


def _set_rate(optimizer, weights, old, new):
    """Change the learning rate as the course's notation has it: the velocity is a
    step, so old steps are not rescaled; PyTorch keeps a sum of gradients."""
    optimizer.param_groups[0]["lr"] = new
    if (buffer := optimizer.state[weights].get("momentum_buffer")) is not None:
        buffer.mul_(old / new)


def _sgd(weights, config):
    return torch.optim.SGD([weights], lr=config["learning_rate"])


def _momentum(**more):
    def make(weights, config):
        lr, momentum = config["learning_rate"], config.get("momentum", 0.9)
        if not momentum:
            return torch.optim.SGD([weights], lr=lr)
        optimizer = torch.optim.SGD([weights], lr=lr, momentum=momentum, **more)
        if "velocity" in config:
            buffer = -_tensor(config["velocity"]) / lr
            optimizer.state[weights]["momentum_buffer"] = buffer
        return optimizer

    return make


def _adagrad(weights, config):
    settings = {"lr": config["learning_rate"], "eps": config.get("epsilon", 1e-8)}
    optimizer = torch.optim.Adagrad([weights], **settings)
    if "cache" in config:
        optimizer.state[weights]["sum"] = _tensor(config["cache"])
    return optimizer


def _rmsprop(weights, config):
    settings = {"lr": config["learning_rate"], "eps": config.get("epsilon", 1e-8)}
    alpha = config.get("decay_rate", 0.99)
    optimizer = torch.optim.RMSprop([weights], alpha=alpha, **settings)
    if "cache" in config:
        cache = _tensor(config["cache"])
        state = {"step": torch.tensor(0.0), "square_avg": cache}
        optimizer.state[weights] = state
    return optimizer


def _adam(first_step=None):
    def make(weights, config):
        settings = {"lr": config["learning_rate"], "eps": config.get("epsilon", 1e-8)}
        betas = config.get("beta1", 0.9), config.get("beta2", 0.999)
        optimizer = torch.optim.Adam([weights], betas=betas, **settings)
        t = config.get("t", 0) if first_step is None else first_step
        moments = {
            torch_name: _tensor(config.get(name, np.zeros(weights.shape)))
            for torch_name, name in (("exp_avg", "m"), ("exp_avg_sq", "v"))
        }
        # in float64: PyTorch counts its steps in float32, which ends at 16 million
        step = torch.tensor(float(t), dtype=torch.float64)
        optimizer.state[weights] = {"step": step, **moments}
        return optimizer

    return make


def _velocity(state, lr, last_dw):
    buffer = state.get("momentum_buffer")
    buffer = _tensor(last_dw) if buffer is None else buffer
    return {"velocity": -lr * buffer}


def _moments(state, lr, last_dw):
    return {"m": state["exp_avg"], "v": state["exp_avg_sq"], "t": 0}


_OPTIMIZERS = {
    "sgd": _sgd,
    "sgd_momentum": _momentum(),
    "nesterov": _momentum(nesterov=True),
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam(),
    # so many steps on, the correction divides by 1
    "adam_uncorrected": _adam(first_step=1e9),
}
_STATES = {
    "sgd": lambda state, lr, last_dw: {},
    "sgd_momentum": _velocity,
    "nesterov": _velocity,
    "adagrad": lambda state, lr, last_dw: {"cache": state["sum"]},
    "rmsprop": lambda state, lr, last_dw: {"cache": state["square_avg"]},
    "adam": _moments,
    "adam_uncorrected": _moments,
}


def compare_either(key, seen, expected):
    """Return in words how first steps are wrong with both places of epsilon, or ""."""
    faults = [disagreement(key, seen, e, 1e-4) for e in expected.values()]
    return "" if "" in faults else faults[0]


def convert_velocity(velocity, learning_rate, pairs):
    """What a step is in each notation: v is -step/lr, -step, step."""
    step = {
        "sum": -np.float64(velocity) * learning_rate,
        "minus": -np.float64(velocity),
        "plus": np.float64(velocity),
    }
    made = {}
    for given, wanted in pairs:
        s = step[given]
        value = {"sum": -s / learning_rate, "minus": -s, "plus": s}[wanted]
        made[f"{given} to {wanted}"] = value.astype(velocity.dtype)
    return {"velocities": made, "changed": []}


# --- minibatches ---


def minibatches(X, y, batch_size, seeds, num_passes):
    """The facts about batches, whatever their order."""
    N = len(X)
    full, rest = divmod(N, batch_size)
    return {
        "samples": True,
        "samples with their labels": True,
        "sizes": [[batch_size] * full + [rest] * (rest > 0)]
        * (len(seeds) * num_passes),
        "dtypes of the batches": [str(X.dtype), str(y.dtype)],
        "in random order": True,
        "another order in each pass": True,
        "the same order for the same seed": True,
        "orders that come up": list(permutations(range(N))) if N < 5 else None,
        **NO_SIDE_EFFECTS,
    }


def facts_of_batches(seen, X, y, batch_size, seeds, num_passes):
    """Return what there is to say about batches, besides their order."""
    passes = [[(np.asarray(a), np.asarray(b)) for a, b in p] for p in seen["passes"]]
    orders = [_order(batches, y) for batches in passes]
    groups = [orders[i : i + num_passes] for i in range(0, len(orders), num_passes)]
    by_seed: dict[int, list] = {}
    for seed, group in zip(seeds, groups, strict=True):
        by_seed.setdefault(seed, []).append(group)
    return {
        "samples": all(sorted(order) == list(range(len(y))) for order in orders),
        "samples with their labels": all(
            _paired(batch, X, y) for batches in passes for batch in batches
        ),
        "sizes": [[len(b) for _, b in batches] for batches in passes],
        "dtypes of the batches": _dtypes(passes),
        "in random order": any(order != sorted(order) for order in orders),
        "another order in each pass": len(set(map(tuple, orders))) > len(orders) // 4,
        "the same order for the same seed": all(
            group == groups[0] for groups in by_seed.values() for group in groups
        ),
        "orders that come up": sorted(set(map(tuple, orders))),
        "changed": seen["changed"],
        "warnings": seen["warnings"],
    }


def _order(batches, y):
    """The places of samples in the data, in the order of the batches; -1 if unknown."""
    places = {value: i for i, value in enumerate(y.ravel().tolist())}
    return [places.get(value, -1) for _, b in batches for value in b.ravel().tolist()]


def _paired(batch, X, y):
    X_batch, y_batch = batch
    if X_batch.shape[1:] != X.shape[1:] or len(X_batch) != len(y_batch):
        return False
    places = _order([batch], y)
    same = np.array_equal(X_batch, X[places]) and np.array_equal(y_batch, y[places])
    return -1 not in places and bool(same)


def _dtypes(passes):
    found = {(str(a.dtype), str(b.dtype)) for batches in passes for a, b in batches}
    return list(found.pop()) if len(found) == 1 else sorted(map(str, found))


# --- walking, schedules, training ---


def _roll(params, bowls, config, rates, coupling=0.0):
    """Yield the loss before, and parameters after, each step of PyTorch's SGD."""
    weights = {n: torch.nn.Parameter(_tensor(w)) for n, w in params.items()}
    settings = {"lr": 0.1, "momentum": config["momentum"]}
    optimizer = torch.optim.SGD(weights.values(), **settings)
    lr = rates[0] or 1e-300 if rates else 0.1
    for rate in rates:
        # in PyTorch's notation the velocity is divided by the rate
        rate = rate or 1e-300
        optimizer.param_groups[0]["lr"] = rate
        for w in weights.values():
            if (buffer := optimizer.state[w].get("momentum_buffer")) is not None:
                buffer.mul_(lr / rate)
        lr = rate
        loss = coupling * sum(w.sum() for w in weights.values()) ** 2 + sum(
            0.5 * (_tensor(bowls[n][0]) * (w - _tensor(bowls[n][1])) ** 2).sum()
            for n, w in weights.items()
        )
        optimizer.zero_grad()
        for w, grad in zip(
            weights.values(),
            torch.autograd.grad(loss, list(weights.values())),
            strict=True,
        ):
            w.grad = grad
        optimizer.step()
        yield loss.item(), {n: w.detach().numpy().copy() for n, w in weights.items()}


def descend(w, num_steps, config, curvature, center, in_place):
    config = {"learning_rate": 0.1, "momentum": 0.5} | (config or {})
    rates = [config["learning_rate"]] * num_steps
    steps = _roll({"w": w}, {"w": (curvature, center)}, config, rates)
    path = np.stack([w, *[params["w"] for _, params in steps]])
    return {"path": path, **NO_SIDE_EFFECTS}


def train(params, bowls, X, y, config, in_place, num_epochs, batch_size, seed, rates):
    """The way of PyTorch's SGD, and the facts about the batches on it."""
    N, per_epoch = len(X), -(-len(X) // batch_size)
    if rates is None:
        rates = [config["learning_rate"]] * num_epochs
    steps = [rate for rate in rates[:num_epochs] for _ in range(per_epoch)]
    way = list(_roll(params, bowls, {"momentum": 0.5}, steps, coupling=0.01))
    sizes = [batch_size] * (N // batch_size) + [N % batch_size] * (N % batch_size > 0)
    return {
        "losses": [loss for loss, _ in way],
        "params": way[-1][1] if way else params,
        "samples": True,
        "samples with their labels": True,
        "sizes": sizes * num_epochs,
        "another order in each epoch": True,
        "the same order for the same seed": True,
        **NO_SIDE_EFFECTS,
    }


def facts_of_training(seen, X, y, **case):
    """Return what came back, with facts in place of batches."""
    batches, again = (
        [(np.asarray(a), np.asarray(b)) for a, b in seen[name]]
        for name in ("batches", "batches again")
    )
    order = _order(batches, y)
    epochs = [order[i : i + len(y)] for i in range(0, len(order), len(y))]
    return {
        **{name: seen[name] for name in ("losses", "params", "changed", "warnings")},
        "samples": all(sorted(epoch) == list(range(len(y))) for epoch in epochs),
        "samples with their labels": all(_paired(batch, X, y) for batch in batches),
        "sizes": [len(b) for _, b in batches],
        "another order in each epoch": len(set(map(tuple, epochs))) > 1,
        "the same order for the same seed": order == _order(again, y),
    }


def range_test(params, bowls, batches, options):
    """Losses and rates by torch's autograd; the parameters stay what they were."""
    low, high = options.get("low", 1e-4), options.get("high", 10.0)
    exponents = torch.linspace(
        math.log(low), math.log(high), len(batches), dtype=torch.float64
    )
    weights = {n: _tensor(w).requires_grad_() for n, w in params.items()}
    losses: list[float] = []
    for rate, (X, y) in zip(exponents.exp().tolist(), batches, strict=True):
        loss = sum(
            0.5
            * float(y[0])
            * (_tensor(bowls[n][0]) * (w - _tensor(bowls[n][1]) - X[0]) ** 2).sum()
            for n, w in weights.items()
        )
        loss = loss + 0.01 * float(y[0]) * sum(w.sum() for w in weights.values()) ** 2
        too_large = bool(losses) and loss.item() > 4 * min(losses)
        losses.append(loss.item())
        if too_large or not math.isfinite(losses[-1]):
            break
        grads = torch.autograd.grad(loss, list(weights.values()))
        weights = {
            n: (w - rate * grad).detach().requires_grad_()
            for (n, w), grad in zip(weights.items(), grads, strict=True)
        }
    rates = exponents.exp().tolist()[: len(losses)]
    return {"rates": rates, "losses": losses, "params": params, **NO_SIDE_EFFECTS}


def step_decay(calls):
    """Multiply by drop, once for each epoch that is a multiple of every."""
    rates = []
    for places, names in calls:
        given = dict(zip(("lr0", "epoch", "drop", "every"), places, strict=False))
        given = {"drop": 0.5, "every": 10} | given | names
        rate = given["lr0"]
        for epoch in range(1, given["epoch"] + 1):
            rate *= given["drop"] if epoch % given["every"] == 0 else 1
        rates.append(rate)
    return {"rates": rates}


def exponential_decay(calls):
    return {"rates": [lr0 * math.e ** -(k * t) for (lr0, k, t), _ in calls]}


def plateau(plateaus):
    """PyTorch's schedule, told to take every smaller value for an improvement."""
    return {"rates": [_plateau_rates(**p) for p in plateaus]}


def _plateau_rates(places, names, values):
    given = dict(zip(("lr", "factor", "patience", "min_lr"), places, strict=False))
    given = {"factor": 0.1, "patience": 10, "min_lr": 0.0} | given | names
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], given.pop("lr"))
    exactly = {"threshold": 0.0, "threshold_mode": "abs", "eps": 0.0}
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **given, **exactly)
    rates = []
    for value in values:
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates
