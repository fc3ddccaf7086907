"""Topic 07, the wrong answers that we know: those of the recurrence alone, of words,
of their loss, and of attention."""

from grader.checks.rnn_lstm import answers as right
from grader.mistakes import FLOAT64, in_place, table

spectral_radius = table(
    right.spectral_radius,
    (
        "real parts",
        "the real parts of the eigenvalues are compared: a complex pair counts with its"
        " absolute value",
        ("np.abs(values)", "np.abs(values.real)"),
    ),
    (
        "signed",
        "the largest eigenvalue is taken with its sign: -2 explodes as 2 does, so the"
        " absolute value counts",
        ("np.abs(values)", "values.real"),
    ),
    (
        "smallest",
        "the smallest absolute value is returned: the largest one decides",
        (".max()", ".min()"),
    ),
    (
        "all of them",
        "all absolute values come back: return the largest, one number",
        ("float(np.abs(values).max())", "np.abs(values)"),
    ),
    (
        "singular value",
        "the largest singular value is returned, which bounds one step: over many steps"
        " the eigenvalues decide",
        ("np.linalg.eigvals(Wh)", "np.linalg.svd(Wh)[1]"),
    ),
    (
        "symmetric only",
        "the eigenvalues are those of a symmetric matrix: Wh is not one",
        ("np.linalg.eigvals(Wh)", "np.linalg.eigvalsh(Wh)"),
    ),
    (
        "norm",
        "a norm of Wh is returned, not the size of an eigenvalue",
        ("np.abs(values).max()", "np.linalg.norm(Wh)"),
    ),
    (
        "diagonal",
        "the entries on the diagonal are eigenvalues of triangular matrices alone",
        ("np.linalg.eigvals(Wh)", "np.diag(Wh)"),
    ),
    (
        "summed",
        "the absolute values are added up: the largest one is asked for",
        (".max()", ".sum()"),
    ),
)

gradient_norms = table(
    right.gradient_norms,
    (
        "Wh not transposed",
        "the gradient is multiplied as the state is: backwards it is dh times Wh"
        " transposed",
        ("Wh @ dh", "dh @ Wh"),
    ),
    (
        "first norm missing",
        "the norm of dh itself, no step back, comes first",
        (
            "norms.append(np.sqrt((dh**2).sum()))\n        dh = Wh @ dh",
            "dh = Wh @ dh\n        norms.append(np.sqrt((dh**2).sum()))",
        ),
    ),
    (
        "one too few",
        "T steps back have T + 1 norms, with that of dh itself",
        ("range(T + 1)", "range(T)"),
    ),
    (
        "one too many",
        "there is a norm too many: T steps back have T + 1 of them",
        ("range(T + 1)", "range(T + 2)"),
    ),
    (
        "squares",
        "the norms are squared: take the root",
        ("np.sqrt((dh**2).sum())", "(dh**2).sum()"),
    ),
    (
        "largest entry",
        "the largest entry is not the norm: square, add up, take the root",
        ("np.sqrt((dh**2).sum())", "np.abs(dh).max()"),
    ),
    (
        "absolute values",
        "absolute values are added up: the norm is the root of the sum of squares",
        ("np.sqrt((dh**2).sum())", "np.abs(dh).sum()"),
    ),
    (
        "back to front",
        "the norms are in the order of time: the first one is that of dh, no step back",
        ("np.array(norms)", "np.array(norms[::-1])"),
    ),
    (
        "relative",
        "the norms are divided by that of dh: they are asked for as they are",
        ("np.array(norms)", "np.array(norms) / norms[0]"),
    ),
    (
        "one step again and again",
        "each entry is one step away from dh: entry t is t steps away",
        ("    for _ in range(T + 1):", "    start = dh\n    for t in range(T + 1):"),
        ("dh = Wh @ dh", "dh = Wh @ start"),
    ),
    (
        "with tanh",
        "a tanh is applied on the way: this recurrence has none",
        ("dh = Wh @ dh", "dh = np.tanh(Wh @ dh)"),
    ),
    (
        "dh changed",
        in_place("dh"),
        ("dh = Wh @ dh", "dh[:] = Wh @ dh"),
    ),
    ("float64", FLOAT64, ("np.array(norms)", "np.array(norms, float)")),
)

