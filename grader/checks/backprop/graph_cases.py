"""Topic 01, on what: graphs of values, nets, and data to train on.

A step of a graph's program is (operation, operands); it crosses as a line of text: see
``run_value``.
"""

import numpy as np

from grader.checks.backprop.cases import normal


def _case(leaves, program, numbers=None, backward=True):
    return {
        "leaves": [float(leaf) for leaf in leaves],
        "program": "\n".join(" ".join(map(str, step)) for step in program),
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
        cases.append(_case([0.0, 2.0], [("mul", 0, 1)], backward=backward))
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
        cases.append(_case([0.0], [("pow", 0, "n")], {"n": 2}, backward))
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
        ("tanh", 0),
        ("add", last + 2, last + 3),
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


def two_layer_params(rng, D, H, C):
    shapes = {"W1": (D, H), "b1": (H,), "W2": (H, C), "b2": (C,)}
    return {name: normal(rng, *shape) for name, shape in shapes.items()}


def two_layer(reg):
    def make(rng):
        cases = []
        for shape, H, C in [((5, 4), 6, 3), ((3, 2, 2, 2), 5, 4), ((1, 3), 4, 3)]:
            D = int(np.prod(shape[1:]))
            arguments = {"input_dim": D, "hidden_dim": H, "num_classes": C}
            if reg:
                arguments |= {"weight_scale": 1e-2, "reg": reg}
            # no ReLU so near its bend that numerical gradients step over it
            near = True
            while near:
                params, X = two_layer_params(rng, D, H, C), normal(rng, *shape)
                hidden = X.reshape(len(X), -1) @ params["W1"] + params["b1"]
                near = abs(hidden).min() < 0.03
            cases.append(
                {
                    "arguments": arguments,
                    "others": [],
                    "params": params,
                    "X": X,
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
            "X": normal(rng, 1, 120),
            "y": np.zeros(1, dtype=np.int64),
        }
        for arguments in (sizes, {**sizes, "weight_scale": 0.25})
    ]


def mario(rng):
    """Several samples and one; other nets with the same and another seed."""
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
                "params": {n: normal(rng, *shape) for n, shape in shapes.items()},
                "X": normal(rng, N, 3),
                "y": normal(rng, N, 1),
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
        params = {name: normal(rng, *shapes[name]) for name in names}
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
