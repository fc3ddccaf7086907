"""Topic 12, known wrong answers: projected gradient descent."""

from grader.checks.adversarial import answers as right
from grader.checks.adversarial.image_mistakes import (
    CROSS_ENTROPY,
    FROZEN,
    LEFT_IN_EVAL,
    LEFT_IN_TRAIN,
    NO_GRAD,
    ON_A_GRAPH,
    POLLUTED,
    SOFTMAX,
)
from grader.mistakes import in_place, table

_STEP = "image.detach() + alpha * grad.sign()"
_BALL = "        image = image.clamp(low, high)\n"
_BOX = "        image = image.clamp(0, 1)\n    return image"
_START = "image = x + epsilon * (2 * noise - 1)"
_DRAWN = "torch.rand(x.shape, generator=rng, dtype=x.dtype)"
_LOOP = "    for _ in range(steps):\n"

_on_the_way = (
    (
        "no projection",
        "the image leaves the ball around x: project it after each step",
        (_BALL, ""),
    ),
    (
        "around the last image",
        "the ball is laid around the image of the step before: it stays around x",
        (_BALL, ""),
        (_STEP, "image.detach() + (alpha * grad.sign()).clamp(-epsilon, epsilon)"),
    ),
    (
        "Euclidean ball",
        "the image is projected on a Euclidean ball: here each pixel alone may move by"
        " ε",
        (
            _BALL,
            "        way = image - x\n"
            "        length = way.flatten(1).norm(dim=1)[:, None, None, None]\n"
            "        image = x + way * (epsilon / (length + 1e-12)).clamp(max=1)\n",
        ),
    ),
    (
        "projected at the end",
        "the image is projected on the ball at the end alone: do it after each step",
        (_BALL, ""),
        (
            _BOX,
            "        image = image.clamp(0, 1)\n"
            "    return image.clamp(low, high).clamp(0, 1)",
        ),
    ),
    (
        "not clipped",
        "the image leaves [0, 1]: clip it after each step",
        (_BOX, "    return image"),
    ),
    (
        "clipped at the end",
        "the image is clipped to [0, 1] at the end alone: do it after each step",
        (_BOX, "    return image.clamp(0, 1)"),
    ),
    (
        "clipped before adding",
        "the image is clipped before the step: do it afterwards",
        (_STEP, "image.detach().clamp(0, 1) + alpha * grad.sign()"),
        (_BOX, "    return image"),
    ),
    (
        "sign missing",
        "the steps are along the gradient itself: take its sign",
        ("grad.sign()", "grad"),
    ),
    (
        "downhill",
        "the steps go downhill, and make the loss smaller",
        ("alpha * grad", "-alpha * grad"),
    ),
    (
        "gradient at x",
        "the gradient is taken at x in each step: take it where the image is",
        ("model(image), y", "model(x + 0 * image), y"),
        ("torch.autograd.grad(loss, image)", "torch.autograd.grad(loss, at)"),
        (
            "            image.requires_grad_()\n",
            "            at = x.clone().requires_grad_()\n",
        ),
    ),
    (
        "gradients added up",
        "the gradients of the steps add up: each step follows the newest alone",
        (_LOOP, "    total = 0\n" + _LOOP),
        ("grad.sign()", "total.sign()"),
        (
            "        image = image.detach()",
            "        total = total + grad\n        image = image.detach()",
        ),
    ),
    (
        "one step too many",
        "one step too many is taken",
        ("range(steps)", "range(steps + 1)"),
    ),
    (
        "one step too few",
        "one step too few is taken",
        ("range(steps)", "range(steps - 1)"),
    ),
    (
        "epsilon as step",
        "the steps have length ε: they have length alpha",
        ("alpha * grad", "epsilon * grad"),
    ),
    ("softmax twice", SOFTMAX, ("model(image), y", "model(image).softmax(dim=1), y")),
    (
        "score in place of loss",
        "the steps follow the score of the class, not the loss",
        (CROSS_ENTROPY, "loss = -model(image).gather(1, y[:, None]).sum()"),
    ),
    (
        "predicted labels",
        "the loss is that of the predicted classes: use the labels that are given",
        (
            CROSS_ENTROPY,
            "out = model(image)\n"
            "            loss = F.cross_entropy(out, out.argmax(1))",
        ),
    ),
    (
        "no sign of zero",
        "pixels whose gradient is 0 move: the sign of 0 is 0",
        ("grad.sign()", "(2 * (grad > 0).to(grad) - 1)"),
    ),
    (
        "images mixed",
        "the images share one gradient: each follows its own",
        ("grad.sign()", "grad.mean(0, keepdim=True).sign()"),
    ),
    (
        "stops when fooled",
        "an image stays where it is as soon as it is named wrong: take all steps",
        (
            "        image = image.detach()",
            "        grad = grad * (model(image).argmax(1) == y)[:, None, None, None]\n"
            "        image = image.detach()",
        ),
    ),
)

