"""Topic 09, the checks of the two networks: by what they do, however they are built."""

from grader.checking import Exercise, Property
from grader.checks.promises import promise
from grader.checks.segmentation import cases, net_mistakes, oracles, runs

EVEN = ((2, 16, 24), (2, 8, 8), (2, 22, 14))
ODD = ((2, 15, 22), (2, 9, 17), (2, 31, 13))
# of the levels of a network with up to four halvings, every map has a size of its own
DEEP = (1, 64, 48)
SIZES = ((1, 2), (5, 1), (2, 7))


def _promise(points: float, name: str, make, *keys: str, hint: str = "") -> Property:
    compare = oracles.compare_net
    return promise(points, name, make, *keys, compare=compare, hint=hint)


_FITS = (
    "Rounding makes some maps smaller: bring what comes from below to exactly the size"
    " that it joins"
)


def _shapes(*points: float) -> tuple[Property, ...]:
    look, scores = runs.look_at_scores, ("shape", "dtype")
    even, odd = cases.net(look, *EVEN), cases.net(look, *ODD)
    some = cases.net(look, (2, 16, 16), sizes=SIZES)
    return (
        _promise(points[0], "returns scores of the right size", even, *scores),
        _promise(points[1], "does so for odd sizes", odd, *scores, hint=_FITS),
        _promise(
            points[2],
            "takes any number of channels and classes, and returns scores",
            some,
            "shape",
            "kind",
            "changed",
        ),
    )


def _learning(*points: float) -> tuple[Property, ...]:
    learning = cases.net(runs.look_at_learning, (2, 24, 16))
    modes = cases.net(runs.look_at_modes, (3, 24, 16))
    return (
        _promise(
            points[0],
            "can be trained and saved, all of it",
            learning,
            "gradients",
            "state_dict",
        ),
        _promise(
            points[1],
            "evaluates an image the same each time, alone or in company",
            modes,
            "again",
            "alone",
            "mode",
            "state",
        ),
    )


_ways = cases.net(runs.look_at_ways, DEEP)
_cut = cases.net(runs.look_at_ways, DEEP, skips=False)

segnet = Exercise(
    name="segnet",
    run=runs.run_net,
    oracle=oracles.segnet,
    properties=(
        *_shapes(1, 1, 0.5),
        _promise(
            2,
            "uses the encoder's indices at every level",
            _ways,
            "halvings",
            "levels",
        ),
        _promise(
            0.5,
            "hands the decoder indices alone",
            cases.net(runs.look_past_the_bottom, DEEP),
            "around the bottom",
        ),
        *_learning(0.5, 0.5),
    ),
    mistakes=net_mistakes.segnet,
)

unet = Exercise(
    name="unet",
    run=runs.run_net,
    oracle=oracles.unet,
    properties=(
        *_shapes(1, 1, 0.5),
        _promise(
            1.5,
            "uses what the encoder saw, at every level",
            _ways,
            "halvings",
            "levels",
        ),
        _promise(1, "joins it by concatenation", _ways, "joined"),
        _promise(1, "does without when skips=False", _cut, "halvings", "around"),
        *_learning(1, 1),
    ),
    mistakes=net_mistakes.unet,
)
