"""Topic 01, on what: the data of each call, over the whole range that the stubs promise."""

import numpy as np

from grader.checks import backprop_oracles as oracles

FLOATS = (np.float64, np.float32)


def _normal(rng, *shape, dtype=np.float64):
    return rng.normal(size=shape).astype(dtype)


def _affine(rng, shape, M, dtype=np.float64):
    D = int(np.prod(shape[1:]))
    return {
        "x": _normal(rng, *shape, dtype=dtype),
        "w": _normal(rng, D, M, dtype=dtype),
        "b": _normal(rng, M, dtype=dtype),
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
            {**c, "dout": _normal(rng, len(c["x"]), len(c["b"]), dtype=c["x"].dtype)}
            for c in cases(rng)
        ]

    return make


def activation(rng):
    """One to four axes, both signs, never exactly 0."""
    return [{"x": 2 * _normal(rng, *s)} for s in [(4, 5), (9,), (1, 6), (2, 3, 2, 4)]]


def activation_float32(rng):
    shapes = [(3, 4), (1, 6)]
    return [{"x": 2 * _normal(rng, *shape, dtype=np.float32)} for shape in shapes]


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
            {**c, "dout": _normal(rng, *c["x"].shape, dtype=c["x"].dtype)}
            for c in cases(rng)
        ]

    return make


def maxout(rng):
    """Two to four axes; more pieces than rows, fewer, and a single one."""
    shapes = [(5, 3), (3, 3), (2, 3, 4), (2, 2, 3, 5), (1, 4), (4, 1)]
    cases = [{"x": _normal(rng, *shape)} for shape in shapes]
    # nearly tied is not tied
    near = _normal(rng, 4, 3)
    near[:, 0] = abs(near).max() + 1
    near[:, 2] = near[:, 0] * (1 + 1e-6)
    return [*cases, {"x": near}]


def maxout_float32(rng):
    return [{"x": _normal(rng, *shape, dtype=np.float32)} for shape in [(4, 3), (1, 5)]]


def maxout_tied(rng):
    """Every row has two to four tied maxima, negative and zero ones too."""
    cases = []
    for shape in [(6, 4), (2, 3, 5), (1, 4)]:
        x = _normal(rng, *shape)
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
            {**c, "dout": _normal(rng, *c["x"].shape[:-1], dtype=c["x"].dtype)}
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
    """Rows that lie at different levels: one at the top of the range, one at its end."""
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
        x, y = _normal(rng, N, C, dtype=dtype), rng.integers(C, size=N)
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
        {"pred": _normal(rng, *shape), "target": _normal(rng, *shape)}
        for shape in shapes
    ]


