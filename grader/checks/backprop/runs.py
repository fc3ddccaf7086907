"""Topic 01, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_affine_forward(affine_forward, x, w, b):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(affine_forward, x=x, w=w, b=b)
    out, _ = unpack(result, "out", "cache")
    return {"out": out, **seen}


def run_affine_backward(affine_forward, affine_backward, x, w, b, dout):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    _, cache = unpack(affine_forward(x, w, b), "out", "cache")
    affine_forward(x[:1] + 1, w + 1, b + 1)
    result, seen = watch(lambda d: affine_backward(d, cache), dout=dout)
    dx, dw, db = copied(unpack(result, "dx", "dw", "db"))
    again = unpack(affine_backward(dout, cache), "dx", "dw", "db")
    return {
        "dx": dx,
        "dw": dw,
        "db": db,
        "result of a second call": again,
        "x, w, b": {"x": x, "w": w, "b": b},
        **seen,
    }


def run_forward(forward, x):
    """One call of an activation, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(forward, x=x)
    out, _ = unpack(result, "out", "cache")
    return {"out": out, **seen}


def run_backward(forward, backward, x, dout):
    """Forward, forward on other data, then backward twice from the first cache."""
    from grader.alongside import copied, unpack, watch

    _, cache = unpack(forward(x), "out", "cache")
    forward(1 - x[:1])
    dx, seen = watch(lambda d: backward(d, cache), dout=dout)
    dx = copied(dx)
    return {"dx": dx, "result of a second call": backward(dout, cache), **seen}


def run_pair(forward, backward, x, dout):
    """Both ways, with all warnings of both."""
    from grader.alongside import copied, unpack, watch

    result, there = watch(forward, x=x)
    out, cache = unpack(result, "out", "cache")
    out = copied(out)
    dx, back = watch(lambda d: backward(d, cache), dout=dout)
    return {"out": out, "dx": dx, "warnings": there["warnings"] + back["warnings"]}


def run_log_softmax(log_softmax, x):
    """One call, watched."""
    from grader.alongside import watch

    out, seen = watch(log_softmax, x=x)
    return {"out": out, **seen}


def run_loss(loss_function, x, y):
    """One call of a loss, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(loss_function, x=x, y=y)
    loss, dx = unpack(result, "loss", "dx")
    return {"loss": loss, "dx": dx, **seen}


def run_l2_loss(l2_loss, pred, target):
    """One call, watched."""
    from grader.alongside import unpack, watch

    result, seen = watch(l2_loss, pred=pred, target=target)
    loss, dpred = unpack(result, "loss", "dpred")
    return {"loss": loss, "dpred": dpred, **seen}


def run_numerical_gradient(numerical_gradient, x, layout, function, weights, options):
    """The gradient of one of our functions, at an x laid out in memory as told."""
    import numpy as np

    from grader.alongside import same

    layouts = {
        "plain": lambda a: a.copy(),
        "transposed": lambda a: a.T.copy().T,
        "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
        "backwards": lambda a: a[::-1].copy()[::-1],
    }
    functions = {
        "cubes": lambda a: (weights * a**3).sum(),
        "waves": lambda a: float((weights * np.sin(a)).sum()),
        "product": lambda a: np.asarray((weights * a).sum() ** 2),
    }
    laid = layouts[layout](x)
    grad = numerical_gradient(functions[function], laid, **options)
    return {
        "grad": grad,
        "changed": [] if same(laid, x) else ["x"],
        "how far x moved": float(np.abs(laid - x).max()),
    }


def run_worksheet(worksheet):
    """The student's numbers, by name."""
    filled_in = worksheet()
    if type(filled_in) is not dict:
        raise TypeError(
            f"returned {type(filled_in).__name__}, where a dict is promised"
        )
    return filled_in


def run_value(Value, leaves, program, numbers, backward):
    """Build a graph step by step; return all data, and gradients after backward.

    A line of the program is an operation and its operands: a number is the place of a
    node, leaves first; a name is that of a plain number.
    """
    import operator

    from grader.alongside import within

    unary = {"exp": lambda a: a.exp(), "tanh": lambda a: a.tanh(), "neg": operator.neg}
    unary["relu"] = lambda a: a.relu()
    binary = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
    binary |= {"div": operator.truediv, "pow": operator.pow}
    operations = unary | binary

    nodes = [Value(leaf) for leaf in leaves]
    for operation, *operands in map(str.split, program.splitlines()):
        arguments = [nodes[int(a)] if a.isdigit() else numbers[a] for a in operands]
        nodes.append(operations[operation](*arguments))
    seen = {"data": [node.data for node in nodes]}
    if backward:
        # 500 nodes take a few milliseconds; 2 to the 500 paths never end
        within(1, nodes[-1].backward)
        seen["grad"] = [node.grad for node in nodes]
        seen["data afterwards"] = [node.data for node in nodes]
    return seen


def run_net(Net, arguments, others, params, X, y):
    """How nets begin, and what one returns with our parameters in it.

    It has been called with others before: nothing of that may stay.
    """
    from grader.alongside import copied, unpack, watch

    net = Net(**arguments)
    beginnings = [copied(net.params), *[Net(**other).params for other in others]]
    if not params:
        return {"beginnings": beginnings}
    for factor in (0.5, 1.0):
        for name, value in params.items():
            net.params[name] = factor * value
        net.loss(X, y)
    # a net that is made meanwhile has parameters of its own
    Net(**arguments)
    output, seen = watch(net.loss, X=X)
    output = copied(output)
    result, seen_again = watch(net.loss, X=X, y=y)
    loss, grads = unpack(result, "loss", "grads")
    return {
        "beginnings": beginnings,
        "output": output,
        "loss": loss,
        "grads": grads,
        "params": net.params,
        "changed": seen["changed"] + seen_again["changed"],
    }


def run_gradient_descent(gradient_descent, params, X, y, slopes, rate, num_steps):
    """Train a net of our own, whose loss is a parabola in each parameter."""
    from grader.alongside import watch

    class Parabolas:
        def __init__(self):
            self.params = params

        def loss(self, X, y):
            loss, grads = 0.0, {}
            for name, value in self.params.items():
                off = value[..., None] - y
                loss += 0.5 * slopes[name] * (X * off**2).mean(axis=-1).sum()
                grads[name] = slopes[name] * (X * off).mean(axis=-1)
            # every gradient depends on all parameters
            total = sum(value.sum() for value in self.params.values())
            grads = {name: grad + 0.02 * total for name, grad in grads.items()}
            return float(loss + 0.01 * total**2), grads

    net = Parabolas()

    def train(X, y):
        return gradient_descent(net, X, y, rate, num_steps)

    losses, seen = watch(train, X=X, y=y)
    losses = [float(loss) for loss in losses]
    return {"losses": losses, "params": net.params, **seen}
