"""Topic 01, what is right: PyTorch's autograd in float64, and closed forms.

An oracle takes the data of one case and returns what ``run`` has to return. Results are
computed in float64 and have the dtype of the case's arrays.
"""

import numpy as np
import torch

from fovea.personal import personal_rng
from grader.checks.promises import NO_SIDE_EFFECTS


def _tensors(*arrays):
    return [torch.tensor(np.float64(a), requires_grad=True) for a in arrays]


def _like(dtype, *tensors):
    return [tensor.detach().numpy().astype(dtype) for tensor in tensors]


def _gradients(function, arrays, dout, dtype):
    """Return function(*arrays), and the gradients with respect to the arrays."""
    tensors = _tensors(*arrays)
    out = function(*tensors)
    # a sum, as giving `dout` to `grad` imports a thousand modules more
    total = (out * torch.tensor(np.float64(dout))).sum()
    grads = torch.autograd.grad(total, tensors)
    return _like(dtype, out, *grads)


def _flat_affine(x, w, b):
    return torch.nn.functional.linear(x.flatten(1), w.T, b)


def affine_forward(x, w, b):
    (out,) = _like(x.dtype, _flat_affine(*_tensors(x, w, b)))
    return {"out": out, **NO_SIDE_EFFECTS}


def affine_backward(x, w, b, dout):
    _, *grads = _gradients(_flat_affine, (x, w, b), dout, x.dtype)
    return {
        **dict(zip(("dx", "dw", "db"), grads, strict=True)),
        "result of a second call": tuple(grads),
        "x, w, b": {"x": x, "w": w, "b": b},
        **NO_SIDE_EFFECTS,
    }


FUNCTIONS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.1),
    "maxout": lambda x: x.max(dim=-1).values,
}


def forward(name):
    """Return the oracle of an activation's forward."""

    def oracle(x):
        (out,) = _like(x.dtype, FUNCTIONS[name](*_tensors(x)))
        return {"out": out, **NO_SIDE_EFFECTS}

    return oracle


def backward(name):
    """Return the oracle of an activation's backward, and of both ways."""

    def oracle(x, dout):
        out, dx = _gradients(FUNCTIONS[name], (x,), dout, x.dtype)
        return {"out": out, "dx": dx, "result of a second call": dx, **NO_SIDE_EFFECTS}

    return oracle


def maxout_backward(x, dout):
    """The gradient; at ties, where it isn't unique, what is to be known to judge it."""
    winners = x == x.max(axis=-1, keepdims=True)
    if (winners.sum(axis=-1) == 1).all():
        return backward("maxout")(x, dout)
    known = {"winners": winners, "dout": dout}
    return {"dx": known, "result of a second call": known, **NO_SIDE_EFFECTS}


def compare_ties(key, seen, expected):
    """Return in words how a gradient at ties is wrong, or an empty text."""
    winners, dout = expected["winners"], expected["dout"]
    if not isinstance(seen, np.ndarray) or seen.shape != winners.shape:
        return f"`{key}` does not have the shape of x"
    if seen.dtype != dout.dtype:
        return f"`{key}` has dtype {seen.dtype}, where {dout.dtype} is promised"
    tolerance = 1e-6 if dout.dtype == np.float64 else 1e-4
    if not (np.abs(seen[~winners]) <= tolerance).all():
        return f"`{key}` is not 0 where another piece is larger"
    if not (seen * dout[..., None] >= -tolerance).all():
        return f"`{key}` has the sign opposite to dout in some tied piece"
    if not np.allclose(seen.sum(axis=-1), dout, rtol=tolerance, atol=tolerance):
        return f"what tied pieces get in `{key}` does not add up to dout"
    return ""


def log_softmax(x):
    (out,) = _like(x.dtype, torch.log_softmax(*_tensors(x), dim=1))
    return {"out": out, **NO_SIDE_EFFECTS}


def _loss(function, x, key="dx"):
    loss, dx = _gradients(function, (x,), 1.0, x.dtype)
    (value,) = _like(np.float64, function(*_tensors(x)))
    return {"loss": float(value), key: dx, **NO_SIDE_EFFECTS}


