"""Topic 01, on what: data over all of the range that the stubs promise."""

import numpy as np

FLOATS = (np.float64, np.float32)


def normal(rng, *shape, dtype=np.float64):
    return rng.normal(size=shape).astype(dtype)


def _affine(rng, shape, M, dtype=np.float64):
    D = int(np.prod(shape[1:]))
    return {
        "x": normal(rng, *shape, dtype=dtype),
        "w": normal(rng, D, M, dtype=dtype),
        "b": normal(rng, M, dtype=dtype),
    }


def affine(rng):
    """Two to five axes, square weights too, and one sample."""
    shapes = [(4, 3, 5), (5, 6), (2, 3, 2, 4), (3, 2, 2, 3, 2), (1, 4, 3)]
    return [
        _affine(rng, shape, M) for shape, M in zip(shapes, [7, 6, 3, 2, 5], strict=True)
    ]


def affine_float32(rng):
    shapes = [(4, 3, 2), (1, 5)]
    return [_affine(rng, shape, 3, np.float32) for shape in shapes]


def with_dout(cases):
    """Add an upstream gradient to cases of the affine layer."""

    def make(rng):
        return [
            {**c, "dout": normal(rng, len(c["x"]), len(c["b"]), dtype=c["x"].dtype)}
            for c in cases(rng)
        ]

    return make


def activation(rng):
    """One to four axes, both signs, never exactly 0."""
    return [{"x": 3 * normal(rng, *s)} for s in [(4, 5), (9,), (1, 6), (2, 3, 2, 4)]]


def activation_float32(rng):
    shapes = [(5, 8), (1, 6)]
    return [{"x": 3 * normal(rng, *shape, dtype=np.float32)} for shape in shapes]


def activation_extreme(rng):
    """Pre-activations up to 1000 on either side, among ordinary ones."""
    cases = []
    for dtype in FLOATS:
        sizes = [1.0, 8.0, 40.0, 120.0, 600.0, 720.0, 900.0, 1000.0]
        x = np.array([sizes, [-size for size in sizes]])
        cases.append({"x": (x * rng.uniform(0.98, 1.0, size=x.shape)).astype(dtype)})
    return cases


def same_shape_dout(cases):
    """Add an upstream gradient with both signs to cases of an activation."""

    def make(rng):
        return [
            {**c, "dout": normal(rng, *c["x"].shape, dtype=c["x"].dtype)}
            for c in cases(rng)
        ]

    return make


def maxout(rng):
    """Two to four axes; more pieces than rows, fewer, and a single one."""
    shapes = [(5, 3), (3, 3), (2, 3, 4), (2, 2, 3, 5), (1, 4), (4, 1)]
    cases = [{"x": normal(rng, *shape)} for shape in shapes]
    # nearly tied is not tied
    near = normal(rng, 4, 3)
    near[:, 0] = abs(near).max() + 1
    near[:, 2] = near[:, 0] * (1 + 1e-6)
    return [*cases, {"x": near}]


def maxout_float32(rng):
    # shifted, so that some maxima are negative
    shapes = [(20, 3), (1, 5)]
    return [{"x": normal(rng, *shape, dtype=np.float32) - 1} for shape in shapes]


def maxout_tied(rng):
    """Every row has two to four tied maxima, negative and zero ones too."""
    cases = []
    for shape in [(6, 4), (2, 3, 5), (1, 4)]:
        x = normal(rng, *shape)
        for row in x.reshape(-1, shape[-1]):
            count = rng.integers(2, 5)
            row[rng.permutation(shape[-1])[:count]] = rng.choice([row.max(), 5.0])
        cases.append({"x": x})
    cases.append({"x": np.zeros((2, 3), np.float32)})
    return cases


def reduced_dout(cases):
    """Add an upstream gradient for outputs without the last axis."""

    def make(rng):
        return [
            {**c, "dout": normal(rng, *c["x"].shape[:-1], dtype=c["x"].dtype)}
            for c in cases(rng)
        ]

    return make


def scores(rng):
    """Scores of a few units: no probability is tiny."""
    shapes = [(4, 5), (5, 5), (2, 7), (6, 2), (1, 3)]
    return [{"x": rng.uniform(-1.5, 1.5, size=shape)} for shape in shapes]


