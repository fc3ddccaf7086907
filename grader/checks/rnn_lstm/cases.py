"""Topic 07, on what: data over all of the range that the stubs promise."""

from itertools import product

import numpy as np

from grader.checks.backprop.cases import normal

FLOATS = (np.float64, np.float32)

# (N, D, H): more of one than of the others, equal ones, and 1 of each
SIZES = [(4, 3, 5), (3, 6, 2), (3, 3, 3), (1, 4, 3), (5, 1, 2), (2, 4, 1), (1, 1, 1)]
SMALL = [(3, 2, 4), (1, 3, 2)]


def _weights(rng, D, H, gates, dtype):
    return {
        "Wx": normal(rng, D, gates * H, dtype=dtype),
        "Wh": normal(rng, H, gates * H, dtype=dtype),
        "b": normal(rng, gates * H, dtype=dtype),
    }


# --- one step ---


def _step(rng, N, D, H, gates, dtype=np.float64):
    case = {
        "x": normal(rng, N, D, dtype=dtype),
        "prev_h": normal(rng, N, H, dtype=dtype),
    }
    if gates == 4:
        case["prev_c"] = normal(rng, N, H, dtype=dtype)
    weights = _weights(rng, D, H, gates, dtype)
    # not so large that all is saturated
    return case | {name: dtype(0.5) * value for name, value in weights.items()}


def _saturated(rng, gates, dtype):
    """Pre-activations of up to 1000 on either side, among ordinary ones."""
    case = _step(rng, 3, 4, 28, gates, dtype)
    sizes = [0.0, 0.0, 15.0, -40.0, 90.0, -100.0, 720.0, -720.0, 990.0, -990.0]
    case["b"] = rng.choice(sizes, size=gates * 28).astype(dtype)
    if gates == 4:
        case["prev_c"] = 10 * case["prev_c"]
    return case


def steps(gates):
    def make(rng):
        return [_step(rng, *sizes, gates) for sizes in SIZES]

    return make


def steps_float32(gates):
    def make(rng):
        return [_step(rng, *sizes, gates, np.float32) for sizes in SMALL]

    return make


def steps_saturated(gates):
    def make(rng):
        return [_saturated(rng, gates, dtype) for dtype in FLOATS]

    return make


def with_step_grads(cases):
    """Add upstream gradients to cases of one step."""

    def make(rng):
        made = []
        for case in cases(rng):
            states = ("h", "c") if "prev_c" in case else ("h",)
            shape, dtype = case["prev_h"].shape, case["x"].dtype
            grads = {f"dnext_{s}": normal(rng, *shape, dtype=dtype) for s in states}
            made.append(case | grads)
        return made

    return make


# --- sequences ---


def _sequence(rng, N, T, D, H, gates, dtype=np.float64, scale=0.5):
    case = {
        "x": normal(rng, N, T, D, dtype=dtype),
        "h0": normal(rng, N, H, dtype=dtype),
    }
    weights = _weights(rng, D, H, gates, dtype)
    return case | {name: dtype(scale) * value for name, value in weights.items()}


def sequences(gates):
    """Lengths shorter and longer than the other sizes, equal to them, and 1."""
    lengths = (6, 4, 3, 1, 7, 2, 1)

    def make(rng):
        return [
            _sequence(rng, N, T, D, H, gates)
            for (N, D, H), T in zip(SIZES, lengths, strict=True)
        ]

    return make


def sequences_float32(gates):
    def make(rng):
        sizes = zip(SMALL, (5, 1), strict=True)
        return [_sequence(rng, N, T, D, H, gates, np.float32) for (N, D, H), T in sizes]

    return make


def sequences_long(gates):
    """250 steps, calm enough that rounding does not grow along the way."""

    def make(rng):
        case = _sequence(rng, 2, 250, 2, 3, gates, scale=0.3)
        if gates == 4:
            # forget gates that are open keep what came early
            case["b"][3:6] += 3
        return [case]

    return make


def with_sequence_grads(cases):
    """Add an upstream gradient, at every step, to cases of sequences."""

    def make(rng):
        made = []
        for case in cases(rng):
            (N, T, _), H = case["x"].shape, case["h0"].shape[1]
            dh = normal(rng, N, T, H, dtype=case["x"].dtype)
            made.append(case | {"dh": dh})
        return made

    return make


# --- the recurrence alone ---


def _turned(rng, *blocks, dtype=np.float64):
    """Return a matrix with a complex pair of this size and angle, or a real eigenvalue,
    for each block: on other axes, so that none can be read off."""
    size = sum(2 if isinstance(block, tuple) else 1 for block in blocks)
    Wh, place = np.zeros((size, size)), 0
    for block in blocks:
        if isinstance(block, tuple):
            radius, angle = block
            cos, sin = radius * np.cos(angle), radius * np.sin(angle)
            Wh[place : place + 2, place : place + 2] = [[cos, -sin], [sin, cos]]
            place += 2
        else:
            Wh[place, place] = block
            place += 1
    axes = np.linalg.qr(normal(rng, size, size))[0]
    return {"Wh": (axes @ Wh @ axes.T).astype(dtype)}


