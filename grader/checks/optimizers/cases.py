"""Topic 02, on what: data over all of the range that the stubs promise."""

from itertools import product

import numpy as np

NOTATIONS = ("sum", "minus", "plus")

# --- notations ---


def conversions(rng):
    """All pairs of two notations, for learning rates below and above 1."""
    pairs = [[a, b] for a, b in product(NOTATIONS, NOTATIONS) if a != b]
    return [
        {"velocity": rng.normal(size=shape), "learning_rate": rate, "pairs": pairs}
        for shape, rate in [((4,), 0.05), ((2, 3), 0.3), ((2, 1, 3), 3.0), ((1,), 1e-3)]
    ]


def conversions_float32(rng):
    """All pairs, those of a notation and itself included."""
    pairs = [[a, b] for a, b in product(NOTATIONS, NOTATIONS)]
    velocity = rng.normal(size=(2, 3)).astype(np.float32)
    return [{"velocity": velocity, "learning_rate": 0.1, "pairs": pairs}]


# --- minibatches ---


def _samples(rng, N, shape=(), dtype=np.float64):
    X = rng.normal(size=(N, *shape)).astype(dtype)
    # labels that tell the samples apart, in no order
    return {"X": X, "y": rng.permutation(10 * N)[:N].astype(np.int64)}


def batches(rng):
    """With and without a rest, batches of one, one batch of all, more than all."""
    sizes = [(30, 7), (30, 5), (9, 1), (8, 8), (6, 11), (5, 4)]
    return [
        {**_samples(rng, N, (2, 3)), "batch_size": b, "seeds": [3], "num_passes": 2}
        for N, b in sizes
    ]


def batches_of_one(rng):
    """A single sample; X with one axis; float32."""
    one = {**_samples(rng, 1, (3,)), "batch_size": 4, "seeds": [3], "num_passes": 1}
    flat = {**_samples(rng, 7), "batch_size": 3, "seeds": [3], "num_passes": 1}
    small = _samples(rng, 7, (2, 2), np.float32)
    # targets of a regression
    small["y"] = small["y"].astype(np.float32)[:, None]
    return [one, flat, {**small, "batch_size": 3, "seeds": [3], "num_passes": 1}]


def batches_shuffled(rng):
    """Twenty passes with each of three seeds, one of them twice."""
    seeds = [int(seed) for seed in rng.integers(10**6, size=3)]
    case = {"batch_size": 7, "seeds": [*seeds, seeds[0]], "num_passes": 5}
    return [{**_samples(rng, 30, (2,)), **case}]


def batches_of_three(rng):
    """So many passes over three samples that each of six orders comes up."""
    seed = int(rng.integers(10**6))
    case = {"batch_size": 2, "seeds": [seed], "num_passes": 120}
    return [{**_samples(rng, 3), **case}]


# --- walking ---


def walks(rng):
    """Bowls of several shapes, a rule of either kind, settings and none."""
    cases = []
    for shape, config, in_place in [
        ((2,), {"learning_rate": 0.2, "momentum": 0.7}, False),
        ((2,), {"learning_rate": 0.3}, True),
        ((3, 2), None, False),
        ((1,), {"momentum": 0.3}, True),
        ((2, 1, 2), {}, True),
    ]:
        bowl = {"curvature": rng.uniform(0.5, 3.0, size=shape)}
        bowl |= {"center": rng.normal(size=shape), "in_place": in_place}
        w = 3 + rng.normal(size=shape)
        cases.append({"w": w, "num_steps": 5, "config": config, **bowl})
    return cases


def walks_short(rng):
    """No step, and one."""
    return [{**case, "num_steps": steps} for steps, case in enumerate(walks(rng)[:2])]


# --- schedules ---


def step_decays(rng):
    """The start, both sides of every edge, and far on; defaults."""
    lr0 = float(rng.uniform(0.01, 0.5))
    return [{"calls": [([lr0, epoch], {}) for epoch in (0, 1, 9, 10, 11, 29, 30, 57)]}]