def scores_float32(rng):
    shapes = [(4, 3), (1, 5)]
    return [
        {"x": rng.uniform(-1.5, 1.5, size=shape).astype(np.float32)} for shape in shapes
    ]


def scores_large(dtype):
    """Scores of growing size, up to 1e4, in rows that all reach the top."""

    def make(rng):
        cases = []
        for size in [30.0, 800.0, 1e4]:
            x = rng.uniform(-size, size, size=(5, 4))
            x[np.arange(5), rng.integers(4, size=5)] = size * rng.uniform(
                0.999, 1.0, size=5
            )
            # near the top the probabilities are all of a size; far below they tie at 0
            x[0] = size - rng.uniform(0.0, 2.0, size=4)
            cases.append({"x": x.astype(dtype)})
        return cases

    return make


def scores_far_apart(rng):
    """Rows that lie at different levels: also at both ends of the range."""
    level = np.array([[9.9e3], [-9.9e3], [0.0], [-3e3]])
    return [{"x": level + rng.uniform(-2.0, 2.0, size=(4, 3))}]


def labelled(cases):
    """Add labels; at large scores also such that cost much."""

    def make(rng):
        made = []
        for case in cases(rng):
            N, C = case["x"].shape
            made.append({**case, "y": rng.integers(C, size=N)})
            if N > 2:
                # not all labels differ, and not all are equal
                made[-1]["y"][:2] = [C - 1, 0]
                made[-1]["y"][2] = case["x"][2].argmin()
        return made

    return make


def hinge(rng):
    """Rows that violate no margin, some, and all of them."""
    cases = []
    for N, C, dtype in [(6, 5, np.float64), (5, 5, np.float64), (3, 2, np.float64)]:
        x, y = normal(rng, N, C, dtype=dtype), rng.integers(C, size=N)
        x[0, y[0]] += 9
        x[1, y[1]] -= 9
        cases.append({"x": x, "y": y})
    x = rng.uniform(0.1, 0.9, size=(1, 4))
    return [*cases, {"x": x, "y": rng.integers(4, size=1)}]


def hinge_float32(rng):
    x = rng.uniform(0.1, 0.9, size=(4, 4)).astype(np.float32)
    return [{"x": x, "y": rng.integers(4, size=4)}]


def pairs(rng):
    """Predictions and targets: one number per sample, several, one sample."""
    shapes = [(5, 3), (4, 4), (6, 1), (1, 3)]
    return [
        {"pred": normal(rng, *shape), "target": normal(rng, *shape)} for shape in shapes
    ]


def pairs_float32(rng):
    shapes = [(4, 2), (1, 3)]
    return [
        {name: normal(rng, *shape, dtype=np.float32) for name in ("pred", "target")}
        for shape in shapes
    ]


def _numerical(rng, shape, layout, function, **options):
    x, weights = rng.uniform(0.2, 1.5, size=shape), rng.uniform(0.5, 2.0, size=shape)
    names = ("x", "layout", "function", "weights", "options")
    return dict(zip(names, (x, layout, function, weights, options), strict=True))


def gradients_plain(rng):
    shapes = [(3,), (2, 3), (2, 3, 2), (2, 1, 2, 2)]
    functions = ["cubes", "waves", "product", "cubes"]
    return [
        _numerical(rng, shape, "plain", function)
        for shape, function in zip(shapes, functions, strict=True)
    ]


def gradients_with_step(rng):
    """A given step, and the default where x is so small that it shows."""
    default = _numerical(rng, (3,), "plain", "cubes")
    return [
        {**default, "x": 1e-6 * default["x"]},
        _numerical(rng, (2, 3), "plain", "cubes", h=0.1),
        _numerical(rng, (4,), "plain", "waves", h=0.25),
    ]


def gradients_scattered(rng):
    return [
        _numerical(rng, (3, 4), "transposed", "product"),
        _numerical(rng, (3, 4), "every other row", "waves"),
        _numerical(rng, (5,), "every other row", "cubes"),
        _numerical(rng, (4, 2), "backwards", "cubes"),
    ]


def gradients_small(rng):
    """Numbers of all sizes below 1, so that adding h and taking it away shows."""
    case = _numerical(rng, (5, 4), "plain", "waves")
    x = 10.0 ** rng.uniform(-8, 0, size=(5, 4))
    # one entry where the wave bends, with the largest weight
    x.flat[case["weights"].argmax()] = 1.2
    return [{**case, "x": x}]
