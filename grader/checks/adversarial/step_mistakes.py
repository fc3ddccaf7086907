"""Topic 12, known wrong answers: accuracy under attack, and adversarial training."""

from grader.checks.adversarial import answers as right
from grader.checks.adversarial.image_mistakes import (
    LEFT_IN_EVAL,
    LEFT_IN_TRAIN,
    POLLUTED,
    TOUCHED,
)
from grader.mistakes import in_place, table

_ATTACK = "attacked = pgd(model, x, y, epsilon, alpha, steps)"
_HITS = "hits = predicted == y"
_SHARE = "hits.double().mean().item()"

robust_accuracy = table(
    right.robust_accuracy,
    (
        "clean images",
        "the accuracy is that on clean images: attack them first",
        ("model(attacked)", "model(x)"),
    ),
    (
        "images that fall",
        "the share of images that are named wrong comes back: it is that of the right"
        " ones",
        (_HITS, "hits = predicted != y"),
    ),
    (
        "count",
        "the number of right images comes back: divide it by that of all",
        (_SHARE, "float(hits.sum().item())"),
    ),
    (
        "percent",
        "percents come back: return a fraction",
        (_SHARE, "100 * hits.double().mean().item()"),
    ),
    (
        "unchanged predictions",
        "attacked predictions are compared with clean ones: compare them with y",
        (_HITS, "hits = predicted == model(x).argmax(dim=1)"),
    ),
    (
        "of those right before",
        "the right images are counted of those that were right before: count them of"
        " all",
        (_SHARE, "(hits.sum() / (model(x).argmax(dim=1) == y).sum()).item()"),
    ),
    (
        "one step",
        "one step of length ε is taken: attack by pgd",
        (_ATTACK, "attacked = pgd(model, x, y, epsilon, epsilon, 1)"),
    ),
    (
        "smallest score",
        "the class with the smallest score is taken as the prediction",
        ("argmax", "argmin"),
    ),
    (
        "tensor",
        "a tensor comes back, where a float is promised: `.item()` makes one",
        (_SHARE, "hits.double().mean()"),
    ),
    (
        "left in eval mode",
        LEFT_IN_EVAL,
        (_ATTACK, "model.eval()\n    " + _ATTACK),
    ),
    (
        "left in train mode",
        LEFT_IN_TRAIN,
        (_HITS, _HITS + "\n    model.train()"),
    ),
    (
        "x in place",
        in_place("x"),
        (_HITS, _HITS + "\n    x.data.copy_(attacked)"),
    ),
    (
        "parameters' gradients",
        POLLUTED,
        (
            _HITS,
            _HITS + "\n    with torch.enable_grad():\n"
            "        F.cross_entropy(model(x.requires_grad_(x.requires_grad)), y)"
            ".backward()",
        ),
    ),
)

_ZERO = "    optimizer.zero_grad()\n"
_LOSS = "loss = F.cross_entropy(model(attacked), y)"
_STEP = "    optimizer.step()\n"

adversarial_training_step = table(
    right.adversarial_training_step,
    (
        "gradients not cleared",
        "the gradients of steps before are not cleared: they add up",
        (_ZERO, ""),
    ),
    (
        "gradients cleared too late",
        "nothing is learned: clear the gradients, then call backward, then take the"
        " step",
        (_ZERO, ""),
        (_STEP, _ZERO + _STEP),
    ),
    (
        "loss after the step",
        "the loss after the step comes back: it is asked for before it",
        (_STEP, _STEP + "    " + _LOSS + "\n"),
    ),
    (
        "clean images",
        "the network learns from clean images",
        ("model(attacked)", "model(x)"),
    ),
    (
        "clean images, too",
        "the network learns from clean images, too: take attacked ones alone",
        (
            _LOSS,
            "both = F.cross_entropy(model(attacked), y), F.cross_entropy(model(x), y)\n"
            "    loss = sum(both) / 2",
        ),
    ),
    (
        "clean loss returned",
        "the loss of clean images comes back: return that of attacked ones",
        (
            "    loss.backward()\n",
            "    clean = F.cross_entropy(model(x), y)\n    loss.backward()\n",
        ),
        ("return loss", "return clean"),
    ),
    (
        "summed loss",
        "the loss is summed over the batch: take its mean",
        ("model(attacked), y)", 'model(attacked), y, reduction="sum")'),
    ),
    ("two steps", "the optimizer takes two steps", (_STEP, 2 * _STEP)),
    (
        "uphill",
        "the step goes uphill: the loss of attacked images has to fall",
        ("loss.backward()", "(-loss).backward()"),
    ),
    (
        "one step of the attack",
        "the images are attacked by one step of length ε: use pgd",
        (_ATTACK, "attacked = pgd(model, x, y, epsilon, epsilon, min(steps, 1))"),
    ),
    (
        "random start",
        "the attack starts at a random point: here it starts at x",
        (
            _ATTACK,
            "attacked = pgd(\n        model, x, y, epsilon, alpha, steps,"
            " rng=torch.Generator().manual_seed(0)\n    )",
        ),
    ),
    (
        "step before the attack",
        "the optimizer takes a step on clean images before the attack",
        (
            "    " + _ATTACK + "\n",
            "    optimizer.zero_grad()\n"
            "    F.cross_entropy(model(x), y).backward()\n"
            "    optimizer.step()\n"
            "    " + _ATTACK + "\n",
        ),
    ),
    (
        "accuracy",
        "the accuracy comes back: return the loss",
        (
            "return loss.item()",
            "return (model(attacked).argmax(1) == y).double().mean().item()",
        ),
    ),
    (
        "tensor",
        "a tensor comes back, where a float is promised: `.item()` makes one",
        ("loss.item()", "loss.detach()"),
    ),
    (
        "step in eval mode",
        "the step is taken in eval mode: take it in the mode that the model has",
        (
            "    " + _ATTACK,
            "    mode = model.training\n    model.eval()\n    " + _ATTACK,
        ),
        (_STEP, _STEP + "    model.train(mode)\n"),
    ),
    (
        "left in eval mode",
        "the model is put into eval mode and left there: the step is taken in the mode"
        " that it has",
        ("    " + _ATTACK, "    model.eval()\n    " + _ATTACK),
    ),
    (
        "x in place",
        in_place("x"),
        (_STEP, _STEP + "    x.copy_(attacked)\n"),
    ),
    ("x requires a gradient", TOUCHED, (_STEP, _STEP + "    x.requires_grad_()\n")),
)