def step_decays_set(rng):
    """Settings by place and by name, every epoch among them, and no drop at all."""
    lr0 = float(rng.uniform(0.5, 2.0))
    calls = [([lr0, epoch, 0.3, 4], {}) for epoch in (0, 3, 4, 7, 8, 21)]
    calls += [([lr0, epoch], {"drop": 0.8, "every": 1}) for epoch in (0, 1, 2, 9)]
    calls += [([lr0, 13], {"every": 5}), ([lr0, 13], {"drop": 1.0})]
    return [{"calls": calls}]


def exponential_decays(rng):
    lr0, k = float(rng.uniform(0.1, 2.0)), float(rng.uniform(0.1, 0.6))
    calls = [([lr0, k, t], {}) for t in (0, 1, 2, 5, 10)]
    calls += [([lr0, k, t], {}) for t in (0.5, 2.75)]
    return [{"calls": calls}]


def exponential_decays_far(rng):
    """No decay; a strong one; a long time."""
    lr0 = float(rng.uniform(0.1, 2.0))
    calls = [([lr0, 0.0, 7], {}), ([3.0, 4.0, 1.5], {}), ([lr0, 1e-3, 5000], {})]
    return [{"calls": calls}]


def _values(rng, count, patience):
    """Values that improve now and then, tie, and get stuck for a while."""
    values, best = [], 5.0
    while len(values) < count:
        best -= float(rng.uniform(0.1, 0.4))
        values.append(best)
        # at first for as long as it gets, so that there are two reductions in a row
        most = 2 * patience + 3
        stuck = int(rng.integers(0, most)) if len(values) > 1 else most
        # the same again, a little worse, much worse; better than the last one alone
        off = rng.choice([0.0, 0.05, 0.6, 1.5], size=stuck)
        values += [best + float(o) for o in off]
    return values[:count]


def _plateau(rng, patience, count, **names):
    values = _values(rng, count, patience)
    names = {"patience": patience} | names
    return {"places": [float(rng.uniform(0.5, 2))], "names": names, "values": values}


def plateaus(rng):
    """Long sequences, several patiences and factors."""
    return [
        {"plateaus": [_plateau(rng, patience, 80, factor=factor)]}
        for patience, factor in [(2, 0.5), (1, 0.7), (3, 0.9), (0, 0.8)]
    ]


def plateaus_default(rng):
    """The defaults: factor, patience, min_lr."""
    values = [1.0] + [1.0 + float(x) for x in rng.uniform(0, 1, size=50)]
    first = {"places": [1.0], "names": {}, "values": values}
    # all by place
    second = {"places": [1.0, 0.5, 1, 0.2], "names": {}, "values": values[:20]}
    return [{"plateaus": [first, second]}]


def plateaus_floor(rng):
    """A smallest rate that is reached, and one that lies above the start."""
    floors = {"min_lr": 0.2}, {"min_lr": 3.0}
    return [{"plateaus": [_plateau(rng, 1, 80, factor=0.5, **f) for f in floors]}]


def plateaus_odd(rng):
    """Values of any sign and size, a fall that never ends, a rise from the start."""
    ways = [
        [float(x) for x in -np.arange(1, 15)],
        [float(x) for x in np.arange(12)],
        [-3.0, -2.0, -3.5, -3.4, -3.45, -3.5, 1e6, -1e6, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -1e-9, 0.0, 0.0, 0.0],
        # the first value improves, however large it is
        [1e300] * 6,
        # the smallest of improvements counts
        [1 - 1e-6 * i for i in range(12)],
    ]
    names = {"patience": 2}
    return [
        {"plateaus": [{"places": [1.0], "names": names, "values": w} for w in ways]}
    ]


def plateaus_side_by_side(rng):
    return [{"plateaus": [_plateau(rng, 2, 80, factor=f) for f in (0.5, 0.8)]}]


