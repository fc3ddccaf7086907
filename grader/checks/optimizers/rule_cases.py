"""Topic 02, on what: settings, state and gradients for the update rules."""

import numpy as np


def gradients(rng, count, shape, dtype=np.float64, zeros=False):
    """Gradients of everyday size: where epsilon stands makes no difference there."""
    made = rng.uniform(0.5, 4.0, size=(count, *shape)) * rng.choice([-1, 1], size=shape)
    # they keep their sign for a while, so that nothing cancels at first
    made[count // 2 :] *= rng.choice([-1, 1], size=made[count // 2 :].shape)
    if zeros:
        made[:, ..., 0] = 0
    return [dw.astype(dtype) for dw in made]


def _param(rng, shape, count, config, dtype=np.float64, zeros=False, size=1.0):
    return {
        "w": (size * rng.normal(size=shape)).astype(dtype),
        "dws": gradients(rng, count, shape, dtype, zeros),
        "config": config,
    }


def _one_case(params):
    """All parameters in one call of ``run``, in turn: a call costs more than a step."""
    return [{"params": list(params), "rates": None}]


class Rules:
    """The cases of one update rule: its settings and its state.

    ``settings(rng)`` draws values of all settings, ``state(rng, shape)`` a state;
    ``zero`` are settings that may be 0. ``default_rate`` is the learning rate when
    none is given, which is the size that ``w`` then has.
    """

    def __init__(self, settings, state, zero=(), default_rate=1e-2):
        self.draw_settings, self.draw_state = settings, state
        self.zero, self.default_rate = zero, default_rate

    def defaults(self, rng):
        """The first step, by itself, for one to four axes and a single number."""
        size = 5 * self.default_rate
        shapes = [(4,), (3, 5), (2, 3, 2), (2, 1, 2, 3), (1,), (1, 1)]
        configs = [None, {}, None, {}, None, None]
        return _one_case(
            _param(rng, shape, 1, config, size=size)
            for shape, config in zip(shapes, configs, strict=True)
        )

    def settings(self, rng):
        """A few steps with settings of all kinds, 0 among them where it may be."""
        chosen = [self.draw_settings(rng) for _ in range(3)]
        zero = ("learning_rate", *self.zero)
        chosen += [self.draw_settings(rng) | {name: 0.0} for name in zero]
        # one setting alone, the others at their defaults
        chosen += [
            {"learning_rate": 0.3} | {name: value}
            for name, value in self.draw_settings(rng).items()
        ]
        return _one_case(_param(rng, (3, 2), 3, config) for config in chosen)

    def many_steps(self, rng):
        """A way of forty steps, where some entries never get a gradient."""
        configs = [self.draw_settings(rng), {"learning_rate": 0.2}]
        return _one_case(_param(rng, (3, 4), 40, c, zeros=True) for c in configs)

    def state(self, rng):
        """State that is given: all of it, and each part alone."""
        params = []
        for names in [None, *[[name] for name in self.draw_state(rng, (2, 3))]]:
            state = self.draw_state(rng, (2, 3))
            state = {n: state[n] for n in names or state}
            config = self.draw_settings(rng) | state
            params.append(_param(rng, (2, 3), 2, config))
        return _one_case(params)

    def changing_rate(self, rng):
        """A learning rate that is raised and lowered between steps."""
        rates = [float(rate) for rate in rng.uniform(0.02, 0.3, size=6)]
        config = {**self.draw_settings(rng), "learning_rate": rates[0]}
        params = [_param(rng, (4, 2), 6, config)]
        return [{"params": params, "rates": rates}]

    def several(self, rng):
        """Parameters in turn: of one shape and of another, with and without config."""
        size = 10 * self.default_rate
        shapes = [(3,), (3,), (2, 2)]
        some = [_param(rng, shape, 4, None, size=size) for shape in shapes]
        configs = [self.draw_settings(rng), {"learning_rate": 0.2}]
        return _one_case([*some, *[_param(rng, (3,), 4, config) for config in configs]])

    def float32(self, rng):
        """Float32, from the first step on, with zeros among the gradients."""
        configs = [{"learning_rate": 0.3}, {**self.draw_settings(rng)}]
        shapes = [(3, 4), (5,)]
        return _one_case(
            _param(rng, shape, 4, config, np.float32, zeros=True)
            for shape, config in zip(shapes, configs, strict=True)
        )

    def epsilon(self, rng):
        """An epsilon that is as large as the gradients."""
        configs = [{**self.draw_settings(rng), "epsilon": e} for e in (0.3, 2.0)]
        return _one_case(_param(rng, (3, 2), 3, config) for config in configs)

    def tiny(self, rng):
        """Gradients as small as the usual epsilon, for one step."""
        w = 0.1 * self.default_rate * rng.normal(size=6)
        dws = [1e-8 * rng.uniform(0.5, 5.0, size=6)]
        return [
            {**_one_case([{"w": w, "dws": dws, "config": None}])[0], "either": True}
        ]


def _positive(rng, shape):
    return rng.uniform(0.5, 4.0, size=shape)


def _rate(rng):
    return float(rng.uniform(0.1, 0.5))


def _momentum_settings(rng):
    return {"learning_rate": _rate(rng), "momentum": float(rng.uniform(0.3, 0.8))}


def _rmsprop_settings(rng):
    return {"learning_rate": _rate(rng), "decay_rate": float(rng.uniform(0.3, 0.9))}


def _adam_settings(rng):
    betas = {
        "beta1": float(rng.uniform(0.3, 0.6)),
        "beta2": float(rng.uniform(0.7, 0.9)),
    }
    return {"learning_rate": _rate(rng), **betas}


def _moments(rng, shape):
    m = rng.normal(size=shape)
    return {"m": m, "v": _positive(rng, shape), "t": int(rng.integers(3, 9))}


sgd = Rules(lambda rng: {"learning_rate": _rate(rng)}, lambda rng, shape: {})
momentum = Rules(
    _momentum_settings,
    lambda rng, shape: {"velocity": rng.normal(size=shape)},
    zero=("momentum",),
)
adagrad = Rules(
    lambda rng: {"learning_rate": _rate(rng)},
    lambda rng, shape: {"cache": _positive(rng, shape)},
)
rmsprop = Rules(
    _rmsprop_settings,
    lambda rng, shape: {"cache": _positive(rng, shape)},
    zero=("decay_rate",),
)
adam = Rules(_adam_settings, _moments, zero=("beta1", "beta2"), default_rate=1e-3)
