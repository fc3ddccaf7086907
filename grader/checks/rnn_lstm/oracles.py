"""Topic 07, what is right: PyTorch's own cells in float64, and closed forms.

An oracle takes the data of one case and returns what ``run`` has to return. Results are
computed in float64 and have the dtype of the case's arrays.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call

from grader.checks.promises import NO_SIDE_EFFECTS


def _tensor(array):
    return torch.tensor(np.float64(array), requires_grad=True)


def _like(dtype, *tensors):
    return [t.detach().numpy().astype(dtype) for t in tensors]


# --- recurrent layers ---

# PyTorch keeps the gates in the order i, f, g, o, ours is i, f, o, g
_ORDER = (0, 1, 3, 2)


def _reordered(weights, H):
    """Return weights (..., 4H) with their gates in PyTorch's order."""
    return torch.cat([weights.split(H, dim=-1)[gate] for gate in _ORDER], dim=-1)


def _cell(Wx, Wh, b):
    """Return PyTorch's cell of these weights: a function of x and the state."""
    (D, width), H = Wx.shape, len(Wh)
    cell = torch.nn.RNNCell(D, H) if width == H else torch.nn.LSTMCell(D, H)
    if width != H:
        Wx, Wh, b = (_reordered(w, H) for w in (Wx, Wh, b))
    turned = [Wx.T, Wh.T, b]
    names = ("weight_ih", "weight_hh", "bias_ih")
    weights = dict(zip(names, turned, strict=True))
    weights["bias_hh"] = torch.zeros_like(b)
    return lambda x, state: functional_call(cell.double(), weights, (x, state))


def _layer(Wx, Wh, b):
    """Return PyTorch's LSTM of these weights."""
    layer = torch.nn.LSTM(len(Wx), len(Wh), batch_first=True).double()
    Wx, Wh, b = (_reordered(w, len(Wh)) for w in (Wx, Wh, b))
    values = (Wx.T, Wh.T, b, torch.zeros_like(b))
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), values, strict=True):
            parameter.copy_(value)
    return layer


def _grads(outputs, upstream, tensors):
    """Return the gradients of what the outputs and their upstream gradients give."""
    upstream = [torch.tensor(np.float64(grad)) for grad in upstream]
    return torch.autograd.grad(outputs, tensors, upstream)


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    x_, h_, *weights = map(_tensor, (x, prev_h, Wx, Wh, b))
    (next_h,) = _like(x.dtype, _cell(*weights)(x_, h_))
    return {"next_h": next_h, **NO_SIDE_EFFECTS}


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    x_, h_, c_, *weights = map(_tensor, (x, prev_h, prev_c, Wx, Wh, b))
    next_h, next_c = _like(x.dtype, *_cell(*weights)(x_, (h_, c_)))
    return {"next_h": next_h, "next_c": next_c, **NO_SIDE_EFFECTS}


def _backward(given, names, grads):
    grads = tuple(_like(given["x"].dtype, *grads))
    return {
        **dict(zip(names, grads, strict=True)),
        "result of a second call": grads,
        "what forward got": given,
        **NO_SIDE_EFFECTS,
    }


def rnn_step_backward(dnext_h, **given):
    names = ("x", "prev_h", "Wx", "Wh", "b")
    tensors = [_tensor(given[name]) for name in names]
    x, h, *weights = tensors
    out = _cell(*weights)(x, h)
    grads = _grads([out], [dnext_h], tensors)
    return _backward(given, [f"d{name}" for name in names], grads)


def lstm_step_backward(dnext_h, dnext_c, **given):
    names = ("x", "prev_h", "prev_c", "Wx", "Wh", "b")
    tensors = [_tensor(given[name]) for name in names]
    x, h, c, *weights = tensors
    out = _cell(*weights)(x, (h, c))
    grads = _grads(out, [dnext_h, dnext_c], tensors)
    return _backward(given, [f"d{name}" for name in names], grads)


def _unrolled(x, h0, Wx, Wh, b):
    """Return the hidden states (N, T, H)."""
    cell, states = _cell(Wx, Wh, b), []
    several = Wx.shape[1] != len(Wh)
    state = (h0, torch.zeros_like(h0)) if several else h0
    for t in range(x.shape[1]):
        state = cell(x[:, t], state)
        states.append(state[0] if several else state)
    return torch.stack(states, dim=1)


def sequence_forward(x, h0, Wx, Wh, b):
    (h,) = _like(x.dtype, _unrolled(*map(_tensor, (x, h0, Wx, Wh, b))))
    return {"h": h, **NO_SIDE_EFFECTS}


def sequence_backward(dh, **given):
    names = ("x", "h0", "Wx", "Wh", "b")
    tensors = [_tensor(given[name]) for name in names]
    grads = _grads([_unrolled(*tensors)], [dh], tensors)
    return _backward(given, [f"d{name}" for name in names], grads)


# --- the recurrence alone ---


