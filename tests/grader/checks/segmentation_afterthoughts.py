"""Topic 09: answers that nobody had in mind when the checks were written."""

import torch
import torch.nn.functional as F
from torch import nn

from grader.checks.segmentation import answers as right

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


def wrong(exercise, name):
    return lambda answer: WRONG.setdefault((exercise, name), (answer,))[0]


def fine(exercise, name):
    return lambda answer: RIGHT.setdefault((exercise, name), (answer,))[0]


# --- wrong ---


@wrong("mean_iou", "0 is not taken for an ignore_index")
def if_ignore_index(pred, target, num_classes, ignore_index=None):
    return right.mean_iou(pred, target, num_classes, ignore_index or None)


@wrong("pixel_loss", "0 is not taken for an ignore_index")
def loss_if_ignore_index(scores, target, weights=None, ignore_index=None):
    return right.pixel_loss(scores, target, weights, ignore_index or None)


@wrong("mean_iou", "the ignored class is left out of the mean")
def without_the_ignored_class(pred, target, num_classes, ignore_index=None):
    if ignore_index in range(num_classes):
        pred = torch.where(pred == ignore_index, target, pred)
    return right.mean_iou(pred, target, num_classes, ignore_index)


@wrong("mean_iou", "in half precision")
def rounded(pred, target, num_classes, ignore_index=None):
    value = right.mean_iou(pred, target, num_classes, ignore_index)
    return torch.tensor(value).half().item()


@wrong("class_weights", "ignored pixels count in the total")
def all_pixels(target, num_classes, ignore_index=None):
    weights = right.class_weights(target, num_classes, ignore_index)
    counted = (
        (target != ignore_index).sum() if ignore_index is not None else target.numel()
    )
    return weights * target.numel() / counted


@wrong("pixel_loss", "divides by the weights of ignored pixels, too")
def weights_of_all(scores, target, weights=None, ignore_index=None):
    loss = right.pixel_loss(scores, target, weights, ignore_index)
    if weights is None or ignore_index is None:
        return loss
    counted = target != ignore_index
    part = weights[target[counted]].sum()
    return loss * part / (part + weights[0] * (~counted).sum())


@wrong("fc_to_conv", "the bias alone is shared")
def shared_bias(linear, in_shape):
    conv = right.fc_to_conv(linear, in_shape)
    if linear.bias is not None:
        conv.bias = linear.bias
    return conv


@wrong("fc_to_conv", "freezes the layer")
def freezing(linear, in_shape):
    conv = right.fc_to_conv(linear, in_shape)
    linear.requires_grad_(False)
    return conv


@wrong("max_unpool", "takes every window for 2x2")
def windows_of_two(x, indices, size):
    return F.max_unpool2d(x.detach(), indices, 2, output_size=size)


@wrong("conv_matrix", "grad mode stays off")
def grad_mode_off(kernel, size, stride=1, padding=0):
    torch.set_grad_enabled(False)
    return right.conv_matrix(kernel, size, stride, padding)


@wrong("conv_transpose2d_naive", "clears gradients")
def clears_gradients(x, w, b, stride=1, padding=0):
    x.grad = w.grad = b.grad = None
    return right.conv_transpose2d_naive(x, w, b, stride, padding)


@wrong("unpool_nearest", "a view of what was given at factor 1")
def view_at_1(x, factor):
    return x.detach() if factor == 1 else right.unpool_nearest(x, factor)


@wrong("unet", "skips times 0")
class TimesNothing(right.UNet):
    def join(self, below, skip):
        return super().join(below, 0 * skip)


@wrong("unet", "remembers the first size")
class Remembers(right.UNet):
    def join(self, below, skip):
        self.sizes = getattr(self, "sizes", {})
        size = self.sizes.setdefault(skip.shape[1], skip.shape[2:])
        return super().join(below, F.interpolate(skip, size))


@wrong("unet", "divides by the brightest pixel of the batch")
class Brightest(right.UNet):
    def forward(self, x):
        return super().forward(x / x.max())


