"""Topic 11, known wrong answers: clipped maps, patches and neighbours."""

from grader.checks.saliency import answers as right
from grader.mistakes import in_place, table

_QUANTILE = "torch.quantile(saliency.detach(), q / 100)"
_GUARD = "    if top <= 0:\n        return torch.zeros_like(saliency)\n"

percentile_clip = table(
    right.percentile_clip,
    (
        "clipped at the maximum",
        "the map is clipped at its maximum, so one outlier hides the rest: take the"
        " percentile",
        (_QUANTILE, "saliency.detach().max()"),
    ),
    (
        "share of the maximum",
        "the map is clipped at q % of its maximum: take the q-th percentile of its"
        " values",
        (_QUANTILE, "saliency.detach().max() * q / 100"),
    ),
    (
        "other end",
        "the percentile is counted from the top: q % of the values lie below it",
        ("q / 100", "1 - q / 100"),
    ),
    (
        "99 always",
        "the percentile is the 99th, whatever `q` says",
        ("q / 100", "0.99"),
    ),
    (
        "not between entries",
        "the percentile is the nearest entry: between two entries it is linear",
        ("q / 100)", 'q / 100, interpolation="nearest")'),
    ),
    (
        "of positive entries",
        "the percentile leaves out entries that are not positive: take all of them",
        (_QUANTILE, "torch.quantile(saliency.detach()[saliency > 0], q / 100)"),
        ("    if top", "    top = torch.nan_to_num(top)\n    if top"),
    ),
    (
        "of magnitudes",
        "the percentile is that of the magnitudes: take that of the values",
        (_QUANTILE, "torch.quantile(saliency.detach().abs(), q / 100)"),
    ),
    (
        "row by row",
        "each row has its own percentile: there is one for the map",
        (_QUANTILE, "torch.quantile(saliency.detach(), q / 100, dim=1, keepdim=True)"),
        ("top <= 0", "(top <= 0).any()"),
    ),
    (
        "divided by zero",
        "where the percentile is not positive, 0 / 0 makes nan: return zeros there",
        (_GUARD, ""),
    ),
    (
        "not divided",
        "the clipped map is not divided by the percentile",
        ("return clipped / top", "return clipped"),
    ),
    (
        "divided by the maximum",
        "the map is divided by its maximum: divide by the percentile",
        ("clipped / top", "clipped / saliency.detach().max()"),
    ),
    (
        "divided, not clipped",
        "the map is divided by the percentile, but not clipped",
        ("saliency.detach().clamp(0, top)", "saliency.detach()"),
    ),
    (
        "negative entries kept",
        "negative entries are kept: clip them to 0",
        ("clamp(0, top)", "clamp(max=top)"),
    ),
    (
        "smallest entry moved to 0",
        "the smallest entry is moved to 0: 0 stays where it is",
        (
            "clipped / top",
            "(clipped - clipped.min()) / (top - clipped.min()).clamp(min=1e-9)",
        ),
    ),
    (
        "outliers dropped",
        "entries above the percentile are set to 0: clip them to it",
        (
            "saliency.detach().clamp(0, top)",
            "saliency.detach().clamp(min=0) * (saliency.detach() <= top)",
        ),
    ),
    (
        "in place",
        in_place("saliency"),
        ("saliency.detach().clamp(0, top)", "saliency.detach().clamp_(0, top)"),
    ),
    (
        "graph attached",
        "the map carries a graph with it: return a detached tensor",
        ("saliency.detach().clamp(0, top)", "saliency.clamp(0, top)"),
    ),
    (
        "float64",
        "float32 in gives float64 out: give results the dtype of the input",
        ("clipped / top", "clipped.double() / top"),
        ("torch.zeros_like(saliency)", "torch.zeros_like(saliency).double()"),
    ),
)

_PLACE = "n, i, j = place // (h * w), place // w % h, place % w"