def softmax_loss(x, y):
    labels = torch.tensor(y)
    return _loss(lambda x: torch.nn.functional.cross_entropy(x, labels), x)


def svm_loss(x, y):
    labels, classes = torch.tensor(y), x.shape[1]
    # torch divides by the number of classes
    return _loss(
        lambda x: torch.nn.functional.multi_margin_loss(x, labels) * classes, x
    )


def l2_loss(pred, target):
    wanted = torch.tensor(np.float64(target))
    # the squared Frobenius norm, by another way than the formula
    return _loss(
        lambda p: torch.cdist(p, wanted).diagonal().square().mean(), pred, "dpred"
    )


def numerical_gradient(x, layout, function, weights, options):
    """Central differences in closed form."""
    h = options.get("h", 1e-5)
    exact = {
        "cubes": weights * (3 * x**2 + h**2),
        "waves": weights * np.cos(x) * np.sin(h) / h,
        "product": 2 * weights * (weights * x).sum(),
    }
    return {"grad": exact[function], "changed": [], "how far x moved": 0.0}


# --- the worksheet ---


def worksheet_numbers(student):
    """The numbers at the leaves, drawn as the notebook draws them."""
    rng = personal_rng(student, "backprop-worksheet")
    x, w = int(rng.integers(2, 5)), int(rng.integers(5, 10))
    b, t = -int(rng.integers(1, 4)), w * x - int(rng.integers(3, 7))
    return {"x": x, "w": w, "b": b, "t": t}


def worksheet_answers(student):
    """Values and derivatives of the student's graph, in closed form."""
    x, w, b, t = worksheet_numbers(student).values()
    # w x + b is positive for all numbers that are drawn
    e = w * x + b + x - t
    values = {"p": w * x, "q": w * x + b, "r": w * x + b, "s": e + t, "e": e}
    slope = 2 * e
    chain = dict.fromkeys(("de", "ds", "dr", "dq", "dp", "db"), slope)
    ends = {"dt": -slope, "dw": slope * x, "dx": slope * (w + 1)}
    return {**values, "L": e * e, **chain, **ends}


# --- values ---

OPERATIONS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "exp": torch.exp,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "neg": torch.neg,
}


def value(leaves, program, numbers, backward):
    """The same graph in torch scalars."""
    nodes = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in leaves]
    plain = {n: torch.tensor(v, dtype=torch.float64) for n, v in numbers.items()}
    for operation, *operands in map(str.split, program.splitlines()):
        arguments = [nodes[int(a)] if a.isdigit() else plain[a] for a in operands]
        nodes.append(OPERATIONS[operation](*arguments))
    seen = {"data": [node.item() for node in nodes]}
    if backward:
        grads = torch.autograd.grad(
            nodes[-1], nodes, allow_unused=True, materialize_grads=True
        )
        seen["grad"] = [grad.item() for grad in grads]
        seen["data afterwards"] = seen["data"]
    return seen


# --- nets and training ---


def _net(params, X, y, forward, penalty, loss_function):
    tensors = {name: torch.tensor(v, requires_grad=True) for name, v in params.items()}
    output = forward(torch.tensor(X).flatten(1), tensors)
    loss = loss_function(output, torch.tensor(y)) + penalty(tensors)
    grads = torch.autograd.grad(loss, list(tensors.values()))
    return {
        "output": output.detach().numpy(),
        "loss": loss.item(),
        "grads": {n: g.numpy() for n, g in zip(tensors, grads, strict=True)},
        "params": params,
        "changed": [],
    }


