"""Topic 07, the wrong answers that we know: those of the model of characters."""

from grader.checks.rnn_lstm import answers as right
from grader.mistakes import FLOAT64, in_place, table

char_loss = table(
    right.char_loss,
    (
        "embedding not trained",
        "W_embed gets no gradient: send dwords back through the embedding",
        ('"W_embed": dW_embed', '"W_embed": 0 * dW_embed'),
    ),
    (
        "names missing",
        "the output layer's gradients are missing: `grads` has the names of `params`",
        ('    grads |= {"W_out": dW_out, "b_out": db_out}\n', ""),
    ),
    (
        "db_out averaged",
        "the gradient of b_out is averaged: add it up over sequences and steps",
        ("dscores.sum(axis=(0, 1))", "dscores.mean(axis=(0, 1))"),
    ),
    (
        "db_out of one step",
        "the gradient of b_out is that of the last step: add up over all of them",
        ("dscores.sum(axis=(0, 1))", "dscores[:, -1].sum(axis=0)"),
    ),
    (
        "dW_out of one step",
        "the gradient of W_out is that of the last step: add up over all of them",
        ('"nth,ntv->hv", h, dscores)', '"nth,ntv->hv", h[:, -1:], dscores[:, -1:])'),
    ),
    (
        "only the last state",
        "the loss reaches the last state alone: each state predicts a character",
        (
            'dh = dscores @ p["W_out"].T',
            'dh = dscores @ p["W_out"].T\n    dh[:, :-1] = 0',
        ),
    ),
    (
        "divided by the steps",
        "loss and gradients are divided by the number of steps: by that of sequences",
        (
            "    return loss, grads",
            "    grads = {n: g / y.shape[1] for n, g in grads.items()}\n"
            "    return loss / y.shape[1], grads",
        ),
    ),
    (
        "b_out forgotten",
        "b_out is not added to the scores",
        (' + p["b_out"]', ""),
    ),
    (
        "targets shifted once more",
        "the targets are shifted: y holds the character that follows that of x already",
        ("(scores, y, np.ones", "(scores, np.roll(y, -1, axis=1), np.ones"),
    ),
    (
        "inputs as targets",
        "the characters of x are predicted: the targets are those of y",
        ("(scores, y, np.ones", "(scores, x, np.ones"),
    ),
    (
        "first character masked",
        "a character is taken for padding and masked: all count",
        ("np.ones(y.shape, bool)", "y > 0"),
    ),
    (
        "starts with ones",
        "the state starts with ones: h0 is 0",
        ("h0 = np.zeros(", "h0 = np.ones("),
    ),
    (
        "params changed",
        "the parameters are changed: return gradients, and an optimizer takes the step",
        (
            "    return loss, grads",
            '    p["W_out"] -= dW_out / 10\n    return loss, grads',
        ),
    ),
    (
        "float64",
        FLOAT64,
        ('len(p["Wh"])), words.dtype)', 'len(p["Wh"])))'),
    ),
)

sample = table(
    right.sample,
    (
        "temperature multiplied",
        "the scores are multiplied by the temperature: divide by it",
        ("scores / temperature", "scores * temperature"),
    ),
    (
        "temperature left out",
        "the temperature is left out",
        ("        scores = scores / temperature\n", ""),
    ),
    (
        "greedy",
        "the likeliest character is taken each time: draw one",
        (
            "int(rng.choice(len(probs), p=probs))",
            "int(probs.argmax()) + 0 * int(rng.integers(1))",
        ),
    ),
    (
        "uniform",
        "the characters are drawn without regard to their probabilities",
        (", p=probs))", "))"),
    ),
    (
        "nothing read",
        "the character that was drawn is not read next",
        ("        char = int(rng", "        drawn = int(rng"),
        ("chars.append(char)", "chars.append(drawn)"),
    ),
    (
        "state not kept",
        "the state starts afresh for each character: it goes on",
        ("h, c, _ = lstm", "_h, c, _ = lstm"),
        ("(h @ p", "(_h @ p"),
    ),
    (
        "cell not kept",
        "the cell starts afresh for each character: it goes on",
        ("h, c, _ = lstm", "h, _, _ = lstm"),
    ),
    (
        "start among the text",
        "the text begins with `start`: return what was drawn",
        ("    return np.array(chars)", "    return np.array([start, *chars[:-1]])"),
    ),
    (
        "one more",
        "the text is not `length` long: `start` does not count",
        ("    return np.array(chars)", "    return np.array([start, *chars])"),
    ),
    (
        "overflow",
        "np.exp overflows: subtract the largest score first",
        ("np.exp(scores - scores.max())", "np.exp(scores)"),
    ),
    (
        "own generator",
        "the draws come from a generator made inside: draw from `rng`",
        (
            "    for _ in range(length):",
            "    rng = np.random.default_rng(0)\n    for _ in range(length):",
        ),
    ),
    (
        "global generator",
        "the draws come from NumPy's global generator: draw from `rng`",
        ("rng.choice(len(probs), p=probs)", "np.random.choice(len(probs), p=probs)"),
    ),
    (
        "b_out forgotten",
        "b_out is not added to the scores",
        (' + p["b_out"]', ""),
    ),
    (
        "words, not numbers",
        "text comes back as a string: return the characters' numbers",
        ("return np.array(chars)", 'return "".join(map(str, chars))'),
    ),
    (
        "params changed",
        in_place("params"),
        ("    return np.array", '    p["b_out"] += 1\n    return np.array'),
    ),
)