def spectral_radius(Wh):
    radius = torch.linalg.eigvals(torch.tensor(np.float64(Wh))).abs().max()
    return {"radius": radius.item(), **NO_SIDE_EFFECTS}


def gradient_norms(Wh, dh, T):
    """By autograd through h_t = h_(t-1) Wh, for each number of steps back."""
    matrix, upstream = torch.tensor(np.float64(Wh)), torch.tensor(np.float64(dh))
    start = torch.zeros(len(dh), dtype=torch.float64, requires_grad=True)
    states = [start]
    for _ in range(T):
        states.append(states[-1] @ matrix)
    loss = (states[-1] * upstream).sum()
    grads = torch.autograd.grad(loss, states[::-1])
    norms = torch.stack([grad.norm() for grad in grads])
    return {"norms": _like(Wh.dtype, norms)[0], **NO_SIDE_EFFECTS}


# --- words and the loss ---


def word_embedding_forward(x, W):
    out = F.embedding(torch.tensor(x), torch.tensor(W))
    return {"out": out.numpy(), **NO_SIDE_EFFECTS}


def word_embedding_backward(x, W, dout):
    table = _tensor(W)
    grads = _grads([F.embedding(torch.tensor(x), table)], [dout], [table])
    (dW,) = _like(W.dtype, *grads)
    return {
        "dW": dW,
        "result of a second call": dW,
        "what forward got": {"x": x, "W": W},
        **NO_SIDE_EFFECTS,
    }


def temporal_softmax_loss(x, y, mask):
    scores, labels = _tensor(x), torch.tensor(np.where(mask, y, -100))
    flat = scores.flatten(0, 1), labels.flatten()
    loss = F.cross_entropy(*flat, reduction="sum", ignore_index=-100) / len(x)
    (dx,) = torch.autograd.grad(loss, [scores])
    return {"loss": loss.item(), "dx": _like(x.dtype, dx)[0], **NO_SIDE_EFFECTS}


# --- models ---


def char_loss(params, x, y):
    p = {name: _tensor(value) for name, value in params.items()}
    h0 = torch.zeros(len(x), len(params["Wh"]), dtype=torch.float64)
    words = F.embedding(torch.tensor(x), p["W_embed"])
    scores = _unrolled(words, h0, p["Wx"], p["Wh"], p["b"]) @ p["W_out"] + p["b_out"]
    target = torch.tensor(y).flatten()
    loss = F.cross_entropy(scores.flatten(0, 1), target, reduction="sum") / len(x)
    grads = torch.autograd.grad(loss, list(p.values()))
    dtype = params["Wx"].dtype
    pairs = zip(p, _like(dtype, *grads), strict=True)
    return {"loss": loss.item(), "grads": dict(pairs), **NO_SIDE_EFFECTS}


def attend(query, features):
    q, f = _tensor(query), _tensor(features)
    context = F.scaled_dot_product_attention(q[:, None], f, f)[:, 0]
    # the values are the places themselves, so that what comes out are the weights
    K = features.shape[1]
    places = torch.eye(K, dtype=torch.float64).expand(len(query), K, K)
    weights = F.scaled_dot_product_attention(q[:, None], f, places)[:, 0]
    context, weights = _like(query.dtype, context, weights)
    return {"context": context, "weights": weights, **NO_SIDE_EFFECTS}


# --- what is drawn at random ---


def sample(params, start, length, temperature, seed):
    """What is to be known to judge a text: it has many right values."""
    known = {"params": params, "start": start, "length": length}
    known["temperature"] = temperature
    short = known | {"length": min(length, 60)}
    return {"text": known, "texts": short, **NO_SIDE_EFFECTS}


def _scores_of(text, params, start, slip=""):
    """Return (length, V): the scores for each place, given the characters before it;
    with a ``slip``, as a wrong sampler has them."""
    p = {name: torch.tensor(np.float64(value)) for name, value in params.items()}
    read = np.concatenate([[start], text[:-1]])
    if slip == "feedback":
        read[:] = start
    words = p["W_embed"][torch.tensor(read)]
    # one sequence; or as many of one step each, that all start from zeros
    steps = words[:, None] if slip == "state" else words[None]
    with torch.no_grad():
        h = _layer(p["Wx"], p["Wh"], p["b"])(steps)[0].flatten(0, 1)
    return h @ p["W_out"] + p["b_out"]


def _log_probs(scores):
    return F.log_softmax(scores, dim=1).numpy()


# What a text looks like that some wrong sampler is likelier to have written
_SLIPS = {
    "inverse": "the scores seem to be multiplied by the temperature: divide by it",
    "temperature": "the temperature seems to be left out",
    "feedback": "each character that was drawn is read next: yours seems not to be",
    "state": "the state of one step is that of the next: yours seems to start afresh",
    "rounded": "scores divided by the temperature seem to be rounded",
    "warmer": "the temperature seems to be higher than the one that is asked for",
    "colder": "the temperature seems to be lower than the one that is asked for",
}

