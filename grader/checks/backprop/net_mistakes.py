"""Topic 01, known wrong answers: nets, their training, and the worksheet."""

from grader.checking import Mistake
from grader.checks.backprop import answers as right
from grader.checks.backprop import oracles
from grader.mistakes import table

two_layer_net = table(
    right.TwoLayerNet,
    (
        "gradients of earlier calls",
        "gradients of earlier calls are added to those of this one: start each call"
        " anew",
        (
            "        return loss, {",
            "        kept = self.__dict__.setdefault('kept', {})\n        made = {",
        ),
        (
            '"b2": db2}\n',
            '"b2": db2}\n        kept.update({n: kept.get(n, 0) + g for n, g in'
            " made.items()})\n        return loss, kept\n",
        ),
    ),
    (
        "reg not halved",
        "the regularization in your loss lacks the factor 1/2",
        ("0.5 * self.reg", "self.reg"),
    ),
    (
        "reg missing in loss",
        "the regularization is missing in your loss",
        ("        loss += 0.5 * self.reg * ((W1**2).sum() + (W2**2).sum())\n", ""),
    ),
    (
        "reg missing in gradients",
        "the regularization is missing in your gradients",
        ("        dW1 += self.reg * W1\n        dW2 += self.reg * W2\n", ""),
    ),
    (
        "reg of W2 missing in gradients",
        "the regularization is missing in the gradient of W2",
        ("        dW2 += self.reg * W2\n", ""),
    ),
    (
        "reg of W1 missing in gradients",
        "the regularization is missing in the gradient of W1",
        ("        dW1 += self.reg * W1\n", ""),
    ),
    (
        "reg of W1 alone in loss",
        "the regularization of W2 is missing in your loss",
        (" + (W2**2).sum()", ""),
    ),
    (
        "reg halved in gradients",
        "the regularization in your gradients is halved: the square brings a 2",
        ("dW1 += self.reg", "dW1 += 0.5 * self.reg"),
        ("dW2 += self.reg", "dW2 += 0.5 * self.reg"),
    ),
    (
        "reg doubled in gradients",
        "the regularization in your gradients is doubled: the 1/2 is there to prevent"
        " that",
        ("dW1 += self.reg", "dW1 += 2 * self.reg"),
        ("dW2 += self.reg", "dW2 += 2 * self.reg"),
    ),
    (
        "reg of biases",
        "biases are regularized, too: only weights are",
        ("((W1**2).sum()", "((b1**2).sum() + (b2**2).sum() + (W1**2).sum()"),
        (
            "return loss, {",
            "db1 += self.reg * b1; db2 += self.reg * b2; return loss, {",
        ),
    ),
    (
        "reg divided by the batch",
        "the regularization is divided by the batch size",
        ("0.5 * self.reg", "0.5 * self.reg / len(X)"),
    ),
    (
        "no relu",
        "there is no ReLU between the layers",
        (
            "active, cache2 = relu_forward(hidden)",
            "active, cache2 = relu_forward(hidden); active = hidden",
        ),
        ("dhidden = relu_backward(dactive, cache2)", "dhidden = dactive"),
    ),
    (
        "relu forgotten on the way back",
        "the way back leaves out the ReLU",
        ("relu_backward(dactive, cache2)", "dactive"),
    ),
    (
        "relu on scores",
        "a ReLU is applied to the scores",
        (
            "scores, cache3 = affine_forward(active, W2, b2)",
            "scores, cache3 = affine_forward(active, W2, b2); scores = scores.clip(0)",
        ),
    ),
    (
        "probabilities for scores",
        "probabilities come back for scores",
        (
            "return scores",
            "return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)",
        ),
    ),
)

mario_net = table(
    right.MarioNet,
    (
        "weights of the first call",
        "the parameters of an earlier call are used: read them from params in every"
        " call",
        (
            "        p = self.params\n",
            "        p = self.__dict__.setdefault('kept', dict(self.params))\n",
        ),
    ),
    (
        "one sigmoid missing",
        "the second sigmoid is missing",
        ("a2, c4 = sigmoid_forward(h2)", "a2, c4 = h2, sigmoid_forward(h2)[1]"),
        ("sigmoid_backward(da2, c4)", "da2"),
    ),
    (
        "sigmoid on the output",
        "a sigmoid is applied to the prediction: the last layer is affine",
        (
            'pred, c5 = affine_forward(a2, p["W3"], p["b3"])',
            'pred, c5 = affine_forward(a2, p["W3"], p["b3"]); pred, c6 ='
            " sigmoid_forward(pred)",
        ),
        (
            "affine_backward(dpred, c5)",
            "affine_backward(sigmoid_backward(dpred, c6), c5)",
        ),
    ),
    (
        "first sigmoid forgotten on the way back",
        "the way back leaves out the first sigmoid",
        ("sigmoid_backward(da1, c2)", "da1"),
    ),
    (
        "second sigmoid forgotten on the way back",
        "the way back leaves out the second sigmoid",
        ("sigmoid_backward(da2, c4)", "da2"),
    ),
    (
        "caches swapped",
        "the way back takes the caches of the two sigmoids the wrong way round",
        ("sigmoid_backward(da2, c4)", "sigmoid_backward(da2, c2)"),
        ("sigmoid_backward(da1, c2)", "sigmoid_backward(da1, c4)"),
    ),
    (
        "W2 and W3 swapped",
        "gradients stand under the wrong names",
        ('"W3": dW3, "b3": db3', '"W3": dW2, "b3": db3'),
        ('"W2": dW2', '"W2": dW3'),
    ),
    ("biases forgotten", "gradients of biases are missing", (', "b3": db3', "")),
    (
        "fixed seed",
        "another seed gives the same weights: draw them from the seed",
        ("default_rng(seed)", "default_rng(0)"),
    ),
    (
        "twins",
        "all units start with equal weights, and so stay equal for ever",
        ("rng.normal(size=(H, H))", "np.full((H, H), 0.1)"),
    ),
    (
        "zeros",
        "weights start at 0: all units stay equal for ever",
        ("rng.normal(size=(3, H))", "np.zeros((3, H))"),
    ),
)