_at_the_start = (
    (
        "random start always",
        "the attack starts at a random point though no generator is given: it starts at"
        " x then",
        ("if rng is not None:", "if True:"),
    ),
    (
        "rng ignored",
        "`rng` is ignored: with it, the attack starts at a random point",
        ("if rng is not None:", "if False:"),
    ),
    (
        "global generator",
        "the start is drawn from the global generator: draw from `rng`",
        (_DRAWN, "torch.rand(x.shape, dtype=x.dtype)"),
    ),
    (
        "generator reset",
        "the generator is set back to its seed: draw on from where it is",
        (
            _DRAWN,
            "torch.rand(\n"
            "            x.shape,\n"
            "            generator=torch.Generator().manual_seed(rng.initial_seed()),\n"
            "            dtype=x.dtype,\n"
            "        )",
        ),
    ),
    (
        "one half of the ball",
        "the start moves pixels up alone: it lies between -ε and ε around x",
        ("(2 * noise - 1)", "noise"),
    ),
    (
        "outside of the ball",
        "the start is normally distributed, and leaves the ball: draw it uniformly",
        ("(2 * noise - 1)", "torch.randn(x.shape, generator=rng, dtype=x.dtype)"),
    ),
    (
        "corner",
        "the start is a corner of the ball: draw it uniformly from all of it",
        ("(2 * noise - 1)", "(2 * noise - 1).sign()"),
    ),
    (
        "start not clipped",
        "the start leaves [0, 1]: clip it",
        ("        image = image.clamp(0, 1)\n    for", "    for"),
    ),
    (
        "ball around the start",
        "the ball is laid around the random start: it stays around x",
        (_LOOP, "    low, high = image - epsilon, image + epsilon\n" + _LOOP),
    ),
    (
        "same noise for all images",
        "the images share the same noise: draw it for each",
        (_DRAWN, "torch.rand(x.shape[1:], generator=rng, dtype=x.dtype).expand_as(x)"),
    ),
    (
        "one number for all pixels",
        "one number moves all pixels of an image: draw one for each",
        (
            _DRAWN,
            "torch.rand(len(x), 1, 1, 1, generator=rng, dtype=x.dtype).expand_as(x)",
        ),
    ),
    (
        "start forgotten",
        "the steps begin at x, not at the random start",
        (_LOOP, "    if steps:\n        image = x.clone()\n" + _LOOP),
    ),
)

_left_behind = (
    (
        "on a graph",
        ON_A_GRAPH,
        ("    return image", "    return image.requires_grad_()"),
    ),
    (
        "parameters' gradients",
        POLLUTED,
        (
            "(grad,) = torch.autograd.grad(loss, image)",
            "loss.backward()\n            grad = image.grad",
        ),
    ),
    (
        "x in place",
        in_place("x"),
        ("    return image", "    x.copy_(image)\n    return image"),
    ),
    ("left in eval mode", LEFT_IN_EVAL, (_LOOP, "    model.eval()\n" + _LOOP)),
    (
        "left in train mode",
        LEFT_IN_TRAIN,
        ("    return image", "    model.train()\n    return image"),
    ),
    (
        "left frozen",
        FROZEN,
        (_LOOP, "    model.requires_grad_(False)\n" + _LOOP),
    ),
    (
        "fails under no_grad",
        NO_GRAD,
        ("torch.enable_grad()", "torch.set_grad_enabled(torch.is_grad_enabled())"),
    ),
    (
        "float64 lost",
        "the result is float32 whatever x is: keep its dtype",
        ("    return image", "    return image.float()"),
    ),
)

pgd = table(right.pgd, *_on_the_way, *_at_the_start, *_left_behind)
