"""Topic 09, known wrong answers: mean IoU, class weights, and the loss."""

from grader.checks.segmentation import answers as right
from grader.checks.segmentation.mistakes import FLOAT64
from grader.mistakes import in_place, table

_IGNORED = "pixels whose target is `ignore_index` are counted, too"
_APPEND = "        if either > 0:\n            ious.append(both / either)\n"

mean_iou = table(
    right.mean_iou,
    (
        "0 for nothing",
        "where no pixel is left, 0 comes out: nan is promised",
        ('float("nan")', "0.0"),
    ),
    (
        "1 for nothing",
        "where no pixel is left, 1 comes out: nan is promised",
        ('float("nan")', "1.0"),
    ),
    (
        "absent counts 0",
        "a class that is in neither map counts 0: leave it out of the mean",
        (_APPEND, "        ious.append(both / max(either, 1))\n"),
    ),
    (
        "absent counts 1",
        "a class that is in neither map counts 1: leave it out of the mean",
        (_APPEND, "        ious.append(both / either if either else 1.0)\n"),
    ),
    (
        "false alarms left out",
        "a class that is only predicted is left out of the mean: it counts 0",
        ("if either > 0", "if in_target.any()"),
    ),
    (
        "misses left out",
        "a class that is never predicted is left out of the mean: it counts 0",
        ("if either > 0", "if in_pred.any()"),
    ),
    (
        "false alarms forgotten",
        "pixels that are wrongly called a class don't count: that is recall",
        ("either = (in_pred | in_target)", "either = in_target"),
    ),
    (
        "misses forgotten",
        "pixels of a class that are missed don't count: that is precision",
        ("either = (in_pred | in_target)", "either = in_pred"),
    ),
    (
        "Dice",
        "this is the Dice score, 2 |A and B| / (|A| + |B|): IoU divides by the union",
        ("both / either)", "2 * both / (both + either))"),
    ),
    (
        "both counted twice",
        "pixels in both maps are counted twice in the union",
        (
            "(in_pred | in_target).sum().item()",
            "(in_pred.sum() + in_target.sum()).item()",
        ),
    ),
    (
        "accuracy",
        "this is the share of right pixels: IoU is counted for each class",
        (
            '    return sum(ious) / len(ious) if ious else float("nan")',
            "    return (pred == target).float().mean().item()",
        ),
    ),
    (
        "pooled over classes",
        "the counts of all classes are added up first: the mean is over the classes",
        ("ious.append(both / either)", "ious.append((both, either))"),
        (
            "sum(ious) / len(ious)",
            "sum(b for b, _ in ious) / sum(e for _, e in ious)",
        ),
    ),
    (
        "weighted by size",
        "large classes count more: each class counts once",
        (
            "ious.append(both / either)",
            "ious += [both / either] * in_target.sum().item()",
        ),
    ),
    (
        "without background",
        "class 0 is left out: it is a class like the others",
        ("for k in range(num_classes)", "for k in range(1, num_classes)"),
    ),
    (
        "mean over the images",
        "the IoUs of the images are averaged: counts are pooled over the batch",
        (
            "    ious = []\n",
            "    if ignore_index is None and pred.ndim > 1 and len(pred) > 1:\n"
            "        pairs = zip(pred, target)\n"
            "        each = [mean_iou(*pair, num_classes) for pair in pairs]\n"
            "        return sum(each) / len(each)\n"
            "    ious = []\n",
        ),
    ),
    (
        "ignored by prediction",
        "pixels whose *prediction* is `ignore_index` are left out: the target says so",
        ("counted = target != ignore_index", "counted = pred != ignore_index"),
    ),
    (
        "never ignored",
        _IGNORED,
        ("if ignore_index is not None:", "if False:"),
    ),
    (
        "ignored pixels set to 0",
        "ignored pixels become class 0: they don't count at all",
        (
            "pred, target = pred[counted], target[counted]",
            "pred, target = pred * counted, target * counted",
        ),
    ),
    (
        "divided by zero",
        "where no pixel is left, it divides by zero: nan is promised",
        (' if ious else float("nan")', ""),
    ),
    (
        "in place",
        in_place("target"),
        (
            "        pred, target = pred[counted]",
            "        target[~counted] = 0\n        pred, target = pred[counted]",
        ),
    ),
)