@wrong("unet", "its norms always learn")
class AlwaysLearns(right.UNet):
    def forward(self, x):
        self.top[1].training = True
        return super().forward(x)


@wrong("unet", "scores in a dict")
class InADict(right.UNet):
    def forward(self, x):
        return {"out": super().forward(x)}


@wrong("unet", "two results in training")
class TwoResults(right.UNet):
    def forward(self, x):
        out = super().forward(x)
        return (out, out) if self.training else out


@wrong("unet", "sigmoid")
class Sigmoid(right.UNet):
    def forward(self, x):
        return super().forward(x).sigmoid()


@wrong("unet", "skips from the image, made small")
class OfTheImage(right.UNet):
    """What is joined at each level has been at the smallest size before."""

    def join(self, below, skip):
        small = F.interpolate(F.adaptive_avg_pool2d(skip, 2), skip.shape[2:])
        return super().join(below, small)


@wrong("segnet", "the indices of the first image for all")
class FirstIndices(right.SegNet):
    def forward(self, x):
        kept = []
        for encode in self.encoder:
            x = encode(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((indices[:1].expand_as(indices), size))
        for decode in self.decoder:
            indices, size = kept.pop()
            x = decode(F.max_unpool2d(x, indices, 2, output_size=size))
        return self.head(x)


@wrong("segnet", "a bed of nails")
class Nails(right.SegNet):
    def forward(self, x):
        sizes = []
        for encode in self.encoder:
            x = encode(x)
            sizes.append(x.shape[2:])
            x = F.max_pool2d(x, 2)
        for decode in self.decoder:
            H, W = sizes.pop()
            large = x.new_zeros(*x.shape[:2], H, W)
            large[:, :, : 2 * x.shape[2] : 2, : 2 * x.shape[3] : 2] = x
            x = decode(large)
        return self.head(x)


@wrong("segnet", "hands over the mean of each map, too")
class WithMeans(right.SegNet):
    def forward(self, x):
        means = self.encoder[0](x).mean((2, 3), keepdim=True)
        full = super().forward(x)
        return full + means.expand(-1, -1, *full.shape[2:])[:, :1]


# --- right ---


@fine("unpool_nearest", "in inference mode")
@torch.inference_mode()
def inference(x, factor):
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


@fine("unpool_nearest", "as a transposed convolution")
def stamped(x, factor):
    C = x.shape[1]
    block = torch.ones(C, 1, factor, factor, dtype=x.dtype)
    return F.conv_transpose2d(x.detach(), block, stride=factor, groups=C)


@fine("bed_of_nails", "by padding axes")
def padded_axes(x, factor):
    N, C, H, W = x.shape
    out = F.pad(x.detach()[..., None], (0, factor - 1)).reshape(N, C, H, W * factor)
    more = out.new_zeros(N, C, H, factor - 1, W * factor)
    return torch.cat([out[:, :, :, None], more], 3).reshape(N, C, H * factor, -1)


@fine("max_unpool", "plane by plane with put_")
def by_put(x, indices, size):
    planes = []
    for plane, places in zip(x.flatten(0, 1), indices.flatten(0, 1), strict=True):
        large = torch.zeros(size, dtype=x.dtype)
        planes.append(large.put_(places, plane.detach()))
    return torch.stack(planes).reshape(*x.shape[:2], *size)


@fine("conv_matrix", "by unfolding the numbers of the pixels")
def by_unfold(kernel, size, stride=1, padding=0):
    image = kernel.ndim == 2
    taps = kernel.detach() if image else kernel.detach()[None]
    H, W = size if image else (1, size)
    pads, steps = (
        ((padding,) * 2, (stride,) * 2) if image else ((0, padding), (1, stride))
    )
    numbers = torch.arange(1.0, H * W + 1).double().reshape(1, 1, H, W)
    seen = F.unfold(numbers, taps.shape, padding=pads, stride=steps)[0].T.round().long()
    matrix = torch.zeros(len(seen), H * W + 1, dtype=kernel.dtype)
    matrix.scatter_add_(1, seen, taps.flatten().expand(len(seen), -1))
    return matrix[:, 1:]


@fine("conv_transpose2d_naive", "by fold")
@torch.no_grad()
def by_fold(x, w, b, stride=1, padding=0):
    (N, Ci, H, W), (kh, kw) = x.shape, w.shape[2:]
    columns = w.reshape(Ci, -1).T @ x.reshape(N, Ci, H * W)
    size = [(H - 1) * stride + kh - 2 * padding, (W - 1) * stride + kw - 2 * padding]
    out = F.fold(columns, size, (kh, kw), padding=padding, stride=stride)
    return out + b.view(-1, 1, 1)


@fine("fc_to_conv", "through a file's worth of state")
def through_state(linear, in_shape):
    conv = nn.LazyConv2d(
        linear.out_features, in_shape[1:], bias=linear.bias is not None
    )
    conv(torch.zeros(1, *in_shape))
    conv = conv.to(linear.weight.dtype)
    state = {name: value.clone() for name, value in linear.state_dict().items()}
    conv.load_state_dict(state | {"weight": state["weight"].view_as(conv.weight)})
    return conv


@fine("mean_iou", "a tensor of one number")
def one_number(pred, target, num_classes, ignore_index=None):
    value = right.mean_iou(pred, target, num_classes, ignore_index)
    return torch.tensor(value, dtype=torch.float64)


@fine("class_weights", "computed in float64")
def in_double(target, num_classes, ignore_index=None):
    counts = torch.stack([(target == k).sum() for k in range(num_classes)]).double()
    weights = counts.sum() / (counts > 0).sum() / counts
    return torch.nan_to_num(weights, posinf=0).float()


@fine("pixel_loss", "one-hot")
def one_hot(scores, target, weights=None, ignore_index=None):
    C = scores.shape[1]
    hot = torch.stack([target == k for k in range(C)], dim=1).to(scores.dtype)
    if ignore_index is not None:
        hot = hot * (target != ignore_index)[:, None]
    if weights is not None:
        hot = hot * weights.view(1, C, 1, 1)
    return -(hot * scores.log_softmax(1)).sum() / hot.sum()


class Around(nn.Module):
    """Joins what comes out of its inside with what went in."""

    def __init__(self, inside, skips):
        super().__init__()
        self.inside, self.skips = inside, skips

    def forward(self, x):
        out = F.interpolate(self.inside(F.max_pool2d(x, 2)), x.shape[2:])
        return torch.cat([x, out], 1) if self.skips else out


@fine("unet", "a Sequential of Sequentials, made by a function")
def sequential(in_channels, num_classes, skips=True):
    def conv(a, b):
        return (
            nn.Conv2d(a, b, 3, padding=1),
            nn.InstanceNorm2d(b, affine=True),
            nn.ReLU(),
        )

    both = 16 if skips else 8
    net = nn.Sequential(*conv(8, 8), *conv(8, 8)[:1])
    for _ in range(2):
        net = nn.Sequential(*conv(8, 8)[:1], Around(net, skips), *conv(both, 8)[:1])
    outer = conv(in_channels, 8)[:1]
    return nn.Sequential(*outer, net, nn.Conv2d(8, num_classes, 1))


@fine("unet", "skips cropped, scores enlarged")
class Cropped(nn.Module):
    """The encoder's maps are cropped to what comes from below; scores are resized."""

    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()
        self.skips = skips
        self.a = nn.utils.parametrizations.weight_norm(
            nn.Conv2d(in_channels, 8, 3, padding=1)
        )
        self.b = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.c = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.d = nn.Conv2d(8 + 8 * skips, 8, 3, padding=1)
        self.e = nn.Conv2d(8 + 8 * skips, num_classes, 3, padding=1)

    def join(self, below, skip):
        below = nn.functional.pixel_shuffle(below.repeat_interleave(4, 1), 2)
        h, w = below.shape[2:]
        return torch.cat([below, skip[:, :, :h, :w]], 1) if self.skips else below

    def forward(self, x):
        a = F.celu_(self.a(x))
        b = F.celu_(self.b(F.max_pool2d(a, 2)))
        c = F.celu_(self.c(F.max_pool2d(b, 2)))
        out = self.e(self.join(F.celu_(self.d(self.join(c, b))), a))
        return F.interpolate(out, x.shape[2:], mode="bilinear")


@fine("unet", "channels last, in float64")
class Economical(right.UNet):
    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.double().to(memory_format=torch.channels_last)

    def forward(self, x):
        x = x.double().to(memory_format=torch.channels_last)
        return super().forward(x).float()


@fine("unet", "own convolutions, of products of matrices")
class Unfolded(nn.Module):
    """Convolutions by unfolding, parameters in a dict, means of 2×2 by slices."""

    def __init__(self, in_channels, num_classes, skips=True):
        super().__init__()
        self.skips, more = skips, 6 if skips else 0
        shapes = {"a": (in_channels, 6), "b": (6, 6), "c": (6, 6)}
        shapes |= {"d": (6 + more, 6), "e": (6 + more, num_classes)}
        self.weights = nn.ParameterDict(
            {
                n: nn.Parameter(0.2 * torch.randn(9 * i, o))
                for n, (i, o) in shapes.items()
            }
        )

    def conv(self, x, name):
        columns = F.unfold(x, 3, padding=1)
        return (columns.mT @ self.weights[name]).mT.unflatten(2, x.shape[2:])

    def half(self, x):
        h, w = (2 * (n // 2) for n in x.shape[2:])
        parts = [x[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]
        return torch.stack(parts).amax(0)

    def join(self, below, skip):
        below = F.interpolate(below, skip.shape[2:], mode="area")
        if not self.skips:
            return below
        joined = torch.cat((below, skip), dim=1)
        return joined[:, torch.randperm(joined.shape[1]).sort().values]

    def forward(self, x):
        a = self.conv(x, "a").sin()
        b = self.conv(self.half(a), "b").sin()
        c = self.conv(self.half(b), "c").sin()
        return self.conv(self.join(self.conv(self.join(c, b), "d").sin(), a), "e")


@fine("segnet", "adaptive pooling")
class Adaptive(right.SegNet):
    """Pools to half the size; where that is odd, windows overlap by a pixel."""

    def forward(self, x):
        kept = []
        for encode in self.encoder:
            x = encode(x)
            size = x.shape[2:]
            half = [n // 2 for n in size]
            kept.append((x.shape, F.adaptive_max_pool2d_with_indices(x, half)))
            x = kept[-1][1][0]
        for decode in self.decoder:
            shape, (_, indices) = kept.pop()
            flat = x.new_zeros(*shape[:2], shape[2] * shape[3])
            x = decode(flat.scatter(2, indices.flatten(2), x.flatten(2)).view(shape))
        return self.head(x)


@fine("segnet", "wide, with dropout and skips within a level")
class Residual(right.SegNet):
    def forward(self, x):
        kept = []
        for encode in self.encoder:
            x = encode(x)
            x = x + F.dropout(x.tanh(), 0.3, self.training)
            size = x.size()
            x, indices = F.max_pool2d_with_indices(x, (2, 2), (2, 2))
            kept.append((size, indices))
        for decode in self.decoder:
            size, indices = kept.pop()
            x = decode(F.max_unpool2d(x, indices, 2, output_size=size)) * 1.5
        return self.head(x)


class MeansAllTheSame(right.UNet):
    """Without skips, it still hands over the mean of the first map."""

    def forward(self, x):
        out = super().forward(x)
        return (
            out if self.skips else out + self.top(x).mean((2, 3), keepdim=True)[:, :1]
        )


WRONG["unet", "means get around without skips"] = (MeansAllTheSame,)
