"""Topic 11, known wrong answers: saliency maps and SmoothGrad."""

from grader.checks.saliency import answers as right
from grader.mistakes import in_place, table

_CHOSEN = "chosen = scores[torch.arange(len({x})), y]"
_SCORE = "torch.autograd.grad(chosen.sum(), inputs)"

EVAL_FORGOTTEN = (
    "evaluation mode forgotten",
    "the network is looked at in the mode that it happens to be in: switch to"
    " evaluation mode, and back",
    (", evaluating(model)", ""),
)
GRAD_NOT_ENABLED = (
    "gradients not switched on",
    "inside torch.no_grad() nothing can be differentiated: switch gradients on around"
    " the call of the network",
    ("torch.enable_grad(), ", ""),
)
LEFT_IN_EVAL = (
    "left in evaluation mode",
    "the network is left in evaluation mode: give each of its modules its own mode"
    " back",
    (", evaluating(model):", " if model.eval() else None:"),
)
POLLUTES = (
    "gradients of the weights",
    "backward() also fills the .grad of the network's weights: ask torch.autograd.grad"
    " for the gradient of the input alone",
    ("(grads,) = " + _SCORE, "chosen.sum().backward(); grads = inputs.grad"),
)
CLEARS = (
    "gradients of the weights cleared",
    "the .grad of the network's weights is cleared: it was there before, and has to be"
    " there afterwards",
    ("    return ", "    model.zero_grad()\n    return "),
)
LOSS = (
    "loss",
    "the gradient is that of the loss: saliency takes the score of the class",
    (
        "chosen.sum()",
        'torch.nn.functional.cross_entropy(scores, y, reduction="sum")',
    ),
)
MEAN_LOSS = (
    "mean loss",
    "the gradient is that of the mean loss: saliency takes the score of the class",
    ("chosen.sum()", "torch.nn.functional.cross_entropy(scores, y)"),
)
PROBABILITY = (
    "probability",
    "the gradient is that of the probability: saliency takes the score itself, without"
    " a softmax",
    ("chosen.sum()", "chosen_probs.sum()"),
)
LOG_PROBABILITY = (
    "log-probability of all",
    "the scores of the other classes are subtracted: saliency takes the score of the"
    " class alone",
    ("chosen.sum()", "(2 * chosen.sum() - scores.sum())"),
)
AVERAGED = (
    "averaged over the batch",
    "the gradient is divided by the number of images: add the scores up, as no image"
    " knows of the others",
    ("chosen.sum()", "chosen.mean()"),
)


def _rows(x):
    """Mistakes in the gradient, for code that calls the images ``x``."""
    chosen = _CHOSEN.format(x=x)
    return (
        LOSS,
        MEAN_LOSS,
        (
            *PROBABILITY[:2],
            (chosen, chosen.replace("scores", "scores.softmax(dim=1)")),
        ),
        LOG_PROBABILITY,
        AVERAGED,
        (
            "predicted class",
            "the gradient is that of the class with the highest score: take the class"
            " that y names",
            (chosen, "chosen = scores.amax(dim=1)"),
        ),
        (
            "images and classes mixed",
            "scores[:, y] holds all labels of the batch for every image: pick one score"
            " per image",
            (chosen, "chosen = scores[:, y]"),
        ),
        (
            "label of the first image",
            "every image is looked at for the label of the first one",
            (chosen, "chosen = scores[:, y[0]]"),
        ),
        (
            "all classes",
            "the scores of all classes are added up: take the one that y names",
            (chosen, "chosen = scores"),
        ),
        EVAL_FORGOTTEN,
        GRAD_NOT_ENABLED,
    )


def _channels():
    """Mistakes in what becomes of the gradient."""
    took = "grads.abs().amax(dim=1)"
    return (
        (
            "signed",
            "magnitudes are missing: take absolute values before the maximum over"
            " channels",
            (took, "grads.amax(dim=1)"),
        ),
        (
            "magnitude of the maximum",
            "the absolute value is taken after the maximum over channels: take it"
            " before, or large negative gradients are lost",
            (took, "grads.amax(dim=1).abs()"),
        ),
        (
            "channels averaged",
            "magnitudes are averaged over channels: take the maximum",
            (took, "grads.abs().mean(dim=1)"),
        ),
        (
            "channels added",
            "magnitudes are added over channels: take the maximum",
            (took, "grads.abs().sum(dim=1)"),
        ),
        (
            "length over channels",
            "the length of the gradient over channels is taken: take its largest"
            " magnitude",
            (took, "grads.square().sum(dim=1).sqrt()"),
        ),
        (
            "first channel",
            "only the first channel counts: take the maximum over all of them",
            (took, "grads.abs()[:, 0]"),
        ),
        (
            "times the input",
            "the gradient is multiplied by the image: saliency is the gradient alone",
            (took, "(grads * inputs.detach()).abs().amax(dim=1)"),
        ),
        (
            "squared",
            "the gradient is squared: take its magnitude",
            (took, "grads.square().amax(dim=1)"),
        ),
        (
            "channels kept",
            "every channel has a map of its own: take the maximum over channels",
            (took, "grads.abs()"),
        ),
    )


