"""Topic 09, what is right: PyTorch, scikit-learn, and what a contract says of networks.

An oracle takes the data of one case and returns what ``run`` has to return.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import jaccard_score
from sklearn.utils.class_weight import compute_class_weight

from grader.comparing import disagreement

_LEFT_ALONE = {"graph": False, "memory": "its own", "changed": []}


def _result(out, like):
    return {"out": out.to(like.dtype).numpy(), **_LEFT_ALONE}


def unpool_nearest(tensors, options, attached):
    x, factor = tensors.values()
    return _result(F.interpolate(x, scale_factor=factor), x)


def bed_of_nails(tensors, options, attached):
    """Each number times a stamp with a nail in its corner, side by side."""
    x, factor = tensors.values()
    nail = torch.zeros(x.shape[1], 1, factor, factor, dtype=x.dtype)
    nail[:, :, 0, 0] = 1
    return _result(F.conv_transpose2d(x, nail, stride=factor, groups=x.shape[1]), x)


def max_unpool(tensors, options, attached):
    """NumPy's, as PyTorch's own wants to know the windows, too."""
    x, indices, (H, W) = tensors.values()
    out = np.zeros((*x.shape[:2], H * W), x.numpy().dtype)
    places = indices.flatten(2).numpy()
    np.put_along_axis(out, places, x.flatten(2).numpy(), axis=2)
    return _result(torch.tensor(out.reshape(*x.shape[:2], H, W)), x)


def conv_matrix(tensors, options, attached):
    """Column by column: what the convolution makes of an image with a single 1."""
    kernel, size = tensors.values()
    shape = size if isinstance(size, tuple) else (size,)
    num_pixels = int(np.prod(shape))
    images = torch.eye(num_pixels, dtype=torch.float64).reshape(num_pixels, 1, *shape)
    convolve = F.conv1d if kernel.ndim == 1 else F.conv2d
    out = convolve(images, kernel.double()[None, None], **options)
    return _result(out.flatten(1).T.contiguous(), kernel)


def conv_transpose(tensors, options, attached):
    x, w, b = (tensor.double() for tensor in tensors.values())
    return _result(F.conv_transpose2d(x, w, b, **options), tensors["x"])


def fc_to_conv(weight, bias, in_shape, images):
    """The layer, applied to each window of its size."""
    C, H, W = in_shape
    scores = []
    for image in images:
        windows = image.unfold(2, H, 1).unfold(3, W, 1).permute(0, 2, 3, 1, 4, 5)
        out = F.linear(windows.flatten(3), weight, bias)
        scores.append(out.permute(0, 3, 1, 2).numpy())
    return {
        "scores": scores,
        "number of trainable parameters": weight.numel()
        + (0 if bias is None else bias.numel()),
        "memory": "its own",
        "changed": [],
    }


def mean_iou(pred, target, num_classes, options):
    pred, target = pred.flatten().numpy(), target.flatten().numpy()
    counted = target != options.get("ignore_index", target.max() + 1)
    pred, target = pred[counted], target[counted]
    value = float("nan")
    if len(pred):
        labels = sorted({*pred.tolist(), *target.tolist()})
        value = jaccard_score(target, pred, labels=labels, average="macro")
    return {"mean IoU": float(value), "changed": []}


def class_weights(tensors, options, attached):
    labels = tensors["target"].flatten().numpy()
    labels = labels[labels != options.get("ignore_index", labels.max() + 1)]
    present = np.unique(labels)
    out = torch.zeros(tensors["num_classes"])
    balanced = compute_class_weight("balanced", classes=present, y=labels)
    out[present] = torch.tensor(balanced, dtype=torch.float32)
    return _result(out, out)


def pixel_loss(scores, target, options):
    exact = scores.double().detach().requires_grad_()
    given = {"ignore_index": options.get("ignore_index", -100)}
    if "weights" in options:
        given["weight"] = options["weights"].double()
    loss = F.cross_entropy(exact, target, **given)
    (dscores,) = torch.autograd.grad(loss, exact)
    dscores = dscores.to(scores.dtype).numpy()
    return {"loss": loss.item(), "dscores": dscores, "changed": []}


# --- networks ---

_ALL_WELL = {
    "kind": "scores",
    "dtype": "torch.float32",
    "changed": [],
    "gradients": "reach all parameters",
    "state_dict": "is all",
    "again": "the same",
    "alone": "the same",
    "mode": "kept",
    "state": "kept",
    "halvings": "enough",
}


def _net(sizes, shape):
    return {**_ALL_WELL, "shape": [shape[0], sizes[1], *shape[2:]]}


def unet(look, sizes, options, shape):
    around = "something" if options.get("skips", True) else "nothing"
    ways = {"levels": "all", "joined": "by cat", "around": around}
    return {**_net(sizes, shape), **ways}


def segnet(look, sizes, options, shape):
    ways = {"levels": "all", "around the bottom": "no maps"}
    return {**_net(sizes, shape), **ways}


_WORDS = {
    "kind": "what comes out looks like {}: scores of either sign are promised",
    "dtype": "scores are {}, where torch.float32 is promised",
    "gradients": "gradients {}: every parameter needs some",
    "state_dict": "some of what decides the scores stands in no `state_dict`: layers"
    " belong into attributes, an `nn.ModuleList` or an `nn.Sequential`",
    "again": "in evaluation mode the same images get other scores the second time",
    "alone": "in evaluation mode the scores of an image depend on the other images",
    "mode": "a call switches between training and evaluation mode, and stays there",
    "state": "in evaluation mode a call changes what the `state_dict` holds",
    "halvings": "the map is halved less than twice",
    "joined": "what the encoder saw is joined {}, where `torch.cat` is promised",
    "around": "with skips=False, more than the smallest map reaches the decoder",
    "around the bottom": "besides indices, maps of the encoder reach the decoder",
}


def compare_net(key, seen, expected):
    """Return in words what a look at a network found wrong."""
    if key == "shape" and seen != expected:
        got, wanted = tuple(seen), tuple(expected)
        return f"the scores have shape {got}, where {wanted} is promised"
    if key == "changed" and seen:
        return "your code changes the images that it was given"
    if key == "levels" and seen != expected:
        wanted = f"what the encoder saw reaches the decoder at {seen} of the levels"
        return f"{wanted}, where it should at {expected} of them"
    return "" if seen == expected else _WORDS[key].format(seen)


_HANDS_OFF = {
    "graph": "the result carries a graph: detach it, or compute under torch.no_grad()",
    "memory": "the result shares its memory with what was given: make a new tensor",
}


def compare_left_alone(key, seen, expected):
    """Return in words what a function did besides returning the right tensor."""
    if key == "changed" and seen:
        return "your code changes what it was given: " + ", ".join(map(str, seen))
    if key in _HANDS_OFF:
        return "" if seen == expected else _HANDS_OFF[key]
    return disagreement(key, seen, expected)