word_embedding_forward = table(
    right.word_embedding_forward,
    (
        "counted from one",
        "words are counted from 1: word 0 is the first row of W",
        ("W[x]", "W[x - 1]"),
    ),
    (
        "padding assumed",
        "word 0 is taken for padding and gets zeros: it has a row as all others have",
        ("W[x]", "W[x] * (x > 0)[:, :, None].astype(W.dtype)"),
    ),
    (
        "columns",
        "the columns of W are looked up: a word is a row",
        ("W[x]", "(W.T[x % W.shape[1]])"),
    ),
    (
        "flat",
        "the words of all sequences stand in one row: (N, T, D) is asked for",
        ("W[x]", "W[x.reshape(-1)]"),
    ),
    (
        "added up",
        "the words of a sequence are added up: each keeps its place",
        ("W[x]", "W[x].sum(axis=1)"),
    ),
    (
        "time first",
        "steps and sequences are swapped: (N, T, D) is asked for",
        ("W[x]", "W[x.T]"),
    ),
    (
        "scaled",
        "the rows are scaled: they come back as they are",
        ("W[x]", "W[x] * W.dtype.type(W.shape[1] ** 0.5 + 1)"),
    ),
    ("float64", FLOAT64, ("W[x]", "W[x] + np.zeros(1)")),
    (
        "only the output",
        "the function returns its output alone: return (out, cache)",
        ("return out, (x, W.shape)", "return out"),
    ),
    ("W changed", in_place("W"), ("    out = W[x]", "    W[0] = 0\n    out = W[x]")),
)

word_embedding_backward = table(
    right.word_embedding_backward,
    (
        "counted once",
        "of a word that comes again, one gradient alone is kept: they add up (dW[x] +="
        " dout adds once for each row, np.add.at each time)",
        ("np.add.at(dW, x, dout)", "dW[x] += dout"),
    ),
    (
        "averaged",
        "the gradients of a word are averaged: add them up",
        (
            "    return dW",
            "    counts = np.bincount(x.ravel(), minlength=len(dW)).clip(1)\n"
            "    return dW / counts[:, None].astype(dW.dtype)",
        ),
    ),
    (
        "divided by the batch",
        "dW is divided by the batch size: a sum is asked for",
        ("    return dW", "    return dW / len(x)"),
    ),
    (
        "padding assumed",
        "word 0 is taken for padding and gets no gradient: it is a word as all others"
        " are",
        ("    return dW", "    dW[0] = 0\n    return dW"),
    ),
    (
        "rows that came",
        "dW ends at the last word that came: it is shaped like W",
        ("    return dW", "    return dW[: x.max() + 1]"),
    ),
    (
        "first step",
        "the first step alone sends a gradient: all of them do",
        ("(dW, x, dout)", "(dW, x[:, :1], dout[:, :1])"),
    ),
    (
        "first sequence",
        "the first sequence alone sends a gradient: all of them do",
        ("(dW, x, dout)", "(dW, x[:1], dout[:1])"),
    ),
    (
        "counted from one",
        "words are counted from 1: word 0 is the first row of W",
        ("(dW, x, dout)", "(dW, x - 1, dout)"),
    ),
    ("float64", FLOAT64, ("np.zeros(shape, dout.dtype)", "np.zeros(shape)")),
    (
        "dout changed",
        in_place("dout"),
        ("    return dW", "    dout *= 0\n    return dW"),
    ),
    before=(right.word_embedding_forward,),
)

