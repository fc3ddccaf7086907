"""Topic 02, known wrong answers: SGD, momentum, Nesterov, and momentum's notations."""

from collections.abc import Callable

from grader.checking import Mistake
from grader.checks.optimizers import answers as right
from grader.mistakes import FLOAT64, in_place, table

_CONFIG = "config = dict(config or {})"
_RETURN = "return next_w, config"
_NO_DEFAULT = "a config that is left out, or None, is not understood: start from a dict"
_SHARED = (
    "the state is kept in a dict that all calls share: make a new one where no config"
    " is given"
)


def shared_by_all_rules(answer: Callable) -> tuple[Mistake, ...]:
    """Return the mistakes with ``config`` that can be made in every rule."""
    return table(
        answer,
        ("no config", _NO_DEFAULT, (_CONFIG, "config = dict(config)")),
        (
            "settings ignored",
            "the settings in config are ignored: the defaults are taken always",
            (_CONFIG, "config = {}"),
        ),
        (
            "config lost",
            "the config that comes back lacks what was in it",
            (_RETURN, "return next_w, {}"),
        ),
        (
            "only the weights",
            "the function returns the weights alone: return (next_w, config)",
            (_RETURN, "return next_w"),
        ),
        (
            "w in place",
            in_place("w"),
            (_RETURN, "w[...] = next_w\n    return w, config"),
        ),
        ("dw in place", in_place("dw"), (_RETURN, f"dw *= 2\n    {_RETURN}")),
        (
            "float64",
            FLOAT64,
            (_RETURN, "return next_w + np.zeros_like(w, dtype=float), config"),
        ),
        (
            "first learning rate kept",
            "the learning rate of the first step is taken in all steps",
            (
                'lr = config.setdefault("learning_rate", ',
                'lr = config["kept"] = config["kept"] if "kept" in config else'
                ' config.setdefault("learning_rate", ',
            ),
        ),
    )


def _default_rate(answer: Callable, number: str) -> tuple[Mistake, ...]:
    edit = (f'("learning_rate", {number})', f'("learning_rate", 10 * {number})')
    message = "the learning rate has another default than the promised one"
    return table(answer, ("default learning rate", message, edit))


sgd = (
    *shared_by_all_rules(right.sgd),
    *_default_rate(right.sgd, "1e-2"),
    *table(
        right.sgd,
        (
            "uphill",
            "the step goes uphill: subtract the gradient",
            ("w - lr * dw", "w + lr * dw"),
        ),
        ("no learning rate", "the learning rate is missing", ("lr * dw", "dw")),
        (
            "step alone",
            "what comes back is the step: add it to w",
            ("w - lr * dw", "-lr * dw"),
        ),
        (
            "sign alone",
            "the step takes the sign of dw alone, not its size",
            ("lr * dw", "lr * np.sign(dw)"),
        ),
        (
            "gradient of length 1",
            "the gradient is scaled to length 1",
            ("lr * dw", "lr * dw / np.sqrt((dw * dw).sum())"),
        ),
        (
            "mean gradient",
            "dw is averaged over an axis",
            ("lr * dw", "lr * dw.mean(0)"),
        ),
    ),
)

_SUM = ("v = mu * v - lr * dw", "v = mu * v + dw")

sgd_momentum = (
    *shared_by_all_rules(right.sgd_momentum),
    *_default_rate(right.sgd_momentum, "1e-2"),
    *table(
        right.sgd_momentum,
        (
            "velocity not stored",
            "the velocity is not put into config, so every step starts from zero",
            ('    config["velocity"] = v\n', ""),
        ),
        (
            "velocity ignored",
            "a velocity that is in config is ignored, and starts from zero",
            ('config.get("velocity", np.zeros_like(w))', "np.zeros_like(w)"),
        ),
        (
            "old velocity",
            "the step is taken with the velocity of the step before",
            ("w + v", 'w + config.get("velocity", 0)'),
        ),
        (
            "sum of gradients",
            "your velocity is a sum of gradients, as in PyTorch: here it is the step"
            " itself, with the learning rate inside",
            _SUM,
            ("w + v", "w - lr * v"),
        ),
        (
            "velocity to be subtracted",
            "your velocity has the other sign: here it is added to w",
            ("mu * v - lr * dw", "mu * v + lr * dw"),
            ("w + v", "w - v"),
        ),
        (
            "uphill",
            "the step goes uphill: the gradient enters the velocity with a minus",
            ("mu * v - lr * dw", "mu * v + lr * dw"),
        ),
        (
            "velocity subtracted",
            "the velocity is subtracted, although it points downhill already",
            ("w + v", "w - v"),
        ),
        (
            "moving average",
            "the gradient is weighted with 1 - momentum: here it enters in full",
            ("- lr * dw", "- (1 - mu) * lr * dw"),
        ),
        (
            "momentum of the gradient",
            "momentum multiplies the gradient, where it belongs to the velocity",
            ("mu * v - lr * dw", "v - mu * lr * dw"),
        ),
        (
            "no momentum",
            "the velocity is kept in full: multiply it by momentum",
            ("mu * v", "v"),
        ),
        (
            "gradient twice",
            "the gradient enters the step twice, by way of the velocity and by itself",
            ("w + v", "w + v - lr * dw"),
        ),
        (
            "Nesterov",
            "this is Nesterov's step: plain momentum adds the velocity",
            ("w + v", "w + mu * v - lr * dw"),
        ),
        (
            "momentum 0 replaced",
            "a momentum of 0 is taken for a missing one: 0 is a value, too",
            (
                'mu = config.setdefault("momentum", 0.9)',
                'mu = config["momentum"] = config.get("momentum") or 0.9',
            ),
        ),
        (
            "default momentum",
            "momentum has another default than the promised one",
            ('"momentum", 0.9', '"momentum", 0.99'),
        ),
        (
            "shared state",
            _SHARED,
            ("config=None", "config={}"),
            (_CONFIG, "config = {} if config is None else config"),
        ),
    ),
)