# --- training ---


def _nets(rng, shapes):
    params = {name: 2 + rng.normal(size=shape) for name, shape in shapes.items()}
    bowls = {
        name: [rng.uniform(0.5, 2.0, size=shape), rng.normal(size=shape)]
        for name, shape in shapes.items()
    }
    return {"params": params, "bowls": bowls}


def _training(rng, N, batch_size, num_epochs, rates=None, in_place=False, **shapes):
    samples = _samples(rng, N, (2,))
    config = {"learning_rate": float(rng.uniform(0.1, 0.3))}
    return {
        **_nets(rng, shapes or {"a": (3,), "b": (3,), "c": (2, 2)}),
        **samples,
        "config": config,
        "in_place": in_place,
        "num_epochs": num_epochs,
        "batch_size": batch_size,
        "seed": int(rng.integers(10**6)),
        "rates": rates,
    }


def trainings(rng):
    """Some epochs with a rest; a rule of either kind."""
    return [_training(rng, 8, 3, 3), _training(rng, 7, 3, 2, in_place=True)]


def trainings_of_one(rng):
    """One parameter; one batch of all, more than all, some; no epoch."""
    return [
        _training(rng, 5, 5, 4, in_place=True, only=(2, 3)),
        _training(rng, 4, 9, 3, only=(3,)),
        _training(rng, 7, 3, 2, only=(2,)),
        _training(rng, 4, 2, 0, only=(2,)),
    ]


def trainings_scheduled(rng):
    """A learning rate for each epoch, that goes up and down."""
    rates = [float(rate) for rate in rng.uniform(0.05, 0.3, size=4)]
    # 0 is a rate, too
    rates[2] = 0.0
    two = _training(rng, 7, 3, 4, rates, in_place=True)
    # a schedule sets what is not there, too
    bare = {**_training(rng, 8, 3, 4, rates), "config": {}}
    return [_training(rng, 8, 3, 4, rates), two, bare]


def _range_test(rng, num_batches, options):
    net = _nets(rng, {"a": (3,), "b": (2, 2)})
    batches = [
        [0.2 * rng.normal(size=1), rng.uniform(0.8, 1.2, size=1)]
        for _ in range(num_batches)
    ]
    return {**net, "batches": [tuple(b) for b in batches], "options": options}


def range_test_rates(rng):
    """Rates too low for an early end, whatever is done with them; defaults."""
    return [
        _range_test(rng, 30, {"low": 1e-5, "high": 1e-3}),
        _range_test(rng, 2, {"low": 1e-4, "high": 2e-4}),
        _range_test(rng, 3, {}),
    ]


def range_tests(rng):
    """Tests that get to their end: a few batches, two, many."""
    return [
        _range_test(rng, 8, {"low": 0.01, "high": 0.5}),
        _range_test(rng, 2, {"low": 0.1, "high": 0.4}),
        _range_test(rng, 30, {"low": 1e-5, "high": 0.2}),
    ]


def range_tests_ended(rng):
    """Tests that explode, or meet a loss that is no number."""
    cases = [_range_test(rng, 12, {"low": 0.1, "high": 200.0}) for _ in range(2)]
    for place, factor in [(3, np.nan), (0, np.nan), (4, np.inf)]:
        case = _range_test(rng, 6, {"low": 0.01, "high": 0.1})
        case["batches"][place][1][0] = factor
        cases.append(case)
    # just too large, and not yet, measured by the smallest loss before
    for factors in [(1, 1, 3.5, 1, 1), (2, 1, 3, 5, 1), (1, 3, 9, 1, 1)]:
        case = _range_test(rng, 5, {"low": 1e-4, "high": 2e-4})
        pairs = zip(case["batches"], factors, strict=True)
        case["batches"] = [(0 * X, 0 * y + factor) for (X, y), factor in pairs]
        cases.append(case)
    return cases