top_patches = table(
    right.top_patches,
    (
        "first image",
        "only the first image is searched: search all of them",
        ("[:, unit].reshape", "[:1, unit].reshape"),
    ),
    (
        "best of each image",
        "each image gives only its best patch: search all images and places together",
        (
            "places = values.topk(k).indices.tolist()",
            "best = values.view(N, -1).argmax(1) + h * w * torch.arange(N)\n"
            "    places = best[values[best].argsort(descending=True)].tolist()[:k]",
        ),
    ),
    (
        "least exciting",
        "the least exciting patches come back: take the largest activations",
        ("values.topk(k)", "values.topk(k, largest=False)"),
    ),
    (
        "most exciting last",
        "the most exciting patch comes last: it comes first",
        ("indices.tolist()", "indices.tolist()[::-1]"),
    ),
    (
        "in the order of the images",
        "patches come in the order in which they lie in the images: the most exciting"
        " comes first",
        ("indices.tolist()", "indices.sort().values.tolist()"),
    ),
    (
        "unit ignored",
        "the first unit is looked at, whatever `unit` says",
        ("[:, unit]", "[:, 0]"),
    ),
    (
        "all units",
        "the activations of all units are added up: look at one unit",
        ("activations.detach()[:, unit]", "activations.detach().sum(dim=1)"),
    ),
    (
        "magnitudes",
        "activations are ranked by magnitude: a large negative one does not excite",
        ("[:, unit].reshape(-1)", "[:, unit].reshape(-1).abs()"),
    ),
    (
        "rows and columns swapped",
        "rows and columns of the cells are swapped: a map is stored row by row",
        (_PLACE, "n, j, i = place // (h * w), place // w % h, place % w"),
    ),
    (
        "rows counted by height",
        "a place in the map is split by its height: a row is as long as the width",
        (_PLACE, "n, i, j = place // (h * w), place // h % h, place % h"),
    ),
    (
        "cell for pixel",
        "the patch begins at the number of the cell: cells are H / h and W / w pixels"
        " apart",
        ("i * high, j * wide", "i, j"),
    ),
    (
        "block for cell swapped",
        "height and width of the block are swapped: H / h × W / w",
        (
            "images.shape[2] // h, images.shape[3] // w",
            "images.shape[3] // w, images.shape[2] // h",
        ),
    ),
    (
        "block a pixel too small",
        "the patch is a pixel too small",
        ("top + high, left : left + wide", "top + high - 1, left : left + wide - 1"),
    ),
    (
        "one pixel",
        "a single pixel comes back: the patch is the whole block under the cell",
        ("top + high, left : left + wide", "top + 1, left : left + 1"),
    ),
    (
        "next cell",
        "the patch is that of the next cell: count cells from 0",
        (
            "top, left = i * high, j * wide",
            "top, left = (i + 1) % h * high, (j + 1) % w * wide",
        ),
    ),
    (
        "nine always",
        "there are nine patches, whatever `k` says",
        ("min(k, len(values))", "min(9, len(values))"),
    ),
    (
        "too many asked for",
        "where k is more than there are cells, all of them come back, without an error",
        ("    k = min(k, len(values))\n", ""),
    ),
    (
        "channels last",
        "the channels stand last: patches are (k, C, height, width)",
        ("torch.stack(patches)", "torch.stack(patches).movedim(1, -1)"),
    ),
    (
        "list",
        "a list came back: stack the patches into one tensor",
        ("torch.stack(patches)", "patches"),
    ),
    (
        "one patch per image",
        "an image gives one patch at most: it may hold several of the best",
        (
            "    patches = []\n",
            "    patches, seen = [], []\n"
            "    order = values.argsort(descending=True).tolist()\n"
            "    firsts = [p for p in order if not (p // (h * w) in seen"
            " or seen.append(p // (h * w)))]\n"
            "    places = (firsts + [p for p in order if p not in firsts])[:k]\n",
        ),
    ),
    (
        "graph attached",
        "the patches carry a graph with them: return a detached tensor",
        ("images.detach()[n", "images[n"),
    ),
    (
        "in place",
        in_place("activations"),
        ("    places =", "    activations.detach().mul_(2)\n    places ="),
    ),
)

nearest_in_feature_space = table(
    right.nearest_in_feature_space,
    (
        "cosine",
        "neighbours are ranked by angle: rank them by Euclidean distance",
        (
            "offsets.square().sum(dim=1)",
            "-torch.nn.functional.cosine_similarity(features.detach(), query.detach(),"
            " dim=1)",
        ),
    ),
    (
        "dot product",
        "neighbours are ranked by their dot product with the query: rank them by"
        " Euclidean distance",
        ("offsets.square().sum(dim=1)", "-features.detach() @ query.detach()"),
    ),
    (
        "sum of magnitudes",
        "distances are sums of magnitudes: take Euclidean ones",
        ("offsets.square().sum(dim=1)", "offsets.abs().sum(dim=1)"),
    ),
    (
        "largest difference",
        "distances are largest differences: take Euclidean ones",
        ("offsets.square().sum(dim=1)", "offsets.abs().amax(dim=1)"),
    ),
    (
        "signed difference",
        "differences are added up with their signs: square them first",
        ("offsets.square().sum(dim=1)", "offsets.sum(dim=1)"),
    ),
    (
        "first coordinate",
        "only the first coordinate counts: take all of them",
        ("offsets.square().sum(dim=1)", "offsets.square()[:, 0]"),
    ),
    (
        "farthest first",
        "the farthest come first: the closest do",
        ("distances.argsort()", "distances.argsort(descending=True)"),
    ),
    (
        "closest last",
        "of the neighbours, the closest comes last: it comes first",
        ("return distances.argsort()[:k]", "return distances.argsort()[:k].flip(0)"),
    ),
    (
        "in the order of the features",
        "indices come in the order of the features: the closest comes first",
        ("argsort()[:k]", "argsort()[:k].sort().values"),
    ),
    (
        "first one dropped",
        "the nearest is dropped: a query among the features is its own neighbour, and"
        " others have none to drop",
        ("[:k]", "[1 : k + 1]"),
    ),
    (
        "five always",
        "there are five neighbours, whatever `k` says",
        ("[:k]", "[:5]"),
    ),
    (
        "distances",
        "distances come back: return indices",
        ("distances.argsort()[:k]", "distances.sort().values[:k].sqrt()"),
    ),
    (
        "features",
        "the features themselves come back: return their indices",
        (
            "return distances.argsort()[:k]",
            "return features.detach()[distances.argsort()[:k]]",
        ),
    ),
    (
        "too many asked for",
        "where k is more than there are features, all of them come back, without an"
        " error",
        ("distances.argsort()[:k]", "distances.topk(k, largest=False).indices"),
    ),
    (
        "list",
        "a list came back: return a tensor of indices",
        ("argsort()[:k]", "argsort()[:k].tolist()"),
    ),
    (
        "in place",
        in_place("features"),
        (
            "offsets = features.detach() - query.detach()",
            "offsets = features.detach().sub_(query.detach())",
        ),
    ),
)
