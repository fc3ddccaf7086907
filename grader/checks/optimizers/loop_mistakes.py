"""Topic 02, known wrong answers: minibatches and walks."""

from grader.checks.optimizers import answers as right
from grader.mistakes import in_place, table

_SHUFFLE = "rng.permutation(N)"

minibatches = table(
    right.minibatches,
    (
        "rotated",
        "the samples start at a random place, but come in the order in which they lie",
        (_SHUFFLE, "np.roll(np.arange(N), rng.integers(N))"),
    ),
    (
        "own seed",
        "the order is the same in every call: draw it from the generator that is given",
        (_SHUFFLE, "np.random.default_rng(0).permutation(N)"),
    ),
    (
        "not shuffled",
        "the samples come in the order in which they lie",
        (_SHUFFLE, "np.arange(N)"),
    ),
    (
        "last batch dropped",
        "the last, short batch is dropped: its samples are lost for the epoch",
        ("range(0, N, batch_size)", "range(0, N - batch_size + 1, batch_size)"),
    ),
    (
        "last batch filled up",
        "the last batch is filled up with samples that have been there before",
        (
            "order[i : i + batch_size]",
            "np.resize(order, 2 * N + batch_size)[i : i + batch_size]",
        ),
    ),
    (
        "last batch moved back",
        "the last batch is made full with samples of the batch before",
        (
            "order[i : i + batch_size]",
            "order[max(min(i, N - batch_size), 0) :][:batch_size]",
        ),
    ),
    (
        "drawn with replacement",
        "samples are drawn with replacement: some come twice, others never",
        (_SHUFFLE, "rng.integers(N, size=N)"),
    ),
    (
        "shuffled apart",
        "X and y are shuffled each in its own order",
        (_SHUFFLE, "rng.permutation(N)\n    labels = rng.permutation(N)"),
        ("X[batch], y[batch]", "X[batch], y[labels[i : i + batch_size]]"),
    ),
    (
        "labels stay",
        "X is shuffled, but the labels are not",
        ("X[batch], y[batch]", "X[batch], y[i : i + batch_size]"),
    ),
    (
        "labels flattened",
        "labels come as one flat array: each keeps the shape that it has in y",
        ("y[batch]", "y[batch].ravel()"),
    ),
    (
        "labels made whole",
        "labels are made whole numbers: they keep the dtype of y",
        ("y[batch]", "y[batch].astype(int)"),
    ),
    (
        "global generator",
        "the order comes from another generator than the one that is given",
        (_SHUFFLE, "np.random.default_rng().permutation(N)"),
    ),
    (
        "shuffled within batches",
        "a sample is shuffled within its batch alone: any may come in any batch",
        (_SHUFFLE, "np.arange(N)"),
        ("order[i : i + batch_size]", "rng.permutation(order[i : i + batch_size])"),
    ),
    (
        "batches shuffled",
        "the batches are shuffled, but not the samples among them",
        (_SHUFFLE, "np.arange(N)"),
        ("range(0, N, batch_size)", "rng.permutation(np.arange(0, N, batch_size))"),
    ),
    (
        "short batch first",
        "the short batch comes first, where it is to come last",
        (
            "    for i in range(0, N, batch_size):\n",
            "    starts = sorted({0, *range(N % batch_size, N, batch_size)})\n"
            "    for i, j in zip(starts, [*starts[1:], N]):\n",
        ),
        ("order[i : i + batch_size]", "order[i:j]"),
    ),
    (
        "batches of equal size",
        "the samples are cut into batches of about equal size",
        (
            "    for i in range(0, N, batch_size):\n",
            "    for batch in np.array_split(order, -(-N // batch_size)):\n",
        ),
        ("        batch = order[i : i + batch_size]\n", ""),
    ),
    (
        "shuffled in place",
        in_place("X and y"),
        ("    order =", "    X[:], y[:] = X[::-1].copy(), y[::-1].copy()\n    order ="),
    ),
    (
        "X alone",
        "a batch holds X alone: it is a pair (X_batch, y_batch)",
        ("yield X[batch], y[batch]", "yield X[batch]"),
    ),
    (
        "one batch",
        "one batch comes back, where all are asked for",
        (
            "        yield X[batch], y[batch]\n",
            "        yield X[batch], y[batch]\n        return\n",
        ),
    ),
)

descend = table(
    right.descend,
    (
        "start missing",
        "the start is missing: it is the first place of the path",
        ("path = [w.copy()]", "path = []"),
    ),
    (
        "end missing",
        "the last place is missing",
        ("np.stack(path)", "np.stack(path[:-1])"),
    ),
    (
        "end alone",
        "the last place alone comes back: return the path",
        ("np.stack(path)", "np.stack(path)[-1]"),
    ),
    (
        "gradient at the start",
        "the gradient is taken at the start in every step",
        ("gradient(w)", "gradient(path[0])"),
    ),
    (
        "config forgotten",
        "the config that a step returns is forgotten: it goes into the next step",
        ("w, config = rule(", "w, _ = rule("),
    ),
    (
        "config started afresh",
        "each step starts with a new config: what the rule remembers gets lost",
        ("gradient(w), config)", "gradient(w), None)"),
    ),
    (
        "settings ignored",
        "the settings in config are ignored",
        ("config = dict(config or {})", "config = {}"),
    ),
    (
        "config changed",
        in_place("config"),
        (
            "config = dict(config or {})",
            "config = config if config is not None else {}",
        ),
    ),
    (
        "one place for all",
        "all places of the path are one and the same array: append a new one each time",
        ("path = [w.copy()]", "w = w.copy()\n    path = [w]"),
        ("        w, config =", "        w[...], config ="),
    ),
    (
        "w in place",
        in_place("w"),
        (
            "        path.append(w)\n",
            "        path.append(w.copy())\n        start[...] = w\n",
        ),
        ("    path = [w.copy()]\n", "    path, start = [w.copy()], w\n"),
    ),
    (
        "gradients in the path",
        "the path holds gradients, where it should hold places",
        ("path.append(w)", "path.append(gradient(w))"),
    ),
)