compute_saliency_maps = table(
    right.compute_saliency_maps,
    *_rows("X"),
    *_channels(),
    LEFT_IN_EVAL,
    POLLUTES,
    CLEARS,
    (
        "squeezed",
        "squeeze() also drops axes that happen to be 1 long, such as that of a single"
        " image: name the axis",
        ("    return ", "    grads = grads.squeeze()\n    return "),
        ("grads.abs().amax(dim=1)", "grads.abs().amax(dim=-3)"),
    ),
    (
        "map squeezed",
        "squeeze() drops the axis of a single image, or a side of 1 pixel: leave the"
        " map as (N, H, W)",
        ("amax(dim=1)", "amax(dim=1).squeeze()"),
    ),
    (
        "asks the caller's images for gradients",
        "X itself is asked for gradients, and stays so: take a detached copy",
        ("X.detach().clone().requires_grad_()", "X.requires_grad_()"),
    ),
    (
        "graph attached",
        "the maps carry a graph with them: return detached tensors",
        ("(chosen.sum(), inputs)", "(chosen.sum(), inputs, create_graph=True)"),
    ),
    (
        "scaled to 1",
        "the maps are divided by their largest value: return the magnitudes as they"
        " are",
        (
            "    return grads",
            "    grads = grads / grads.abs().amax()\n    return grads",
        ),
    ),
    (
        "float64",
        "float32 in gives float64 out: give results the dtype of the input",
        ("amax(dim=1)", "amax(dim=1).double()"),
    ),
)

_SIGMA = "sigma = noise * (high - low)[:, None, None, None]"
_DRAWN = "torch.randn(x.shape, generator=rng, dtype=x.dtype)"
_COPY = "(x.detach() + sigma * drawn)"

smoothgrad = table(
    right.smoothgrad,
    (
        "one draw for all copies",
        "the result varies like that of one copy: draw noise anew for each copy, and"
        " average the maps of all",
        ("    total = 0\n", f"    total = 0\n    fixed = {_DRAWN}\n"),
        (f"        drawn = {_DRAWN}", "        drawn = fixed"),
    ),
    (
        "other defaults",
        "the defaults are other ones: noise=0.1 and samples=50",
        ("samples=50", "samples=10"),
    ),
    (
        "absolute noise",
        "the noise does not depend on the range of the image: multiply by its maximum"
        " minus its minimum",
        (_SIGMA, "sigma = noise"),
    ),
    (
        "relative to the maximum",
        "the noise is relative to the largest value of the image: take the maximum"
        " minus the minimum",
        ("(high - low)", "high.abs()"),
    ),
    (
        "relative to the deviation",
        "the noise is relative to the standard deviation of the image: take the maximum"
        " minus the minimum",
        (_SIGMA, "sigma = noise * x.std(dim=(1, 2, 3), keepdim=True)"),
    ),
    (
        "range of the batch",
        "the range is that of the whole batch: each image has its own",
        (_SIGMA, "sigma = noise * (high.max() - low.min())"),
    ),
    (
        "range of each channel",
        "the range is taken channel by channel: take that of the whole image",
        (_SIGMA, "sigma = noise * (x.amax((2, 3)) - x.amin((2, 3)))[..., None, None]"),
    ),
    (
        "variance",
        "noise · range is taken for the variance: it is the standard deviation",
        (_COPY, "(x.detach() + sigma.sqrt() * drawn)"),
    ),
    (
        "uniform noise",
        "the noise is uniform: it should be normal",
        (_DRAWN, "2 * torch.rand(x.shape, generator=rng, dtype=x.dtype) - 1"),
    ),
    (
        "one draw for all images",
        "all images of a batch carry the same noise: draw anew for each",
        (_DRAWN, _DRAWN.replace("x.shape", "x.shape[1:]")),
    ),
    (
        "copies clipped",
        "copies are clipped to the range of the image: leave them as they are",
        (
            _COPY,
            _COPY + ".clamp(low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1))",
        ),
    ),
    (
        "noise piles up",
        "each copy is made of the one before, so noise piles up: start from x each"
        " time",
        ("total = 0", "total, last = 0, x.detach()"),
        (_COPY, "(last + sigma * drawn)"),
        ("total = total +", "last = inputs.detach(); total = total +"),
    ),
    (
        "magnitude of the mean",
        "gradients are averaged before their magnitudes are taken: average the maps",
        ("grads.abs().amax(dim=1)", "grads"),
        ("total / samples", "(total / samples).abs().amax(dim=1)"),
    ),
    (
        "not averaged",
        "the maps are added up: divide by the number of samples",
        ("total / samples", "total"),
    ),
    (
        "generator ignored",
        "the noise is not drawn from rng: give it to torch.randn as generator",
        ("generator=rng, ", ""),
    ),
    *_rows("x"),
    *_channels(),
    LEFT_IN_EVAL,
    POLLUTES,
    CLEARS,
    (
        "in place",
        in_place("x"),
        (
            _COPY + ".requires_grad_()",
            "x.detach().add_(sigma * drawn).requires_grad_()",
        ),
        ("    total = 0", "    x += 1; x -= 0.5; total = 0"),
    ),
    (
        "map squeezed",
        "squeeze() drops the axis of a single image, or a side of 1 pixel: leave the"
        " map as (N, H, W)",
        ("total / samples", "(total / samples).squeeze()"),
    ),
    (
        "float64",
        "float32 in gives float64 out: give results the dtype of the input",
        ("total / samples", "total.double() / samples"),
    ),
)