gradient_descent = table(
    right.gradient_descent,
    (
        "gradients asked anew",
        "gradients are computed anew for each parameter, when others have moved"
        " already: compute them once per step",
        (
            "            net.params[name] =",
            "            grad = net.loss(X, y)[1][name]\n"
            "            net.params[name] =",
        ),
    ),
    (
        "uphill",
        "the step goes up the gradient: minus is down",
        ("[name] - learning_rate", "[name] + learning_rate"),
    ),
    (
        "first gradient for ever",
        "the gradient of the start is used for all steps: compute it anew in each",
        (
            "    for _ in range(num_steps):\n        loss, grads = net.loss(X, y)\n",
            "    loss, grads = net.loss(X, y)\n    for _ in range(num_steps):\n"
            "        loss = net.loss(X, y)[0]\n",
        ),
    ),
    (
        "learning rate missing",
        "the step does not depend on learning_rate",
        ("learning_rate * grad", "grad"),
    ),
    (
        "weights alone",
        "only the first parameter is updated: all are",
        ("grads.items():", "list(grads.items())[:1]:"),
    ),
    (
        "loss after the step",
        "the losses are those after each step: those before it are asked for",
        ("losses.append(loss)", "losses.append(net.loss(X, y)[0])"),
    ),
    ("one step", "only one step is taken", ("range(num_steps)", "range(1)")),
    (
        "one step too many",
        "one step too many is taken",
        ("range(num_steps)", "range(num_steps + 1)"),
    ),
    (
        "one step too few",
        "one step too few is taken",
        ("range(num_steps)", "range(num_steps - 1)"),
    ),
    (
        "last loss",
        "only the last loss comes back: a list of all is asked for",
        ("return losses", "return losses[-1:]"),
    ),
    (
        "nothing returned",
        "the function returns nothing: a list of the losses is asked for",
        ("return losses", "return None"),
    ),
    (
        "other params",
        "the parameters of the net stay as they are: the new ones have to stand in"
        " net.params",
        (
            "net.params[name] = net.params[name] - learning_rate * grad",
            "grad = net.params[name] - learning_rate * grad",
        ),
    ),
)


def worksheet(student: str, named: str | None) -> tuple[Mistake, ...]:
    """Known slips on the numbers of this student, and the numbers of another name."""
    numbers = oracles.worksheet_numbers(student)
    answers = oracles.worksheet_answers(student)
    x, w, t, e = numbers["x"], numbers["w"], numbers["t"], answers["e"]
    half = {n: v / 2 for n, v in answers.items() if n.startswith("d")}
    slips = [
        (
            "half",
            "the derivative of e squared is 2e, and all that follows from it doubles",
            half,
        ),
        ("sign of dt", "e = s - t: t gets the gradient with a minus", {"dt": 2 * e}),
        (
            "dw and dx swapped",
            "the derivative of w x with respect to one factor is the other",
            {"dw": 2 * e * w, "dx": 2 * e * (x + 1)},
        ),
        (
            "first path of dx",
            "x is used twice, and its derivatives add up: you took the one through s"
            " alone",
            {"dx": 2 * e},
        ),
        (
            "second path of dx",
            "x is used twice, and its derivatives add up: you took the one through p"
            " alone",
            {"dx": 2 * e * w},
        ),
        (
            "paths multiplied",
            "x is used twice: its derivatives add up, they do not multiply",
            {"dx": (2 * e) ** 2 * w},
        ),
        (
            "bias forgotten",
            "b is missing in your values",
            {"q": w * x, "r": w * x, "s": w * x + x, "e": w * x + x - t},
        ),
        (
            "shortcut forgotten",
            "s is r + x: the shortcut is missing in your values",
            {"s": answers["r"], "e": answers["r"] - t},
        ),
        ("loss not squared", "the loss is e squared", {"L": e}),
        ("loss halved", "the loss is e squared, without 1/2", {"L": e * e / 2}),
    ]
    found = [
        Mistake(
            name=name, message=message, functions=(lambda a={**answers, **slip}: a,)
        )
        for name, message, slip in slips
    ]
    if named and named != student:
        others = oracles.worksheet_answers(named)
        message = (
            "these are the answers for the name in your worksheet, but the numbers of"
            f' your graph are those of student = "{student}": write that into the'
            " notebook, run it again, and work with the numbers that it shows"
        )
        found.insert(
            0,
            Mistake(name="another name", message=message, functions=(lambda: others,)),
        )
    return tuple(found)