def radii(rng):
    """The largest is one of a complex pair, or negative; one row and column, too."""
    r, angle = rng.uniform(0.3, 3), rng.uniform(1, 2)
    return [
        _turned(rng, 0.5 * r, (r, angle), -0.7 * r),
        _turned(rng, (0.6 * r, angle), (r, angle + 0.5), 0.8 * r, 0.1 * r),
        _turned(rng, 0.9 * r, -r, (0.4 * r, angle)),
        _turned(rng, (r, np.pi / 2)),
        {"Wh": np.array([[-r]])},
    ]


def radii_lopsided(rng):
    """Far from symmetric: norms and singular values tell nothing."""
    above = np.triu(normal(rng, 5, 5), 1)
    spread = rng.uniform(-0.6, 0.6, 5)
    spread[2] = -0.9
    lower = (above + np.diag(spread)).T
    return [{"Wh": 3 * above}, {"Wh": above + np.diag(spread)}, {"Wh": lower}]


def radii_float32(rng):
    return [
        _turned(rng, 0.5, (1.2, 2.0), dtype=np.float32),
        _turned(rng, (0.7, 1.0), 0.3, dtype=np.float32),
    ]


def _flow(rng, H, T, dtype=np.float64, scale=1.0):
    Wh = (scale * normal(rng, H, H) / np.sqrt(H)).astype(dtype)
    return {"Wh": Wh, "dh": normal(rng, H, dtype=dtype), "T": T}


def flows(rng):
    return [_flow(rng, H, T) for H, T in [(4, 6), (3, 3), (1, 5), (5, 1), (2, 0)]]


def flows_long(rng):
    """A hundred steps that grow, and a hundred that shrink."""
    return [_flow(rng, 5, 100, scale=scale) for scale in (1.6, 0.6)]


def flows_float32(rng):
    return [_flow(rng, H, T, np.float32) for H, T in [(4, 5), (2, 0)]]


# --- words ---


def _words(rng, N, T, V, D, dtype=np.float64):
    x = rng.integers(V, size=(N, T))
    # the last word is there, and the first one is not unless it is the only one
    x[x == 0] = V - 1
    return {"x": x, "W": normal(rng, V, D, dtype=dtype)}


def words(rng):
    sizes = [(3, 4, 6, 5), (2, 3, 9, 2), (4, 4, 4, 4), (1, 1, 3, 2), (2, 2, 1, 3)]
    cases = [_words(rng, *s) for s in sizes] + [_words(rng, 3, 2, 5, 1)]
    cases[0]["x"][0, :2] = 0
    return cases


def words_float32(rng):
    return [_words(rng, *s, np.float32) for s in [(2, 5, 4, 3), (1, 1, 2, 1)]]


def words_repeated(rng):
    """One word many times: in a sequence, in several, and alone."""
    cases = [_words(rng, 4, 9, 3, 5), _words(rng, 1, 12, 4, 2)]
    cases.append({"x": np.full((3, 5), 2), "W": normal(rng, 4, 3)})
    cases[0]["x"][0, :3] = 0
    return cases


def words_once(rng):
    """No word comes twice; some don't come, but the first one does."""
    cases = [
        {"x": rng.permutation(14)[: N * T].reshape(N, T), "W": normal(rng, 14, 3)}
        for N, T in [(3, 4), (1, 5), (4, 1), (1, 1)]
    ]
    first = cases[0]["x"]
    if 0 not in first:
        first[0, 0] = 0
    return cases


def with_word_grads(cases):
    def make(rng):
        return [
            case
            | {
                "dout": normal(
                    rng, *case["x"].shape, *case["W"].shape[1:], dtype=case["W"].dtype
                )
            }
            for case in cases(rng)
        ]

    return make


# --- the loss ---


def _scores(rng, N, T, V, share, dtype=np.float64, size=1.5):
    mask = rng.random((N, T)) < share
    return {
        "x": rng.uniform(-size, size, size=(N, T, V)).astype(dtype),
        "y": rng.integers(V, size=(N, T)),
        "mask": mask,
    }


def loss_unmasked(rng):
    """All steps count."""
    sizes = [(3, 4, 5), (2, 6, 3), (4, 4, 4), (1, 5, 2), (5, 1, 3), (1, 1, 4)]
    return [_scores(rng, *s, 1.1) for s in sizes]


def loss_masked(rng):
    """Sequences of several lengths, holes, and one that is masked as a whole."""
    cases = [_scores(rng, *s, 0.6) for s in [(4, 5, 3), (3, 7, 6), (5, 5, 5)]]
    cases[0]["mask"][:] = np.arange(5) < np.array([[5], [2], [3], [1]])
    cases[1]["mask"][1], cases[1]["mask"][0] = False, [1, 0, 1, 1, 0, 1, 0]
    return cases


def loss_strange_labels(rng):
    """Labels that no word has, at masked steps."""
    cases = loss_masked(rng)
    for case, strange in zip(cases, ([-1], [10**6, -7], [-100, 255]), strict=True):
        labels = rng.choice(strange, size=case["y"].shape)
        case["y"] = np.where(case["mask"], case["y"], labels)
    return cases


