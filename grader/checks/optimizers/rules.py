"""Topic 02, the checks of the update rules, and of the notations of momentum."""

from collections import Counter
from collections.abc import Callable

from grader.checking import Exercise, Mistake, Property
from grader.checks.optimizers import adaptive_mistakes as adaptive
from grader.checks.optimizers import cases, oracles, rule_cases, runs
from grader.checks.optimizers import rule_mistakes as mistakes
from grader.checks.optimizers.rule_cases import Rules
from grader.checks.promises import HANDS_OFF, promise

# epsilon beside the root or in it: what that changes at everyday gradients is less
EVERYDAY = 1e-4


class Rule(Exercise):
    """An exercise whose properties look at one output in many ways.

    Two mistakes may agree by chance in one of them, in a first step, say. So a mistake
    is named only if it explains most of what is wrong with an output.
    """

    def _explained_by(
        self, mistake: Mistake, props: list, faults: dict, runs: dict
    ) -> set[tuple[str, str]]:
        pairs = super()._explained_by(mistake, props, faults, runs)
        wrong = Counter(key for prop in props for key in faults[prop])
        explained = Counter(key for _, key in pairs)
        return {(name, key) for name, key in pairs if 2 * explained[key] > wrong[key]}


def _rule(name: str, rules: Rules, known: tuple[Mistake, ...], **points) -> Exercise:
    """Return the check of one rule; ``points`` are given by the property's name."""
    return Rule(
        name=name,
        run=runs.run_rule,
        oracle=oracles.rule(name),
        properties=tuple(
            _PROPERTIES[key](value, rules) for key, value in points.items()
        ),
        mistakes=known,
    )


def _steps(
    words: str, cases_name: str, *keys: str, rtol: float = EVERYDAY, hint: str = ""
) -> Callable[[float, Rules], Property]:
    def make(points: float, rules: Rules) -> Property:
        chosen = getattr(rules, cases_name)
        return promise(points, words, chosen, *keys, rtol=rtol, hint=hint)

    return make


def _tiny(points: float, rules: Rules) -> Property:
    words = "stays right where gradients are as small as epsilon"
    compare = oracles.compare_either
    return promise(points, words, rules.tiny, "next_w", compare=compare)


_PROPERTIES = {
    "defaults": _steps("takes the right first step", "defaults", "next_w"),
    "settings": _steps(
        "obeys its settings",
        "settings",
        "next_w",
        hint="Try one setting alone, and a setting of 0.",
    ),
    "many": _steps(
        "stays right over many steps",
        "many_steps",
        "next_w",
        hint="Work out two steps by hand, and look at what config holds in between.",
    ),
    "state": _steps(
        "takes up the state in config, and hands it back",
        "state",
        "next_w",
        "state",
        "settings",
        hint="Start from a config that holds a state, and look at it afterwards.",
    ),
    "rate": _steps(
        "obeys a learning rate that changes between steps", "changing_rate", "next_w"
    ),
    "several": _steps(
        "keeps the states of several parameters apart", "several", "next_w"
    ),
    "epsilon": _steps(
        "has epsilon beside the root, at any size", "epsilon", "next_w", rtol=1e-6
    ),
    "tiny": _tiny,
    "hands_off": _steps(
        f"{HANDS_OFF}, without a warning",
        "float32",
        "next_w",
        "changed",
        "warnings",
        rtol=1e-4,
    ),
}

sgd = _rule(
    "sgd",
    rule_cases.sgd,
    mistakes.sgd,
    defaults=0.5,
    settings=0.75,
    rate=0.25,
    hands_off=0.5,
)

sgd_momentum = _rule(
    "sgd_momentum",
    rule_cases.momentum,
    mistakes.sgd_momentum,
    defaults=0.5,
    settings=0.75,
    many=0.75,
    state=0.75,
    rate=0.5,
    several=0.25,
    hands_off=0.5,
)

nesterov = _rule(
    "nesterov",
    rule_cases.momentum,
    mistakes.nesterov,
    defaults=0.5,
    settings=0.5,
    many=0.5,
    state=0.5,
    rate=0.25,
    several=0.25,
    hands_off=0.5,
)

_PER_ENTRY = {
    "defaults": 0.5,
    "settings": 0.25,
    "many": 0.5,
    "state": 0.5,
    "rate": 0.25,
    "epsilon": 0.25,
    "tiny": 0.25,
    "several": 0.25,
    "hands_off": 0.25,
}

adagrad = _rule("adagrad", rule_cases.adagrad, adaptive.adagrad, **_PER_ENTRY)

rmsprop = _rule("rmsprop", rule_cases.rmsprop, adaptive.rmsprop, **_PER_ENTRY)

adam = _rule(
    "adam",
    rule_cases.adam,
    adaptive.adam,
    defaults=1,
    settings=0.5,
    many=1,
    state=0.75,
    rate=0.25,
    epsilon=0.25,
    tiny=0.25,
    several=0.5,
    hands_off=0.5,
)

adam_uncorrected = _rule(
    "adam_uncorrected",
    rule_cases.adam,
    adaptive.adam_uncorrected,
    defaults=0.25,
    settings=0.25,
    many=0.25,
    state=0.25,
    rate=0.25,
    epsilon=0.25,
    several=0.25,
    hands_off=0.25,
)

convert_velocity = Exercise(
    name="convert_velocity",
    run=runs.run_convert_velocity,
    oracle=oracles.convert_velocity,
    properties=(
        promise(
            2.25, "translates between the notations", cases.conversions, "velocities"
        ),
        promise(
            0.75,
            "does so in float32, for all pairs, and leaves velocity as it was",
            cases.conversions_float32,
            "velocities",
            "changed",
        ),
    ),
    mistakes=mistakes.convert_velocity,
)