temporal_softmax_loss = table(
    right.temporal_softmax_loss,
    (
        "mask ignored",
        "the mask is ignored: steps where it is False don't count",
        (
            "    labels = np.where",
            "    mask = np.ones_like(mask)\n    labels = np.where",
        ),
    ),
    (
        "mask inverted",
        "the mask is inverted: True means that a step counts",
        ("    labels = np.where", "    mask = ~mask\n    labels = np.where"),
    ),
    (
        "divided by N T",
        "the loss is averaged over the steps as well: it is summed over them, and"
        " divided by N",
        ("mask).sum() / N", "mask).sum() / (N * T)"),
        ("dx = dx / N", "dx = dx / (N * T)"),
    ),
    (
        "averaged over unmasked steps",
        "the loss is divided by the number of steps that count: divide by N",
        (
            "mask).sum() / N",
            "mask).sum() / max(mask.sum(), 1)",
        ),
        ("dx = dx / N", "dx = dx / max(mask.sum(), 1).astype(dx.dtype)"),
    ),
    (
        "dx not divided",
        "dx is not divided by N, but the loss is",
        ("dx = dx / N", "dx = dx"),
    ),
    (
        "not divided",
        "the loss is not divided by N",
        ("mask).sum() / N", "mask).sum()"),
        ("dx = dx / N", "dx = dx"),
    ),
    (
        "dx not masked",
        "dx is not masked: steps that don't count have gradient 0",
        ("(np.exp(log_probs) - hot) * mask[:, :, None]", "np.exp(log_probs) - hot"),
    ),
    (
        "loss not masked",
        "the loss is not masked, but its gradient is",
        ("(losses * mask)", "losses"),
    ),
    (
        "labels looked up first",
        "labels of masked steps are looked up: they may be anything",
        ("np.where(mask, y, 0)", "y"),
    ),
    (
        "wholly masked sequences left out",
        "N counts all sequences, also those that are masked as a whole",
        (
            "    labels = np.where",
            "    N = max(mask.any(axis=1).sum(), 1).astype(x.dtype)\n"
            "    labels = np.where",
        ),
    ),
    (
        "label not subtracted",
        "dx is the probabilities alone: subtract 1 at the label",
        ("(np.exp(log_probs) - hot)", "np.exp(log_probs)"),
    ),
    (
        "sign",
        "dx has the wrong sign: it is the probabilities minus 1 at the label",
        ("(np.exp(log_probs) - hot)", "(hot - np.exp(log_probs))"),
    ),
    (
        "overflow",
        "np.exp overflows: subtract the largest score of each step first",
        ("x - x.max(axis=2, keepdims=True)", "x"),
    ),
    (
        "shifted by one maximum for all",
        "one maximum for all steps is subtracted: steps far below it vanish, so each"
        " needs its own",
        ("x.max(axis=2, keepdims=True)", "x.max()"),
    ),
    (
        "softmax over time",
        "the probabilities are normalised over the steps, not over the words",
        (
            "np.exp(shifted).sum(axis=2, keepdims=True)",
            "np.exp(shifted).sum(axis=1, keepdims=True)",
        ),
    ),
    (
        "log of the probabilities",
        "the logarithm of a probability that is 0 is taken: work with logarithms of"
        " probabilities throughout",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=2, keepdims=True))",
        ),
    ),
    (
        "x changed",
        in_place("x"),
        (
            "shifted = x - x.max(axis=2, keepdims=True)",
            "x -= x.max(axis=2, keepdims=True)\n    shifted = x",
        ),
    ),
    ("float64", FLOAT64, ("dx = dx / N", "dx = dx / np.full(1, N, float)")),
)

attend = table(
    right.attend,
    (
        "not scaled",
        "the scores are not divided by the root of D",
        ("scores / np.sqrt(D).astype(scores.dtype)", "scores"),
    ),
    (
        "divided by D",
        "the scores are divided by D: by its root",
        ("np.sqrt(D).astype(scores.dtype)", "D"),
    ),
    (
        "root of K",
        "the scores are divided by the root of the number of places: by that of D",
        ("np.sqrt(D)", "np.sqrt(K)"),
    ),
    (
        "softmax over the batch",
        "the weights add up to 1 over the batch: they do so over the places of each"
        " sample",
        (
            "weights / weights.sum(axis=1, keepdims=True)",
            "weights / weights.sum(axis=0, keepdims=True)",
        ),
    ),
    (
        "no softmax",
        "the weights are the scores themselves: a softmax makes them positive, with sum"
        " 1",
        (
            "weights = np.exp(scores - scores.max(axis=1, keepdims=True))",
            "weights = scores",
        ),
        ("    weights = weights / weights.sum(axis=1, keepdims=True)\n", ""),
    ),
    (
        "not normalised",
        "the weights don't add up to 1",
        ("    weights = weights / weights.sum(axis=1, keepdims=True)\n", ""),
    ),
    (
        "overflow",
        "np.exp overflows: subtract the largest score of each sample first",
        ("scores - scores.max(axis=1, keepdims=True)", "scores"),
    ),
    (
        "one maximum for all",
        "one maximum for all samples is subtracted: in samples far below it nothing is"
        " left, so each needs its own",
        ("scores.max(axis=1, keepdims=True)", "scores.max()"),
    ),
    (
        "averaged",
        "all places weigh the same: the weights come from the scores",
        (
            "weights = np.exp(scores - scores.max(axis=1, keepdims=True))",
            "weights = np.ones_like(scores)",
        ),
    ),
    (
        "best place alone",
        "the place of the largest score gets all: the softmax shares among them",
        (
            "weights = np.exp(scores - scores.max(axis=1, keepdims=True))",
            "best = scores == scores.max(axis=1, keepdims=True)\n"
            "    weights = best.astype(scores.dtype)",
        ),
    ),
    (
        "order of the results",
        "context and weights are returned in the wrong order",
        ("return context, weights", "return weights, context"),
    ),
    (
        "signs",
        "places that fit least weigh most: the scores have the wrong sign",
        ("scores = scores / np", "scores = -scores / np"),
    ),
    (
        "context averaged",
        "the context is divided by the number of places: the weights add up to 1",
        ('"nk,nkd->nd", weights, features)', '"nk,nkd->nd", weights, features) / K'),
    ),
    ("float64", FLOAT64, (".astype(scores.dtype)", "")),
    (
        "features changed",
        in_place("features"),
        (
            "    return context",
            "    features *= weights[:, :, None]\n    return context",
        ),
    ),
)