# a factor of exp(16) comes by chance in less than one of exp(16) texts
_MUCH_LIKELIER = 16

# sums of what is 0 on average lie further out than their bounds once in exp(18) texts
_RARE = 18


def compare_text(key, seen, expected):
    """Return in words why characters can't have been drawn as promised, or "".

    Of what the model expects before it draws, each text differs by sums whose terms are
    0 on average and whose variance is known: of log-probabilities, and of how often
    each pair of characters comes, and unlikely ones. Far out, they are not chance.
    Neither is it chance if some wrong sampler is far likelier to have written the text.
    """
    if key in NO_SIDE_EFFECTS:
        return _side_effect(key, seen)
    seen = np.asarray(seen)
    if words := _no_text(seen, expected):
        return words
    scores = _scores_of(seen, expected["params"], expected["start"])
    right = _log_probs(scores / expected["temperature"])
    places = np.arange(len(seen))
    slip, likelier = _likeliest_slip(seen, scores, expected)
    if likelier - right[places, seen].sum() > _MUCH_LIKELIER:
        return _SLIPS[slip]
    impossible = (right[places, seen] < -25).any()
    if impossible or _far_out(seen, right, expected["start"]):
        return "the characters don't come as often as their probabilities say"
    return ""


def _side_effect(key, seen):
    if not seen:
        return ""
    if key == "changed":
        return f"your code changes what it was given: `{seen[0]}`"
    return f"NumPy warned along the way: {seen[0]}"


def _likeliest_slip(text, scores, expected):
    """Return which wrong sampler is likeliest to have drawn the text, and the logarithm
    of its probability."""
    start, temperature = expected["start"], expected["temperature"]
    made = {
        "inverse": scores * temperature,
        "temperature": scores,
        "rounded": (scores / temperature).floor(),
        "warmer": scores / temperature / 1.3,
        "colder": scores / temperature * 1.3,
    }
    for slip in ("feedback", "state"):
        others = _scores_of(text, expected["params"], start, slip)
        made[slip] = others / temperature
    places = np.arange(len(text))
    found = {s: _log_probs(made[s])[places, text].sum() for s in made}
    slip = max(found, key=found.get)
    return slip, found[slip]


def _far_out(text, log_probs, start):
    """Tell whether some sum of deviations is too large for chance."""
    probs, places = np.exp(log_probs), np.arange(len(text))
    entropy = (probs * log_probs).sum(axis=1)
    spread = ((probs * log_probs**2).sum(axis=1) - entropy**2).sum()
    surprise = (log_probs[places, text] - entropy).sum()
    # of many terms, so that it is normally distributed
    if spread > 20 and abs(surprise) > np.sqrt(2 * _RARE * spread):
        return True
    before = np.concatenate([[start], text[:-1]])
    hot = np.eye(probs.shape[1])
    counts = [(hot[text] - probs)[before == char] for char in np.unique(before)]
    chances = [(probs * (1 - probs))[before == char] for char in np.unique(before)]
    for most in (0.03, 0.1, 0.3):
        unlikely = probs < most
        share = (probs * unlikely).sum(axis=1, keepdims=True)
        counts.append(unlikely[places, text][:, None] - share)
        chances.append(share * (1 - share))
    return any(
        (abs(count.sum(axis=0)) > _bound(chance.sum(axis=0))).any()
        for count, chance in zip(counts, chances, strict=True)
    )


def _bound(variance):
    """Return what a sum of terms between -1 and 1 exceeds once in exp(18) times, from
    the sum of their variances (D. Freedman, On tail probabilities for martingales,
    1975)."""
    return _RARE / 3 + np.sqrt(_RARE**2 / 9 + 2 * _RARE * variance)


def compare_draws(key, seen, expected):
    """Return in words why texts can't all come of the generators given, or ""."""
    first, again, other = map(np.asarray, seen)
    for text in (first, again, other):
        if words := _no_text(text, expected):
            return words
    if not np.array_equal(first, again):
        return "equal generators make different texts: draw from `rng` alone"
    if np.array_equal(first, other):
        return "different generators make the same text: draw from `rng`"
    return ""


def _no_text(seen, expected):
    """Return in words why an array can't be a text at all, or ""."""
    if seen.shape != (expected["length"],) or seen.dtype.kind not in "iu":
        return "what came back is not an array of `length` integers"
    if seen.min() < 0 or seen.max() >= len(expected["params"]["b_out"]):
        return "the text holds numbers that no character has"
    return ""


def long_memory(X_train, y_train, X_new, pieces, seed):
    """The labels of new sequences, under the names that y_train gives the classes."""
    first = X_train[:, 0].argmax(axis=1)
    names = dict(zip(first.tolist(), y_train.tolist(), strict=True))
    labels = np.array([names[one] for one in X_new[:, 0].argmax(axis=1).tolist()])
    judged_alone = dict.fromkeys(("in pieces", "alone", "state", "changed"))
    return {"labels": labels, **judged_alone}