def two_layer_net(arguments, others, params, X, y):
    D, H, C = (arguments[n] for n in ("input_dim", "hidden_dim", "num_classes"))
    shapes = {"W1": (D, H), "b1": (H,), "W2": (H, C), "b2": (C,)}
    start = {"shapes": shapes, "scale": arguments.get("weight_scale", 1e-3)}
    if not params:
        return {"beginnings": start}
    reg = arguments.get("reg", 0.0)

    def forward(X, p):
        return torch.relu(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]

    def penalty(p):
        return 0.5 * reg * (p["W1"].square().sum() + p["W2"].square().sum())

    loss = torch.nn.functional.cross_entropy
    return {"beginnings": start, **_net(params, X, y, forward, penalty, loss)}


def mario_net(arguments, others, params, X, y):
    H = arguments["hidden_dim"]
    shapes = {"W1": (3, H), "b1": (H,), "W2": (H, H), "b2": (H,)}
    shapes |= {"W3": (H, 1), "b3": (1,)}
    start = {"shapes": shapes, "scale": None}
    if not params:
        return {"beginnings": start}

    def forward(X, p):
        hidden = torch.sigmoid(X @ p["W1"] + p["b1"])
        return torch.sigmoid(hidden @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]

    def loss(pred, target):
        return torch.nn.functional.mse_loss(pred, target, reduction="sum") / len(pred)

    return {
        "beginnings": start,
        **_net(params, X, y, forward, lambda p: 0.0, loss),
    }


def compare_start(key, seen, expected):
    """Return in words what is wrong with how nets begin, or an empty text."""
    for start in seen:
        if words := _wrong_start(start, expected):
            return words
    first, *others = seen
    if others:
        same, other = others
        weights = [name for name in first if name.startswith("W")]
        if any(not np.array_equal(first[name], same[name]) for name in weights):
            return "the same seed gives other weights"
        if any(np.array_equal(first[name], other[name]) for name in weights):
            return "another seed gives the same weights"
    return ""


def _wrong_start(start, expected):
    shapes, scale = expected["shapes"], expected["scale"]
    if not isinstance(start, dict) or sorted(map(str, start)) != sorted(shapes):
        return f"`params` has to hold {', '.join(shapes)}, and nothing else"
    for name, shape in shapes.items():
        value = start[name]
        if not isinstance(value, np.ndarray) or value.shape != shape:
            return f"`{name}` is not an array of the promised shape"
        if value.dtype != np.float64 or not np.isfinite(value).all():
            return f"`{name}` is not float64, or not finite"
        if name.startswith("b") and value.any():
            return f"`{name}` does not start at 0"
        if name.startswith("W") and (words := _wrong_weights(name, value, scale)):
            return words
    return ""


def _wrong_weights(name, value, scale):
    # of thousands of numbers that were drawn in float32, a few agree by chance
    if value.size > 1 and len(np.unique(value)) < 0.99 * value.size:
        return f"entries of `{name}` start with the same value"
    if scale is None:
        return ""
    # six standard errors of the mean, and of the deviation of 2000 numbers
    if abs(value.mean()) > 6 * scale / np.sqrt(value.size):
        return f"`{name}` is not centred on 0"
    if abs(value.std() / scale - 1) > 0.1:
        return f"the standard deviation of `{name}` is not weight_scale"
    if np.abs(value).max() < 2.5 * scale:
        return f"`{name}` is not normally distributed"
    return ""


def gradient_descent(params, X, y, slopes, rate, num_steps):
    """Steps of PyTorch's autograd on the same loss."""
    weights, losses = {n: _tensors(v)[0] for n, v in params.items()}, []
    X, y = torch.tensor(X), torch.tensor(y)
    for _ in range(num_steps):
        loss = 0.01 * sum(w.sum() for w in weights.values()) ** 2
        for name, w in weights.items():
            loss = (
                loss + 0.5 * slopes[name] * (X * (w[..., None] - y) ** 2).mean(-1).sum()
            )
        losses.append(loss.item())
        grads = torch.autograd.grad(loss, list(weights.values()))
        weights = {
            n: (w - rate * g).detach().requires_grad_()
            for (n, w), g in zip(weights.items(), grads, strict=True)
        }
    ends = {n: w.detach().numpy() for n, w in weights.items()}
    return {"losses": losses, "params": ends, **NO_SIDE_EFFECTS}
