"""Topic 04, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_filter2d(filter2d, image, kernel):
    """One call, watched."""
    from grader.alongside import watch

    out, seen = watch(filter2d, image=image, kernel=kernel)
    return {"out": out, **seen}


def run_plain(function, arguments, options):
    """One call with plain numbers, and tuples or lists of them."""
    from grader.alongside import copied, same

    before = copied(arguments)
    result = function(*arguments, **options)
    return {"result": result, "changed": [] if same(arguments, before) else ["layers"]}


def run_conv_forward(forward, x, w, b, conv_param, seconds=None):
    """One call, watched; or, if it has so many seconds, some of what it returns."""
    from grader.alongside import unpack, watch, within

    if seconds:
        result = within(seconds, forward, x, w, b, conv_param)
        return {"some of out": unpack(result, "out", "cache")[0][:, :, ::60, ::60]}
    result, seen = watch(forward, x=x, w=w, b=b, conv_param=conv_param)
    out, _ = unpack(result, "out", "cache")
    return {"out": out, **seen}


def run_conv_backward(forward, backward, x, w, b, conv_param, dout, seconds=None):
    """Forward, forward on other data, then backward twice from the first cache; or, if
    backward has so many seconds, some of what it returns."""
    from grader.alongside import copied, unpack, watch, within

    _, cache = unpack(forward(x, w, b, conv_param), "out", "cache")
    if seconds:
        result = within(seconds, backward, dout, cache)
        return {"some of dx": unpack(result, "dx", "dw", "db")[0][:, :, ::60, ::60]}
    forward(x[:1] + 1, w + 1, b + 1, dict(conv_param))
    result, seen = watch(lambda d: backward(d, cache), dout=dout)
    dx, dw, db = copied(unpack(result, "dx", "dw", "db"))
    again = unpack(backward(dout, cache), "dx", "dw", "db")
    return {
        "dx": dx,
        "dw": dw,
        "db": db,
        "result of a second call": again,
        "what forward got": {"x": x, "w": w, "b": b, "conv_param": conv_param},
        **seen,
    }


def run_pool_forward(forward, x, pool_param):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(forward, x=x, pool_param=pool_param)
    out, _ = unpack(result, "out", "cache")
    return {"out": out, **seen}


def run_pool_backward(forward, backward, x, pool_param, dout):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    _, cache = unpack(forward(x, pool_param), "out", "cache")
    forward(1 - x[:1], dict(pool_param))
    dx, seen = watch(lambda d: backward(d, cache), dout=dout)
    dx = copied(dx)
    again = backward(dout, cache)
    return {"dx": dx, "result of a second call": again, "x": x, **seen}


def run_conv1x1(conv1x1, x, w, b):
    """One call, watched."""
    from grader.alongside import watch

    out, seen = watch(conv1x1, x=x, w=w, b=b)
    return {"out": out, **seen}


def run_convnet(Net, dtype, arguments, params, X, y):
    """How a net begins, and what it returns with our parameters in it.

    It has been called with others before: nothing of that may stay.
    """
    import numpy as np

    from grader.alongside import copied, unpack, watch

    if dtype:
        arguments = {**arguments, "dtype": getattr(np, dtype)}
    net = Net(**arguments)
    beginnings = [copied(net.params)]
    if not params:
        return {"beginnings": beginnings}
    for factor in (0.5, 1.0):
        for name, value in params.items():
            net.params[name] = value * value.dtype.type(factor)
        net.loss(X[::-1] + 1, y)
    # a net that is made meanwhile has parameters of its own
    Net(**arguments)
    scores, seen = watch(net.loss, X=X)
    scores = copied(scores)
    result, seen_again = watch(net.loss, X=X, y=y)
    loss, grads = unpack(result, "loss", "grads")
    return {
        "beginnings": beginnings,
        "scores": scores,
        "loss": loss,
        "grads": grads,
        "params": net.params,
        "changed": seen["changed"] + seen_again["changed"],
    }


def run_torch_twin(torch_twin, params, X, y):
    """The twin's scores, and those after a step of training; what became of params."""
    import torch

    from grader.alongside import copied, same

    before = copied(params)
    twin = torch_twin(params)
    if not isinstance(twin, torch.nn.Module):
        kind = type(twin).__name__
        raise TypeError(f"returned {kind}, where a torch.nn.Module is promised")
    scores = twin(X)
    trained = [p for p in twin.parameters() if p.requires_grad]
    torch.nn.functional.cross_entropy(scores, y).backward()
    with torch.no_grad():
        for parameter in trained:
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
        after = twin(X)
    return {
        "scores": scores.detach().numpy(),
        "number of trainable parameters": sum(p.numel() for p in trained),
        "scores after a step": after.numpy(),
        "changed": [] if same(params, before) else ["params"],
    }
