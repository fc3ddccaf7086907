"""Topic 12, known wrong answers: one step of the sign, and fooling images."""

from grader.checks.adversarial import answers as right
from grader.mistakes import in_place, table

# what fgsm and pgd share
CROSS_ENTROPY = "loss = F.cross_entropy(model(image), y)"
CLONED = "image = x.detach().clone().requires_grad_()"

ON_A_GRAPH = "what comes back is still part of autograd's graph: detach it"
POLLUTED = (
    "`loss.backward()` leaves gradients in the model's parameters: ask"
    " `torch.autograd.grad` for that of the image alone"
)
LEFT_IN_EVAL = "the model is left in eval mode: put it back into the mode that it had"
LEFT_IN_TRAIN = "the model is put into train mode: leave it in the mode that it has"
FROZEN = "the model's parameters are left frozen"
NO_GRAD = "under torch.no_grad() there is no graph: enable gradients inside"
SOFTMAX = (
    "softmax is taken before the cross-entropy, which takes scores, and takes it itself"
)
TOUCHED = "`x` itself requires a gradient afterwards: work on a detached copy"

fgsm = table(
    right.fgsm,
    (
        "sign missing",
        "the step is along the gradient itself: take its sign",
        ("grad.sign()", "grad"),
    ),
    (
        "unit length",
        "the gradient is divided by its length: take its sign, so that each pixel moves"
        " by ε",
        ("grad.sign()", "grad / (grad.norm() + 1e-12)"),
    ),
    (
        "not clipped",
        "the result leaves [0, 1]: clip it, after the step and not before",
        (".clamp(0, 1)", ""),
    ),
    (
        "clipped to [-1, 1]",
        "the result is clipped to [-1, 1]: images lie in [0, 1]",
        (".clamp(0, 1)", ".clamp(-1, 1)"),
    ),
    (
        "target ignored",
        "with targeted=True the loss of the wanted class grows: step downhill",
        ("-epsilon if targeted else epsilon", "epsilon"),
    ),
    (
        "downhill",
        "the step goes downhill and makes the loss smaller: without a target it has to"
        " grow, with one it has to shrink",
        ("-epsilon if targeted else epsilon", "epsilon if targeted else -epsilon"),
    ),
    ("softmax twice", SOFTMAX, ("model(image), y", "model(image).softmax(dim=1), y")),
    (
        "score in place of loss",
        "the step follows the score of the class, not the loss: the other scores count,"
        " too",
        (CROSS_ENTROPY, "loss = -model(image).gather(1, y[:, None]).sum()"),
    ),
    (
        "predicted labels",
        "the loss is that of the predicted classes: use the labels that are given",
        (
            CROSS_ENTROPY,
            "out = model(image)\n        loss = F.cross_entropy(out, out.argmax(1))",
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
        "only what is right",
        "images that are named wrong already are left alone: attack all of them",
        (
            "    return moved.clamp(0, 1)",
            "    with torch.no_grad():\n"
            "        hit = (model(x).argmax(1) == y)[:, None, None, None]\n"
            "    return torch.where(hit, moved.clamp(0, 1), x.detach())",
        ),
    ),
    (
        "float64 lost",
        "the result is float32 whatever x is: keep its dtype",
        ("moved.clamp(0, 1)", "moved.clamp(0, 1).float()"),
    ),
    ("on a graph", ON_A_GRAPH, ("x.detach() + step", "image + step")),
    (
        "parameters' gradients",
        POLLUTED,
        ("(grad,) = torch.autograd.grad(loss, image)", "loss.backward()"),
        ("grad.sign()", "image.grad.sign()"),
    ),
    (
        "gradients cleared",
        "the gradients that the model had are cleared: leave them as they were",
        (
            "(grad,) = torch.autograd.grad(loss, image)",
            "model.zero_grad()\n        (grad,) = torch.autograd.grad(loss, image)",
        ),
    ),
    (
        "x requires a gradient",
        TOUCHED,
        (CLONED, "image = x.requires_grad_()"),
    ),
    (
        "x in place",
        in_place("x"),
        (
            "    return moved.clamp(0, 1)",
            "    x.data.copy_(moved.clamp(0, 1))\n    return x.detach()",
        ),
    ),
    (
        "left in eval mode",
        LEFT_IN_EVAL,
        (
            "    with torch.enable_grad():\n",
            "    model.eval()\n    with torch.enable_grad():\n",
        ),
    ),
    (
        "left in train mode",
        LEFT_IN_TRAIN,
        (
            "    return moved.clamp(0, 1)",
            "    model.train()\n    return moved.clamp(0, 1)",
        ),
    ),
    (
        "left frozen",
        FROZEN,
        (
            "    with torch.enable_grad():\n",
            "    model.requires_grad_(False)\n    with torch.enable_grad():\n",
        ),
    ),
    (
        "fails under no_grad",
        NO_GRAD,
        ("torch.enable_grad()", "torch.set_grad_enabled(torch.is_grad_enabled())"),
    ),
)

_STEP = "image = image + grad / length"
_DONE = "scores.argmax() == target_y or length == 0"

make_fooling_image = table(
    right.make_fooling_image,
    (
        "loss in place of score",
        "the steps follow the loss: follow the score of the wanted class",
        (
            "torch.autograd.grad(scores[0, target_y], image)",
            "torch.autograd.grad(\n"
            "                scores.log_softmax(1)[0, target_y], image\n"
            "            )",
        ),
    ),
    (
        "probability in place of score",
        "the steps follow the probability: follow the score of the wanted class",
        (
            "torch.autograd.grad(scores[0, target_y], image)",
            "torch.autograd.grad(scores.softmax(1)[0, target_y], image)",
        ),
    ),
    (
        "predicted class",
        "the score of the predicted class grows, not that of the wanted one",
        ("scores[0, target_y]", "scores[0].max()"),
    ),
    (
        "not normalised",
        "the step is the gradient itself: divide it by its length",
        (_STEP, "image = image + grad"),
    ),
    (
        "sign",
        "the step is the gradient's sign: divide the gradient by its length",
        (_STEP, "image = image + grad.sign()"),
    ),
    (
        "each channel normalised",
        "each channel is divided by its own length: the whole step has length 1",
        (_STEP, "image = image + grad / (grad.norm(dim=(2, 3), keepdim=True) + 1e-30)"),
    ),
    (
        "sum of magnitudes",
        "the gradient is divided by the sum of its magnitudes: the step has Euclidean"
        " length 1",
        (_STEP, "image = image + grad / grad.abs().sum()"),
    ),
    (
        "downhill",
        "the score of the wanted class falls: go uphill",
        ("image + grad", "image - grad"),
    ),
    (
        "step after arriving",
        "a step is taken though the wanted class is predicted already",
        (
            "            break\n        image = image + grad / length\n",
            "            return image + grad / max(length, 1e-30)\n"
            "        image = image + grad / length\n",
        ),
    ),
    (
        "step before looking",
        "the first step is taken before looking whether the image is fooled already",
        ("for _ in range(100)", "for count in range(100)"),
        (_DONE, "(count and scores.argmax() == target_y) or length == 0"),
    ),
    (
        "99 steps",
        "it gives up too early: 100 steps are allowed",
        ("range(100)", "range(99)"),
    ),
    ("no limit", "it takes more than 100 steps", ("range(100)", "range(150)")),
    (
        "divided by zero",
        "where the gradient is 0 the step is 0/0: stop there",
        (" or length == 0", ""),
    ),
    (
        "clipped",
        "the image is clipped to [0, 1], which is not asked for here",
        (_STEP, "image = (image + grad / length).clamp(0, 1)"),
    ),
    (
        "gradient of the first image",
        "all steps go along the gradient at X: take that of where you are",
        ("for _ in range(100)", "start = None\n    for _ in range(100)"),
        (
            "        length = grad.norm()\n",
            "        start = grad if start is None else start\n"
            "        grad, length = start, start.norm()\n",
        ),
    ),
    (
        "X in place",
        in_place("X"),
        ("    return image", "    X.data.copy_(image)\n    return image"),
    ),
    (
        "X requires a gradient",
        TOUCHED.replace("`x`", "`X`"),
        ("image = X.detach().clone()", "image = X.requires_grad_().detach().clone()"),
    ),
    (
        "parameters' gradients",
        POLLUTED.replace("loss.backward()", "backward()"),
        (
            "(grad,) = torch.autograd.grad(scores[0, target_y], image)",
            "scores[0, target_y].backward()\n            grad = image.grad",
        ),
    ),
    (
        "left in eval mode",
        LEFT_IN_EVAL,
        ("    for _ in", "    model.eval()\n    for _ in"),
    ),
    (
        "left frozen",
        FROZEN,
        ("    for _ in", "    model.requires_grad_(False)\n    for _ in"),
    ),
    (
        "fails under no_grad",
        NO_GRAD,
        ("torch.enable_grad()", "torch.set_grad_enabled(torch.is_grad_enabled())"),
    ),
    (
        "float64 lost",
        "the result is float32 whatever X is: keep its dtype",
        ("    return image", "    return image.float()"),
    ),
)