def loss_all_masked(rng):
    cases = [
        _scores(rng, *s, -1, dtype)
        for s, dtype in zip([(3, 4, 5), (1, 1, 2)], FLOATS, strict=True)
    ]
    cases[0]["y"][:] = -1
    return cases


def loss_large(rng):
    """Scores up to 10,000 on either side, in steps that all reach the top."""
    cases = []
    for dtype, size in product(FLOATS, (800.0, 1e4)):
        case = _scores(rng, 3, 4, 5, 0.7, dtype, size)
        top = size - rng.uniform(0, 2, size=(2, 4, 5))
        case["x"][:2] = (top * np.array([1, -1])[:, None, None]).astype(dtype)
        cases.append(case)
    return cases


def loss_float32(rng):
    return [_scores(rng, *s, 0.7, np.float32) for s in [(3, 4, 5), (1, 3, 2)]]


# --- models ---


def _model(rng, V, D, H, dtype=np.float64, scale=1.0):
    shapes = {"W_embed": (V, D), "Wx": (D, 4 * H), "Wh": (H, 4 * H), "b": (4 * H,)}
    shapes |= {"W_out": (H, V), "b_out": (V,)}
    return {n: dtype(scale) * normal(rng, *s, dtype=dtype) for n, s in shapes.items()}


def _text(rng, N, T, V, D, H, dtype=np.float64):
    x, y = rng.integers(V, size=(2, N, T))
    return {"params": _model(rng, V, D, H, dtype), "x": x, "y": y}


def texts(rng):
    sizes = [(3, 5, 6, 4, 3), (2, 4, 3, 5, 2), (3, 3, 3, 3, 3), (1, 1, 4, 2, 2)]
    return [_text(rng, *s) for s in [*sizes, (4, 1, 2, 1, 1), (1, 6, 5, 3, 4)]]


def texts_float32(rng):
    return [_text(rng, *s, np.float32) for s in [(3, 4, 5, 3, 4), (1, 2, 3, 2, 1)]]


def _sampling(rng, temperature, length, V, dtype=np.float64):
    """A model of habits, which depend on the last characters; as strong at any
    temperature, and not so strong that it repeats itself."""
    params = _model(rng, V, 4, 7, dtype, 1.5)
    # what was long ago matters
    params["Wh"] *= dtype(1.5)
    params["b"][7:14] += dtype(1)
    params["W_out"] *= dtype(temperature)
    params["b_out"] *= dtype(0.7 * temperature)
    return {
        "params": params,
        "start": int(rng.integers(V)),
        "length": length,
        "temperature": temperature,
        "seed": int(rng.integers(2**31)),
    }


def sampling(rng):
    return [_sampling(rng, 1.0, 900, 12), _sampling(rng, 1.0, 100, 5, np.float32)]


def sampling_tempered(rng):
    return [_sampling(rng, 0.5, 600, 12), _sampling(rng, 3.0, 150, 6)]


def sampling_cold(rng):
    """So cold that only the likeliest comes; large scores; and a single character."""
    cold = [_sampling(rng, temperature, 40, 7) for temperature in (1e-3, 0.01, 1, 30)]
    for case in cold:
        for name in ("W_out", "b_out"):
            case["params"][name] *= 1e3
    return [*cold, _sampling(rng, 1.0, 1, 5)]


def _attention(rng, N, K, D, dtype=np.float64, size=1.0):
    return {
        "query": dtype(size) * normal(rng, N, D, dtype=dtype),
        "features": normal(rng, N, K, D, dtype=dtype),
    }


def attention(rng):
    sizes = [(3, 5, 4), (2, 3, 7), (4, 4, 4), (1, 6, 2), (3, 1, 3), (2, 5, 1)]
    return [_attention(rng, *s) for s in [*sizes, (1, 1, 1)]]


def attention_large(rng):
    """Scores of thousands, of either sign."""
    cases = []
    for dtype in FLOATS:
        case = _attention(rng, 4, 6, 5, dtype, 2e3)
        # all scores far below 0
        case["features"][0] = -np.abs(case["features"][0]) * np.sign(case["query"][0])
        cases.append(case)
    return cases


def attention_float32(rng):
    return [_attention(rng, *s, np.float32) for s in [(3, 4, 6), (1, 1, 2)]]


# --- the long memory ---


def memory(rng):
    """Sequences to learn from and new ones, made for this student; names shuffled."""
    from fovea.data import load

    names = rng.permutation(10)
    options = {"length": 100, "num_classes": 10, "num_val": 1, "num_test": 1000}
    data = load("memory", **options, seed=int(rng.integers(2**31)))
    return [
        {
            "X_train": data.train.X,
            "y_train": names[data.train.y],
            "X_new": data.test.X,
            "pieces": tuple(int(p) for p in np.sort(rng.choice(98, 3, False)) + 1),
            "seed": int(rng.integers(1000)),
        }
    ]