class_weights = table(
    right.class_weights,
    (
        "inverse counts",
        "weights are one over the count alone: multiply by all pixels, divide by the"
        " number of classes",
        ("counts.sum() / (present * counts)", "1 / counts"),
    ),
    (
        "frequencies",
        "frequent classes weigh most: turn it round",
        ("counts.sum() / (present * counts)", "present * counts / counts.sum()"),
    ),
    (
        "not divided by the classes",
        "weights are the inverse frequencies: divide by the number of classes that are"
        " there",
        ("(present * counts)", "counts"),
    ),
    (
        "normalised to 1",
        "the weights add up to 1: the mean weight of a pixel has to be 1",
        (
            "    return torch.where(counts > 0, weights, torch.zeros(()))",
            "    weights = torch.where(counts > 0, weights, torch.zeros(()))\n"
            "    return weights / weights.sum()",
        ),
    ),
    (
        "normalised to the number of classes",
        "the mean over the classes is 1: the mean weight of a pixel has to be 1",
        (
            "    return torch.where(counts > 0, weights, torch.zeros(()))",
            "    weights = torch.where(counts > 0, weights, torch.zeros(()))\n"
            "    return num_classes * weights / weights.sum()",
        ),
    ),
    (
        "absent classes counted",
        "absent classes are counted among the classes: divide by those that are there",
        ("present = (counts > 0).sum()", "present = num_classes"),
    ),
    (
        "infinite",
        "an absent class gets an infinite weight: 0 is promised",
        ("torch.where(counts > 0, weights, torch.zeros(()))", "weights"),
    ),
    (
        "absent weighs 1",
        "an absent class gets the weight 1: 0 is promised",
        ("torch.zeros(())", "torch.ones(())"),
    ),
    (
        "smoothed",
        "one is added to each count: count what is there",
        (".float()\n", ".float() + 1\n"),
    ),
    (
        "square roots",
        "the roots of the weights come out: take the weights",
        (
            "counts.sum() / (present * counts)",
            "(counts.sum() / (present * counts)).sqrt()",
        ),
    ),
    (
        "median frequency",
        "these are median frequencies over frequencies: the mean weight of a pixel has"
        " to be 1",
        (
            "counts.sum() / (present * counts)",
            "counts[counts > 0].median() / counts",
        ),
    ),
    (
        "never ignored",
        _IGNORED,
        (
            "    if ignore_index is not None:\n"
            "        labels = labels[labels != ignore_index]\n",
            "    labels = labels.clamp(0, num_classes - 1)\n",
        ),
    ),
    (
        "float64",
        FLOAT64,
        (".float()", ".double()"),
        ("zeros(())", "zeros(()).double()"),
    ),
)

pixel_loss = table(
    right.pixel_loss,
    (
        "summed",
        "the losses are added up: divide by the sum of the weights",
        (" / factors.sum()", ""),
    ),
    (
        "divided by the pixels",
        "the sum is divided by the number of pixels: take the sum of their weights",
        ("factors.sum()", "counted.sum()"),
    ),
    (
        "divided by all pixels",
        "the sum is divided by the number of all pixels, ignored ones, too",
        ("/ factors.sum()", "/ factors.numel()"),
    ),
    (
        "per image",
        "the mean is taken for each image first: pixels of the whole batch are one set",
        (
            "    return (factors * losses).sum() / factors.sum()",
            "    sums = (factors * losses).sum((1, 2)) / factors.sum((1, 2))\n"
            "    return sums.nan_to_num(0).mean()",
        ),
    ),
    (
        "weights unused",
        "the weights are not used",
        ("if weights is None", "if True"),
    ),
    (
        "weights inverted",
        "the losses are divided by the weights: multiply",
        ("weights[labels] * counted", "counted / weights[labels]"),
    ),
    (
        "softmax over rows",
        "the softmax runs along another axis: classes are axis 1",
        ("scores.max(dim=1", "scores.max(dim=2"),
        ("shifted.exp().sum(dim=1", "shifted.exp().sum(dim=2"),
    ),
    (
        "unstable",
        "exp overflows for large scores: subtract each pixel's largest score first",
        ("shifted = scores - top", "shifted = scores"),
    ),
    (
        "probabilities",
        "the probability comes out, not its logarithm",
        ("losses = -log_probs.gather", "losses = -log_probs.exp().gather"),
    ),
    (
        "sign",
        "the sign is wrong: a loss is minus the log-probability",
        ("-log_probs.gather", "log_probs.gather"),
    ),
    (
        "log of 0",
        "the logarithm of a probability of 0 comes out: compute log-probabilities from"
        " the scores",
        (
            "shifted - shifted.exp().sum(dim=1, keepdim=True).log()",
            "(shifted.exp() / shifted.exp().sum(dim=1, keepdim=True)).log()",
        ),
    ),
    (
        "epsilon",
        "a small number is added inside the logarithm: compute log-probabilities"
        " from the scores",
        (
            "shifted - shifted.exp().sum(dim=1, keepdim=True).log()",
            "(shifted.exp() / shifted.exp().sum(dim=1, keepdim=True) + 1e-6).log()",
        ),
    ),
    (
        "never ignored",
        "ignored pixels count as class 0: they don't count at all",
        ("weights[labels] * counted", "weights[labels]"),
    ),
    (
        "no gradient",
        "the loss carries no gradient to the scores: compute it from them, not from a"
        " detached copy",
        ("top = scores.max", "scores = scores.detach(); top = scores.max"),
    ),
    (
        "in place",
        in_place("target"),
        (
            "    labels = torch.where(counted, target, 0)",
            "    labels = torch.where(counted, target, 0)\n    target[~counted] = 0",
        ),
    ),
)