def pairs_float32(rng):
    shapes = [(4, 2), (1, 3)]
    return [
        {name: _normal(rng, *shape, dtype=np.float32) for name in ("pred", "target")}
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
    return [{**case, "x": 10.0 ** rng.uniform(-8, 0, size=(5, 4))}]


# --- values: programs of (operation, operands) --------------------------------------------


def _case(leaves, program, numbers=None, backward=True):
    return {
        "leaves": [float(leaf) for leaf in leaves],
        "program": program,
        "numbers": numbers or {},
        "backward": backward,
    }


def value_arithmetic(backward):
    """Each of + - * / and negation by itself, on both signs, then together."""

    def make(rng):
        cases = []
        for operation in ("add", "sub", "mul", "div"):
            for sign in (1, -1):
                leaves = rng.uniform(0.5, 3, size=2) * [1, sign]
                cases.append(_case(leaves, [(operation, 0, 1)], backward=backward))
        cases.append(_case(rng.uniform(1, 3, 1), [("neg", 0)], backward=backward))
        together = [("mul", 0, 1), ("sub", 3, 2), ("div", 4, 1), ("neg", 5)]
        leaves = rng.uniform(0.5, 3, size=3)
        return [*cases, _case(leaves, together, backward=backward)]

    return make


def value_functions(backward):
    """Powers, exp, tanh and relu on both sides of 0, then one after the other."""

    def make(rng):
        cases = [
            _case(rng.uniform(0.5, 2, 1), [("pow", 0, "n")], {"n": n}, backward)
            for n in (2, 3, -1, 0.5, -1.5, 1)
        ]
        cases.append(_case([-1.5], [("pow", 0, "n")], {"n": 3}, backward))
        for name in ("exp", "tanh", "relu"):
            for sign in (1, -1):
                leaf = sign * rng.uniform(0.3, 1.5, size=1)
                cases.append(_case(leaf, [(name, 0)], backward=backward))
        chain = [("tanh", 0), ("exp", 1), ("pow", 2, "n"), ("relu", 3)]
        return [*cases, _case(rng.uniform(0.3, 1, 1), chain, {"n": 2}, backward)]

    return make


def value_chains(rng):
    """A unit with two inputs, and a chain through every function."""
    unit = [("mul", 0, 1), ("mul", 2, 3), ("add", 5, 6), ("add", 7, 4), ("tanh", 8)]
    chain = [("exp", 0), ("div", 1, 2), ("tanh", 3), ("sub", 4, 1), ("relu", 5)]
    chain += [("mul", 6, 4), ("exp", 7)]
    return [
        _case(rng.uniform(-1, 1, size=5), unit),
        _case([*rng.uniform(-1, 0.5, 1), *rng.uniform(-2, -1, 1)], chain),
    ]


def value_reused(rng):
    """Nodes used more than once: by one operation, by several, near and far."""
    square = [("mul", 0, 0)]
    twice = [("add", 0, 0), ("mul", 2, 1), ("add", 3, 2)]
    # node 1 passes on its gradient only after the late use by the last operation
    late = [("exp", 0), ("tanh", 1), ("mul", 2, 2), ("add", 3, 2), ("mul", 4, 1)]
    diamond = [
        ("mul", 0, 1),
        ("add", 2, 0),
        ("mul", 3, 2),
        ("sub", 4, 3),
        ("div", 5, 2),
    ]
    itself = [("sub", 0, 1), ("div", 2, 2), ("sub", 2, 2), ("add", 3, 4), ("mul", 5, 2)]
    return [
        _case(rng.uniform(0.5, 2, size=1), square),
        _case(rng.uniform(0.5, 2, size=2), twice),
        _case(rng.uniform(0.3, 1, size=1), late),
        _case(rng.uniform(0.5, 2, size=2), diamond),
        _case([*rng.uniform(2, 3, 1), *rng.uniform(0.5, 1, 1)], itself),
        # two nodes with equal numbers are two nodes
        _case([*rng.uniform(0.5, 1, 1)] * 2, [("exp", 0), ("exp", 1), ("mul", 2, 3)]),
    ]


def value_random(rng):
    """Random graphs of fifteen operations, with numbers that stay small."""
    return [_random_graph(rng) for _ in range(4)]


def _random_graph(rng):
    data = list(rng.uniform(0.2, 1.2, size=3))
    leaves, program = data[:], []
    for _ in range(12):
        a, b = (int(i) for i in rng.integers(max(0, len(data) - 7), len(data), size=2))
        operation = str(rng.choice(["add", "sub", "mul"]))
        made = {"add": data[a] + data[b], "sub": data[a] - data[b]}
        made["mul"] = data[a] * data[b]
        # what grows is bent back
        small = abs(made[operation]) < 2
        program.append((operation, a, b) if small else ("tanh", a))
        data.append(made[operation] if small else np.tanh(data[a]))
    last = len(data) - 1
    program += [
        ("add", last, last - 1),
        ("add", last + 1, last - 2),
        ("add", last + 2, 0),
    ]
    return _case(leaves, program)


def value_numbers(rng):
    """Plain numbers on the left and on the right, whole ones and fractions."""
    cases = []
    for number in (3, round(float(rng.uniform(1.2, 2.8)), 3), -2):
        for operation in ("add", "sub", "mul", "div"):
            for operands in ((0, "c"), ("c", 0)):
                leaf = rng.uniform(0.5, 2, size=1)
                cases.append(_case(leaf, [(operation, *operands)], {"c": number}))
    program = [("mul", "c", 0), ("sub", "d", 1), ("div", "c", 2), ("add", 3, "d")]
    cases.append(_case(rng.uniform(2, 3, 1), program, {"c": 2, "d": 0.5}))
    return cases


def value_deep(rng):
    """Chains of 500 operations."""
    numbers = {"c": 1.001, "d": 0.001}
    pairs = [("mul", i, "c") if i % 2 else ("add", i, "d") for i in range(500)]
    unary = [("tanh", 0), *[("neg", i) for i in range(1, 500)]]
    return [
        _case(rng.uniform(0.5, 1, size=1), pairs, numbers),
        _case(rng.uniform(0.5, 1, size=1), unary),
    ]


def value_paths(rng):
    """Every one of 500 operations uses the node before it twice: 2 to the 500 paths."""
    steps = [("sub", 0, 1)]
    for i in range(2, 501):
        steps.append(("mul" if i % 2 else "add", i, i) if i < 8 else ("add", i, i))
        if i >= 8:
            steps[-1] = ("sub", i, 0) if i % 2 else ("add", i, i)
    return [_case([*rng.uniform(2, 3, 1), *rng.uniform(0.5, 1, 1)], steps)]


# --- nets and training --------------------------------------------------------------------


def two_layer_params(rng, D, H, C):
    shapes = {"W1": (D, H), "b1": (H,), "W2": (H, C), "b2": (C,)}
    return {name: _normal(rng, *shape) for name, shape in shapes.items()}


def two_layer(reg):
    def make(rng):
        cases = []
        for shape, H, C in [((5, 4), 6, 3), ((3, 2, 2, 2), 5, 4), ((1, 3), 4, 3)]:
            D = int(np.prod(shape[1:]))
            arguments = {"input_dim": D, "hidden_dim": H, "num_classes": C}
            if reg:
                arguments |= {"weight_scale": 1e-2, "reg": reg}
            cases.append(
                {
                    "arguments": arguments,
                    "others": [],
                    "params": two_layer_params(rng, D, H, C),
                    "X": _normal(rng, *shape),
                    "y": rng.integers(C, size=shape[0]),
                }
            )
        return cases

    return make


def two_layer_start(rng):
    """Nets large enough for statistics."""
    sizes = {"input_dim": 120, "hidden_dim": 50, "num_classes": 40}
    return [
        {
            "arguments": arguments,
            "others": [],
            "params": {},
            "X": _normal(rng, 1, 120),
            "y": np.zeros(1, dtype=np.int64),
        }
        for arguments in (sizes, {**sizes, "weight_scale": 0.25})
    ]


def mario(rng):
    """Batches of several samples and of one; other nets with the same and another seed."""
    cases = []
    for N, H in [(6, 5), (4, 3), (1, 4)]:
        shapes = {"W1": (3, H), "b1": (H,), "W2": (H, H), "b2": (H,)}
        shapes |= {"W3": (H, 1), "b3": (1,)}
        arguments = {"hidden_dim": H, "seed": int(rng.integers(1000))}
        other_seed = {**arguments, "seed": arguments["seed"] + 1}
        cases.append(
            {
                "arguments": arguments,
                "others": [arguments, other_seed],
                "params": {n: _normal(rng, *shape) for n, shape in shapes.items()},
                "X": _normal(rng, N, 3),
                "y": _normal(rng, N, 1),
            }
        )
    return cases


def mario_start(rng):
    """The same nets, and nothing put into them."""
    return [{**case, "params": {}} for case in mario(rng)]


def parabolas(rng):
    """Nets with one to three parameters of different shapes and slopes."""
    cases = []
    shapes = {"W": (2, 3), "b": (3,), "c": (1,)}
    for names, num_steps in [("W", 1), ("Wb", 5), ("Wbc", 12)]:
        params = {name: _normal(rng, *shapes[name]) for name in names}
        cases.append(
            {
                "params": params,
                "X": rng.uniform(0.5, 2, size=6),
                "y": rng.uniform(1, 2, size=6),
                "slopes": {name: float(rng.uniform(0.5, 2)) for name in names},
                "rate": float(rng.uniform(0.1, 0.3)),
                "num_steps": num_steps,
            }
        )
    return cases


def digits(rng):
    X, y, X_new, _ = oracles.digits_data()
    names = rng.permutation(10)
    seed = int(rng.integers(1000))
    return [{"X_train": X, "y_train": names[y], "X_new": X_new, "seed": seed}]
