"""Topic 04, what is right: PyTorch in float64, and closed forms.

An oracle takes the data of one case and returns what ``run`` has to return. Results are
computed in float64 and have the dtype of the case's arrays.
"""

from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F

from grader.checks.promises import NO_SIDE_EFFECTS
from grader.comparing import disagreement


def _tensor(array):
    return torch.tensor(np.float64(array), requires_grad=True)


def _differentiated(function, arrays, dout):
    """Return function(*arrays), and the gradients with respect to the arrays, all of
    the first array's dtype."""
    tensors = [_tensor(array) for array in arrays]
    out = function(*tensors)
    grads = torch.autograd.grad((out * torch.tensor(np.float64(dout))).sum(), tensors)
    return [t.detach().numpy().astype(arrays[0].dtype) for t in (out, *grads)]


def filter2d(image, kernel):
    padding = [size // 2 for size in kernel.shape]
    x, w = (_tensor(a)[None, None] for a in (image, kernel))
    out = F.conv2d(x, w, padding=padding)[0, 0].detach().numpy()
    return {"out": out.astype(image.dtype), **NO_SIDE_EFFECTS}


# --- convolution and pooling ---


def _convolution(conv_param):
    settings = {"stride": conv_param["stride"], "padding": conv_param["pad"]}
    settings["dilation"] = conv_param.get("dilation", 1)
    return lambda x, w, b: F.conv2d(x, w, b, **settings)


def conv_forward(x, w, b, conv_param, seconds=None):
    out = _convolution(conv_param)(*map(_tensor, (x, w, b)))
    out = out.detach().numpy().astype(x.dtype)
    return {"out": out, "some of out": out[:, :, ::60, ::60], **NO_SIDE_EFFECTS}


def conv_backward(x, w, b, conv_param, dout, seconds=None):
    _, *grads = _differentiated(_convolution(conv_param), (x, w, b), dout)
    return {
        **dict(zip(("dx", "dw", "db"), grads, strict=True)),
        "some of dx": grads[0][:, :, ::60, ::60],
        "result of a second call": tuple(grads),
        "what forward got": {"x": x, "w": w, "b": b, "conv_param": conv_param},
        **NO_SIDE_EFFECTS,
    }


def conv1x1(x, w, b):
    out = F.linear(_tensor(x).movedim(1, -1), _tensor(w), _tensor(b)).movedim(-1, 1)
    return {"out": out.detach().numpy().astype(x.dtype), **NO_SIDE_EFFECTS}


def pooling(function):
    """Return the oracles of forward and backward."""

    def pool(pool_param):
        high, wide, stride = (
            pool_param[k] for k in ("pool_height", "pool_width", "stride")
        )
        return lambda x: function(x, (high, wide), stride)

    def forward(x, pool_param):
        out = pool(pool_param)(_tensor(x)).detach().numpy()
        return {"out": out.astype(x.dtype), **NO_SIDE_EFFECTS}

    def backward(x, pool_param, dout):
        _, dx = _differentiated(pool(pool_param), (x,), dout)
        twice = {"dx": dx, "result of a second call": dx}
        return {**twice, "x": x, **NO_SIDE_EFFECTS}

    return forward, backward


max_pool_forward, _max_pool_backward = pooling(F.max_pool2d)
avg_pool_forward, avg_pool_backward = pooling(F.avg_pool2d)


def max_pool_backward(x, pool_param, dout):
    """The gradient; at ties, where it isn't unique, what is to be known to judge it."""
    winners = _winners(x, pool_param)
    if all(mask.sum() == 1 for plane in winners for mask in plane):
        return _max_pool_backward(x, pool_param, dout)
    known = {"winners": winners, "dout": dout, "shape": x.shape}
    twice = {"dx": known, "result of a second call": known}
    return {**twice, "x": x, **NO_SIDE_EFFECTS}


def _winners(x, pool_param):
    """Return, for each plane and each window in it, where its maximum lies."""
    high, wide, stride = (
        pool_param[k] for k in ("pool_height", "pool_width", "stride")
    )
    found = []
    for plane in x.reshape(-1, *x.shape[2:]):
        masks = []
        for i in range(0, plane.shape[0] - high + 1, stride):
            for j in range(0, plane.shape[1] - wide + 1, stride):
                window = np.zeros(plane.shape, dtype=bool)
                window[i : i + high, j : j + wide] = True
                masks.append(window & (plane == plane[window].max()))
        found.append(masks)
    return found


def compare_ties(key, seen, expected):
    """Return in words how a gradient at ties is wrong, or an empty text.

    All of ``dout`` is positive. Windows can have sent out what arrived if, and only if,
    the entries that a set of windows can send to hold at least what these windows have
    to send, for each such set, and all of it is there (D. Gale, 1957).
    """
    dout = expected["dout"]
    if not isinstance(seen, np.ndarray) or seen.shape != expected["shape"]:
        return f"`{key}` does not have the shape of x"
    if seen.dtype != dout.dtype:
        return f"`{key}` has dtype {seen.dtype}, where {dout.dtype} is promised"
    tolerance = 1e-6 if dout.dtype == np.float64 else 1e-4
    planes = seen.reshape(-1, *seen.shape[2:])
    douts = dout.reshape(len(planes), -1)
    for plane, sent, masks in zip(planes, douts, expected["winners"], strict=True):
        if not (np.abs(plane[~np.any(masks, axis=0)]) <= tolerance).all():
            return f"`{key}` is not 0 where an entry wins in no window"
        if not (plane >= -tolerance).all():
            return f"`{key}` has the sign opposite to dout in some tied entry"
        if abs(plane.sum() - sent.sum()) > tolerance * sent.sum():
            return f"what tied entries get in `{key}` does not add up to dout"
        for some in _subsets(len(masks)):
            reached = plane[np.any([masks[k] for k in some], axis=0)].sum()
            if reached < sent[list(some)].sum() - tolerance * sent.sum():
                return f"what the ties of a window get in `{key}` is less than its dout"
    return ""


def _subsets(n):
    """Return all sets of 1 to n - 1 of n windows; of many windows, those of 1 or 2."""
    sizes = range(1, n) if n <= 6 else (1, 2)
    return [some for size in sizes for some in combinations(range(n), size)]


# --- sizes and counts ---


def conv_output_size(arguments, options):
    """The size of what PyTorch's convolution returns, with one input and output
    channel."""
    names = ("size", "kernel", "stride", "padding", "dilation")
    given = {"stride": 1, "padding": 0, "dilation": 1}
    given |= dict(zip(names, arguments, strict=False)) | options
    size = given["size"]
    several = isinstance(size, tuple)
    dims = len(size) if several else 1
    spread = {n: v if isinstance(v, tuple) else (v,) * dims for n, v in given.items()}
    x = torch.zeros(1, 1, *spread["size"])
    w = torch.zeros(1, 1, *spread["kernel"])
    convolve = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    settings = {name: spread[name] for name in names[2:]}
    sizes = tuple(convolve(x, w, **settings).shape[2:])
    return {"result": sizes if several else sizes[0], "changed": []}


def receptive_field(arguments, options):
    """How many inputs one output depends on, found by walking back from it."""
    needed = {0}
    for kernel, stride, *more in reversed(arguments[0]):
        dilation = more[0] if more else 1
        taps = range(0, dilation * kernel, dilation)
        needed = {stride * place + tap for place in needed for tap in taps}
    return {"result": max(needed) - min(needed) + 1, "changed": []}


def _layer(c_in, c_out, kernel, bias=True):
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return torch.nn.Conv2d(c_in, c_out, size, bias=bias)


def count_parameters(arguments, options):
    layer = _layer(*arguments, **options)
    return {"result": sum(p.numel() for p in layer.parameters()), "changed": []}


def count_operations(arguments, options):
    c_in, c_out, kernel, out_h, out_w = arguments
    weights = _layer(c_in, c_out, kernel).weight.numel()
    return {"result": 2 * weights * out_h * out_w, "changed": []}


def compare_whole(key, seen, expected):
    """Return in words why a size or count is wrong; it has to be a whole number, or a
    tuple of them."""
    if key == "changed":
        return f"your code changes `{seen[0]}`, which it was given" if seen else ""
    if isinstance(expected, tuple) and not isinstance(seen, tuple):
        kind = type(seen).__name__
        return f"a {kind} came back, where a tuple is promised for a tuple"
    if isinstance(expected, tuple) and len(seen) != len(expected):
        return "the tuple that came back does not have one entry per dimension"
    entries = (
        zip(seen, expected, strict=True)
        if isinstance(expected, tuple)
        else [(seen, expected)]
    )
    for entry, wanted in entries:
        if isinstance(entry, bool) or not isinstance(entry, (int, np.integer)):
            return f"a {type(entry).__name__} came back, where an int is promised"
        if entry != wanted:
            return "the number is wrong"
    return ""


# --- nets ---


def _scores(X, p):
    maps = F.conv2d(X, p["W1"], p["b1"], padding=p["W1"].shape[2] // 2)
    pooled = F.max_pool2d(torch.relu(maps), 2)
    hidden = torch.relu(pooled.flatten(1) @ p["W2"] + p["b2"])
    return hidden @ p["W3"] + p["b3"]


def convnet(dtype, arguments, params, X, y):
    defaults = {"input_dim": (3, 32, 32), "num_filters": 32, "filter_size": 7}
    defaults |= {"hidden_dim": 100, "num_classes": 10, "weight_scale": 1e-3, "reg": 0.0}
    a = defaults | arguments
    (C, H, W), M, K = a["input_dim"], a["num_filters"], a["filter_size"]
    shapes = {"W1": (M, C, K, K), "b1": (M,)}
    shapes |= {
        "W2": (M * (H // 2) * (W // 2), a["hidden_dim"]),
        "b2": (a["hidden_dim"],),
    }
    shapes |= {"W3": (a["hidden_dim"], a["num_classes"]), "b3": (a["num_classes"],)}
    start = {"shapes": shapes, "scale": a["weight_scale"]}
    if not params:
        return {"beginnings": start}
    tensors = {name: _tensor(value) for name, value in params.items()}
    scores = _scores(torch.tensor(np.float64(X)), tensors)
    loss = F.cross_entropy(scores, torch.tensor(y))
    weights = [tensors[n] for n in ("W1", "W2", "W3")]
    loss = loss + 0.5 * a["reg"] * sum(w.square().sum() for w in weights)
    grads = torch.autograd.grad(loss, list(tensors.values()))
    pairs = zip(tensors, grads, strict=True)
    return {
        "beginnings": start,
        "scores": scores.detach().numpy().astype(X.dtype),
        "loss": loss.item(),
        "grads": {name: grad.numpy().astype(X.dtype) for name, grad in pairs},
        "params": params,
        "changed": [],
    }


def compare_default(key, seen, expected):
    """Return in words what is wrong with the net that one gets without saying more."""
    (start,) = seen
    if not isinstance(start, dict) or sorted(start) != sorted(expected["shapes"]):
        return "`params` has to hold W1, b1, W2, b2, W3, b3, and nothing else"
    for name, shape in expected["shapes"].items():
        wanted = np.zeros(shape, np.float32)
        value = start[name]
        if not isinstance(value, np.ndarray):
            return f"`{name}` is not an array"
        if words := disagreement(name, 0 * value, wanted):
            return words
        if name.startswith("W") and abs(value.std() / expected["scale"] - 1) > 0.1:
            return (
                f"the standard deviation of `{name}` is not the default of weight_scale"
            )
    return ""


def torch_twin(params, X, y):
    """Scores before and after a step of gradient descent with a rate of 0.1."""
    tensors = {name: _tensor(value) for name, value in params.items()}
    X = X.double()
    scores = _scores(X, tensors)
    loss = F.cross_entropy(scores, y)
    grads = torch.autograd.grad(loss, list(tensors.values()))
    moved = {n: t - 0.1 * g for (n, t), g in zip(tensors.items(), grads, strict=True)}
    dtype = params["W1"].dtype
    return {
        "scores": scores.detach().numpy().astype(dtype),
        "number of trainable parameters": sum(v.size for v in params.values()),
        "scores after a step": _scores(X, moved).detach().numpy().astype(dtype),
        "changed": [],
    }
