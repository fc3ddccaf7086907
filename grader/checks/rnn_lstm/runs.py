"""Topic 07, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_rnn_step_forward(forward, x, prev_h, Wx, Wh, b):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(forward, x=x, prev_h=prev_h, Wx=Wx, Wh=Wh, b=b)
    next_h, _ = unpack(result, "next_h", "cache")
    return {"next_h": next_h, **seen}


def run_rnn_step_backward(forward, backward, dnext_h, **given):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    names = ("dx", "dprev_h", "dWx", "dWh", "db")
    arrays = [given[name] for name in ("x", "prev_h", "Wx", "Wh", "b")]
    _, cache = unpack(forward(*arrays), "next_h", "cache")
    forward(*[1 - array for array in copied(arrays)])
    result, seen = watch(lambda d: backward(d, cache), dnext_h=dnext_h)
    grads = copied(unpack(result, *names))
    again = unpack(backward(dnext_h, cache), *names)
    return {
        **dict(zip(names, grads, strict=True)),
        "result of a second call": again,
        "what forward got": given,
        **seen,
    }


def run_lstm_step_forward(forward, x, prev_h, prev_c, Wx, Wh, b):
    """One call, watched."""
    from grader.alongside import unpack, watch

    given = {"x": x, "prev_h": prev_h, "prev_c": prev_c, "Wx": Wx, "Wh": Wh, "b": b}
    result, seen = watch(forward, **given)
    next_h, next_c, _ = unpack(result, "next_h", "next_c", "cache")
    return {"next_h": next_h, "next_c": next_c, **seen}


def run_lstm_step_backward(forward, backward, dnext_h, dnext_c, **given):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    names = ("dx", "dprev_h", "dprev_c", "dWx", "dWh", "db")
    arrays = [given[name] for name in ("x", "prev_h", "prev_c", "Wx", "Wh", "b")]
    _, _, cache = unpack(forward(*arrays), "next_h", "next_c", "cache")
    forward(*[1 - array for array in copied(arrays)])
    upstream = {"dnext_h": dnext_h, "dnext_c": dnext_c}
    result, seen = watch(lambda dh, dc: backward(dh, dc, cache), **upstream)
    grads = copied(unpack(result, *names))
    again = unpack(backward(dnext_h, dnext_c, cache), *names)
    return {
        **dict(zip(names, grads, strict=True)),
        "result of a second call": again,
        "what forward got": given,
        **seen,
    }


def run_sequence_forward(forward, x, h0, Wx, Wh, b):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(forward, x=x, h0=h0, Wx=Wx, Wh=Wh, b=b)
    h, _ = unpack(result, "h", "cache")
    return {"h": h, **seen}


def run_sequence_backward(forward, backward, dh, **given):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    names = ("dx", "dh0", "dWx", "dWh", "db")
    arrays = [given[name] for name in ("x", "h0", "Wx", "Wh", "b")]
    _, cache = unpack(forward(*arrays), "h", "cache")
    forward(*[1 - array for array in copied(arrays)])
    result, seen = watch(lambda d: backward(d, cache), dh=dh)
    grads = copied(unpack(result, *names))
    again = unpack(backward(dh, cache), *names)
    return {
        **dict(zip(names, grads, strict=True)),
        "result of a second call": again,
        "what forward got": given,
        **seen,
    }


def run_spectral_radius(spectral_radius, Wh):
    """One call, watched."""
    from grader.alongside import watch

    radius, seen = watch(spectral_radius, Wh=Wh)
    return {"radius": radius, **seen}


def run_gradient_norms(gradient_norms, Wh, dh, T):
    """One call, watched."""
    from grader.alongside import watch

    norms, seen = watch(gradient_norms, Wh=Wh, dh=dh, T=T)
    return {"norms": norms, **seen}


def run_word_embedding_forward(forward, x, W):
    """One call, watched; and what becomes of W if the caller writes into the result."""
    from grader.alongside import copied, unpack, watch

    result, seen = watch(forward, x=x, W=W)
    out, _ = unpack(result, "out", "cache")
    return {"out": copied(out), **seen}


def run_word_embedding_backward(forward, backward, x, W, dout):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    _, cache = unpack(forward(x, W), "out", "cache")
    forward(x[:1] * 0, W[:1] + 1)
    dW, seen = watch(lambda d: backward(d, cache), dout=dout)
    dW = copied(dW)
    again = backward(dout, cache)
    return {
        "dW": dW,
        "result of a second call": again,
        "what forward got": {"x": x, "W": W},
        **seen,
    }


def run_temporal_softmax_loss(temporal_softmax_loss, x, y, mask):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(temporal_softmax_loss, x=x, y=y, mask=mask)
    loss, dx = unpack(result, "loss", "dx")
    return {"loss": loss, "dx": dx, **seen}


def run_char_loss(char_loss, params, x, y):
    """One call, watched, after one with other parameters."""
    from grader.alongside import unpack, watch

    char_loss({name: 1 - value for name, value in params.items()}, x, y)
    result, seen = watch(char_loss, params=params, x=x, y=y)
    loss, grads = unpack(result, "loss", "grads")
    return {"loss": loss, "grads": grads, **seen}


def run_sample(sample, params, start, length, temperature, seed):
    """A text; and short ones, two of equal generators, and one of another."""
    import numpy as np

    from grader.alongside import watch

    texts, changed, warned = [], [], []
    short = min(length, 60)
    for number, size in (
        (seed, length),
        (seed, short),
        (seed, short),
        (seed + 1, short),
    ):
        given = {"params": params, "start": start, "length": size}
        given["temperature"] = temperature
        rng = np.random.default_rng(number)
        text, seen = watch(lambda *arguments, rng=rng: sample(*arguments, rng), **given)
        texts.append(text)
        changed += seen["changed"]
        warned += seen["warnings"]
    return {
        "text": texts[0],
        "texts": texts[1:],
        "changed": changed[:1],
        "warnings": warned[:1],
    }


def run_attend(attend, query, features):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(attend, query=query, features=features)
    context, weights = unpack(result, "context", "weights")
    return {"context": context, "weights": weights, **seen}


def run_long_memory(long_memory, X_train, y_train, X_new, pieces, seed):
    """Train, then read new sequences whole, one by one, and in pieces.

    ``pieces`` are the places where a sequence is cut.
    """
    import torch

    from grader.alongside import copied, same

    X, y = torch.tensor(X_train), torch.tensor(y_train)
    before = copied([X.numpy(), y.numpy()])
    net = long_memory(X, y, seed)
    if not isinstance(net, torch.nn.Module):
        kind = type(net).__name__
        raise TypeError(f"returned {kind}, where a torch.nn.Module is promised")
    after = [X.numpy(), y.numpy()]

    def read(X, cuts=()):
        state = None
        ends = (*cuts, X.shape[1])
        for begin, end in zip((0, *cuts), ends, strict=True):
            result = net(X[:, begin:end], state)
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError("the module returns (logits, state)")
            logits, state = result
        return logits.detach().cpu(), state

    def count(state):
        if isinstance(state, torch.Tensor):
            return state.numel()
        if isinstance(state, (tuple, list)):
            return sum(map(count, state))
        kind = type(state).__name__
        raise TypeError(f"the state holds {kind}, where tensors are promised")

    X = torch.tensor(X_new)
    with torch.no_grad():
        whole, state = read(X)
        in_pieces, _ = read(X[:50], pieces)
        alone, _ = read(X[7:8])
    return {
        "labels": whole.argmax(1).numpy(),
        "in pieces": [whole[:50].numpy(), in_pieces.numpy()],
        "alone": [whole[7:8].numpy(), alone.numpy()],
        "state": count(state) / len(X),
        "changed": [] if same(before, after) else ["X_train or y_train"],
    }
