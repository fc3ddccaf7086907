"""Topic 02, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_minibatches(minibatches, X, y, batch_size, seeds, num_passes):
    """All batches of some passes, with a generator for each seed."""
    from itertools import islice

    import numpy as np

    from grader.alongside import copied, unpack, watch

    # whoever never ends is stopped
    limit = 2 * len(X) + 2

    def go_through(X, y):
        passes = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            for _ in range(num_passes):
                batches = islice(minibatches(X, y, batch_size, rng), limit)
                pairs = [unpack(batch, "X_batch", "y_batch") for batch in batches]
                passes.append(copied(pairs))
        return passes

    passes, seen = watch(go_through, X=X, y=y)
    return {"passes": passes, **seen}


def run_rule(rule, params, rates, either=False):
    """Steps of one rule for several parameters in turn, each with its own config.

    Where a config is None, the first call leaves it out, or every other one gives None.
    """
    from grader.alongside import copied, unpack, watch

    state = ("velocity", "cache", "m", "v", "t")
    given = [copied(param["config"] or {}) for param in params]
    configs = [param["config"] for param in params]
    paths = [[] for _ in params]

    def step(k, w, dw):
        left_out = configs[k] is None and k % 2 == 0
        result = rule(w, dw) if left_out else rule(w, dw, configs[k])
        next_w, configs[k] = unpack(result, "next_w", "config")
        if not isinstance(configs[k], dict):
            kind = type(configs[k]).__name__
            raise TypeError(f"config came back as {kind}, where a dict is promised")
        paths[k].append(copied(next_w))
        return next_w

    def walk(ws, dws):
        ws = list(ws)
        for i in range(len(dws[0])):
            for k in range(len(ws)):
                if rates:
                    configs[k]["learning_rate"] = rates[i]
                ws[k] = step(k, ws[k], dws[k][i])

    _, seen = watch(walk, w=[p["w"] for p in params], dw=[p["dws"] for p in params])
    return {
        "next_w": paths,
        "state": [{n: c[n] for n in state if n in c} for c in configs],
        "settings": [
            {name: c.get(name) for name in names if name not in state}
            for c, names in zip(configs, given, strict=True)
        ],
        **seen,
    }


def run_convert_velocity(convert_velocity, velocity, learning_rate, pairs):
    """One velocity, from and to the notations of each pair."""
    from grader.alongside import copied, watch

    made, changed = {}, set()
    for given, wanted in pairs:
        result, seen = watch(
            lambda v, given=given, wanted=wanted: convert_velocity(
                v, learning_rate, given, wanted
            ),
            velocity=velocity,
        )
        made[f"{given} to {wanted}"] = copied(result)
        changed |= set(seen["changed"])
    return {"velocities": made, "changed": sorted(changed)}


def run_descend(descend, w, num_steps, config, curvature, center, in_place):
    """The path on a bowl of our own, with a rule of our own, which has momentum.

    The rule changes the config that it is given, or leaves it and returns a new one.
    """
    from grader.alongside import watch

    def rule(w, dw, config=None):
        config = {} if config is None else config
        config = config if in_place else dict(config)
        kept = config.get("momentum", 0.5) * config.get("velocity", 0.0)
        config["velocity"] = kept - config.get("learning_rate", 0.1) * dw
        return w + config["velocity"], config

    def gradient(w):
        return curvature * (w - center)

    def walk(w, config):
        more = () if config is None else (config,)
        return descend(rule, gradient, w, num_steps, *more)

    path, seen = watch(walk, w=w, config=config)
    return {"path": path, **seen}


def run_schedule(schedule, calls):
    """One rate for each call, with arguments by place and by name."""
    return {"rates": [schedule(*places, **names) for places, names in calls]}


def run_plateau(ReduceOnPlateau, plateaus):
    """Several schedules side by side, each shown its own values in turn."""
    made = [ReduceOnPlateau(*p["places"], **p["names"]) for p in plateaus]
    rates = [[] for _ in plateaus]
    for i in range(max(len(p["values"]) for p in plateaus)):
        for schedule, p, shown in zip(made, plateaus, rates, strict=True):
            if i < len(p["values"]):
                shown.append(schedule.step(p["values"][i]))
    return {"rates": rates}


def run_train(
    train, params, bowls, X, y, config, in_place, num_epochs, batch_size, seed, rates
):
    """Train a net of our own, which writes down the batches that it is shown.

    Each parameter has a bowl of its own for a loss, (curvature, center), whatever the
    batch is; the rule is ours, too, and has momentum.
    """
    import numpy as np

    from grader.alongside import copied, same, watch

    class Net:
        def __init__(self):
            self.params = copied(params)
            self.batches = []

        def loss(self, X, y):
            batch = copied((X, y))
            # the loss alone may have been asked for before
            if not self.batches or not same(self.batches[-1], batch):
                self.batches.append(batch)
            loss, grads = 0.0, {}
            for name, (curvature, center) in bowls.items():
                off = self.params[name] - center
                loss += 0.5 * float((curvature * off**2).sum())
                grads[name] = curvature * off
            # every gradient depends on all parameters
            total = float(sum(self.params[name].sum() for name in bowls))
            grads = {name: grad + 0.02 * total for name, grad in grads.items()}
            return loss + 0.01 * total**2, grads

    def rule(w, dw, config=None):
        config = {} if config is None else config
        config = config if in_place else dict(config)
        velocity = config.get("velocity", np.zeros_like(w))
        config["velocity"] = 0.5 * velocity - config["learning_rate"] * dw
        return w + config["velocity"], config

    def run(X, y, config):
        net, rng = Net(), np.random.default_rng(seed)
        # without a schedule it has its default
        more = () if rates is None else (lambda epoch: rates[epoch],)
        losses = train(net, X, y, rule, config, num_epochs, batch_size, rng, *more)
        return net, [float(loss) for loss in losses]

    (net, losses), seen = watch(run, X=X, y=y, config=config)
    again, _ = run(X, y, config)
    return {
        "losses": losses,
        "params": net.params,
        "batches": net.batches,
        "batches again": again.batches,
        **seen,
    }


def run_range_test(range_test, params, bowls, batches, options):
    """A test of a net of our own; y is the factor of a batch's loss, X is a shift."""
    from grader.alongside import unpack, watch

    class Net:
        def __init__(self):
            self.params = params

        def loss(self, X, y):
            loss, grads = 0.0, {}
            for name, (curvature, center) in bowls.items():
                off = self.params[name] - center - X[0]
                loss += 0.5 * float(y[0] * (curvature * off**2).sum())
                grads[name] = y[0] * curvature * off
            # every gradient depends on all parameters
            total = float(sum(self.params[name].sum() for name in bowls))
            grads = {name: g + 0.02 * float(y[0]) * total for name, g in grads.items()}
            return loss + 0.01 * float(y[0]) * total**2, grads

    net = Net()

    def run(batches):
        return range_test(net, batches, **options)

    result, seen = watch(run, batches=batches)
    rates, losses = unpack(result, "rates", "losses")
    return {
        "rates": [float(rate) for rate in rates],
        "losses": [float(loss) for loss in losses],
        "params": net.params,
        **seen,
    }