nesterov = (
    *shared_by_all_rules(right.nesterov),
    *_default_rate(right.nesterov, "1e-2"),
    *table(
        right.nesterov,
        (
            "plain momentum",
            "this is plain momentum: Nesterov's step adds momentum times the new"
            " velocity, and the gradient once more",
            ("w + mu * new_v - lr * dw", "w + new_v"),
        ),
        (
            "gradient forgotten",
            "the step lacks the gradient: it is momentum * v - learning_rate * dw",
            ("w + mu * new_v - lr * dw", "w + mu * new_v"),
        ),
        (
            "velocity in full",
            "the new velocity enters the step in full: multiply it by momentum",
            ("w + mu * new_v", "w + new_v"),
        ),
        (
            "correction reversed",
            "old and new velocity are swapped in the step",
            ("w + mu * new_v - lr * dw", "w - mu * new_v + (1 + mu) * v"),
        ),
        (
            "uphill",
            "the gradient enters the velocity with a plus",
            ("mu * v - lr * dw\n    next", "mu * v + lr * dw\n    next"),
        ),
        (
            "velocity not stored",
            "the velocity is not put into config, so every step starts from zero",
            ('    config["velocity"] = new_v\n', ""),
        ),
        (
            "step stored as velocity",
            "what is put into config is the step, where the velocity belongs",
            ('config["velocity"] = new_v', 'config["velocity"] = next_w - w'),
        ),
        (
            "momentum twice",
            "momentum multiplies the velocity once more before it is stored",
            ('config["velocity"] = new_v', 'config["velocity"] = mu * new_v'),
        ),
        (
            "default momentum",
            "momentum has another default than the promised one",
            ('"momentum", 0.9', '"momentum", 0.99'),
        ),
    ),
)

_FROM = '{"sum": 1.0, "minus": lr, "plus": -lr}'
_TO = '{"sum": 1.0, "minus": 1 / lr, "plus": -1 / lr}'

convert_velocity = table(
    right.convert_velocity,
    (
        "sign forgotten",
        "all velocities come back with one sign: the one that is added to w has the"
        " other",
        (_TO, '{"sum": 1.0, "minus": 1 / lr, "plus": 1 / lr}'),
        (_FROM, '{"sum": 1.0, "minus": lr, "plus": lr}'),
    ),
    (
        "learning rate forgotten",
        "the learning rate is missing: a sum of gradients is not a step",
        (_TO, '{"sum": 1.0, "minus": 1.0, "plus": -1.0}'),
        (_FROM, '{"sum": 1.0, "minus": 1.0, "plus": -1.0}'),
    ),
    (
        "the wrong way",
        "the translation goes the wrong way, from wanted to given",
        ("[given]", "[wanted]\n    given, wanted = wanted, given"),
    ),
    (
        "multiplied for divided",
        "a step becomes a sum of gradients by division by the learning rate, not by"
        " multiplication",
        (_TO, '{"sum": 1.0, "minus": lr, "plus": -lr}'),
    ),
    (
        "divided for multiplied",
        "a sum of gradients becomes a step by multiplication with the learning rate,"
        " not by division",
        (_FROM, '{"sum": 1.0, "minus": 1 / lr, "plus": -1 / lr}'),
    ),
    (
        "minus and plus swapped",
        "the signs of the two kinds of steps are swapped",
        (_TO, '{"sum": 1.0, "minus": -1 / lr, "plus": 1 / lr}'),
        (_FROM, '{"sum": 1.0, "minus": -lr, "plus": lr}'),
    ),
    (
        "only from sums",
        "what is given is always taken for a sum of gradients",
        ("[given]", '["sum"]'),
    ),
    (
        "only to sums",
        "what comes back is always a sum of gradients",
        ("[wanted]", '["sum"]'),
    ),
    (
        "in place",
        in_place("velocity"),
        ("return converted", "velocity[...] = converted\n    return velocity"),
    ),
    (
        "float64",
        FLOAT64,
        ("return converted", "return converted + np.zeros(velocity.shape)"),
    ),
    (
        "itself not known",
        "a notation is not translated into itself",
        (
            "    converted =",
            "    if given == wanted:\n        raise KeyError(given)\n    converted =",
        ),
    ),
)
