"""Topic 09, what runs beside the student's functions: it calls them and returns data.

Each function is self-contained, for it is sent to where the student's objects live.
"""


def run_function(function, tensors, options, attached=False):
    """One call: what it returns, and how it leaves the tensors that it was given.

    Attached, they require gradients, and hold some already.
    """
    import torch

    from grader.alongside import copied, same

    given = {n: t for n, t in tensors.items() if isinstance(t, torch.Tensor)}
    for tensor in given.values():
        if attached and tensor.is_floating_point():
            tensor.requires_grad_()
            tensor.grad = torch.full_like(tensor, 0.5)

    def state():
        return {n: copied((t.data, t.grad, t.requires_grad)) for n, t in given.items()}

    before = state()
    out = function(*tensors.values(), **options)
    after = state()
    changed = [name for name in before if not same(before[name], after[name])]
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        changed.append("PyTorch's grad mode")
    if not isinstance(out, torch.Tensor):
        return {"out": out, "graph": False, "memory": "its own", "changed": changed}
    places = {t.untyped_storage().data_ptr() for t in given.values()}
    own = out.untyped_storage().data_ptr() not in places
    memory = "its own" if own else "shared with what was given"
    graph = out.requires_grad
    return {"out": out.detach(), "graph": graph, "memory": memory, "changed": changed}


def run_fc_to_conv(fc_to_conv, weight, bias, in_shape, images):
    """What the convolution makes of images; what became of the layer and its weights.

    Then each is changed by 1, and has to leave the other alone.
    """
    import torch

    from grader.alongside import same

    linear = torch.nn.Linear(*weight.shape[::-1], bias is not None, dtype=weight.dtype)
    values = [weight] if bias is None else [weight, bias]
    for parameter, value in zip(linear.parameters(), values, strict=True):
        parameter.data.copy_(value)
        parameter.grad = torch.full_like(parameter, 0.5)

    def state():
        found = [(p.detach(), p.grad, p.requires_grad) for p in linear.parameters()]
        return [(p.clone(), g.clone(), flag) for p, g, flag in found]

    before = state()
    conv = fc_to_conv(linear, in_shape)
    changed = [] if same(before, state()) else ["linear"]
    if not isinstance(conv, torch.nn.Conv2d):
        kind = type(conv).__name__
        raise TypeError(f"returned {kind}, where a torch.nn.Conv2d is promised")
    scores = [conv(image).detach() for image in images]
    trained = [p for p in conv.parameters() if p.requires_grad]
    size = sum(p.numel() for p in trained)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter += 1
        again = conv(images[0])
        for parameter in linear.parameters():
            parameter -= 1
        linear_before = state()
        for parameter in conv.parameters():
            parameter += 1
    shared = not same(again, scores[0]) or not same(state(), linear_before)
    return {
        "scores": scores,
        "number of trainable parameters": size,
        "memory": "shared with linear" if shared else "its own",
        "changed": changed,
    }


def run_number(function, pred, target, num_classes, options):
    """One call with label maps."""
    from grader.alongside import same

    before = pred.clone(), target.clone()
    value = function(pred, target, num_classes, **options)
    kept = [same(a, b) for a, b in zip(before, (pred, target), strict=True)]
    names = ("pred", "target")
    changed = [name for name, same in zip(names, kept, strict=True) if not same]
    return {"mean IoU": value, "changed": changed}


def run_pixel_loss(pixel_loss, scores, target, options):
    """The loss, its gradient with respect to the scores, and what was changed."""
    import torch

    from grader.alongside import same

    scores.requires_grad_()
    given = {"scores": scores, "target": target, "weights": options.get("weights")}
    given = {name: value for name, value in given.items() if value is not None}
    before = {name: value.detach().clone() for name, value in given.items()}
    loss = pixel_loss(scores, target, **options)
    if not isinstance(loss, torch.Tensor):
        kind = type(loss).__name__
        raise TypeError(f"returned {kind}, where a torch.Tensor is promised")
    dscores = None
    if loss.requires_grad:
        (dscores,) = torch.autograd.grad(loss, scores, allow_unused=True)
    after = {name: value.detach() for name, value in given.items()}
    changed = [name for name in given if not same(before[name], after[name])]
    return {"loss": loss.detach(), "dscores": dscores, "changed": changed}


def run_segment(segment, X_train, masks_train, X_new, num_classes, seed):
    """Train on scenes with masks, and say what new scenes show."""
    return {"masks": segment(X_train, masks_train, X_new, num_classes, seed)}


def run_net(Net, look, sizes, options, shape):
    """One look at networks ``Net(*sizes, **options)`` and what they make of images."""
    import re

    import torch

    def call(net, X):
        try:
            out = net(X)
        except RuntimeError as error:
            # the numbers in it depend on how many levels there are
            raise RuntimeError(re.sub(r"\d.*", "...", str(error))) from None
        if not isinstance(out, torch.Tensor):
            kind = type(out).__name__
            raise TypeError(f"forward returned {kind}, where a tensor is promised")
        return out

    def build():
        net = Net(*sizes, **options)
        if not isinstance(net, torch.nn.Module):
            kind = type(net).__name__
            raise TypeError(f"{kind} is no torch.nn.Module")
        # some layers are made when they are first used; another size is no harm then
        with torch.no_grad():
            call(net.eval(), torch.rand(*shape[:2], 32, 16))
            # weights may start at 0, which would hide what they are for
            for parameter in net.parameters():
                scale = parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 10
                parameter += 0.5 / scale * torch.randn_like(parameter)
        return net

    return look(build, call, torch.randn(shape))


# --- looks at networks ---


def look_at_scores(build, call, X):
    """Shape and dtype of the scores; whether they look like something else."""
    import torch

    before, net = X.clone(), build()
    with torch.no_grad():
        outs = [call(net.train(mode), X) for mode in (True, False)]
        # scores of a few classes, or of one network, may be positive by chance
        many = outs[0].ndim > 1 and outs[0].shape[1] > 4
        outs += [call(build(), X)] * many
    kind, all_of_it = "scores", torch.cat(outs)
    if many:
        sums = all_of_it.double().exp().sum(dim=1)
        low, high = all_of_it.min(), all_of_it.max()
        if torch.allclose(sums, torch.ones_like(sums), 1e-4):
            kind = "log-probabilities"
        elif low >= 0:
            kind = "probabilities" if high <= 1 else "numbers that are never negative"
    return {
        "shape": list(outs[0].shape),
        "dtype": str(outs[0].dtype),
        "kind": kind,
        "changed": [] if torch.equal(X, before) else ["x"],
    }


def look_at_learning(build, call, X):
    """Whether gradients reach all parameters, and all parameters are known."""
    import torch

    net, other = build(), build()
    scores = call(net.train(), X)
    trained = dict(net.named_parameters())
    if scores.requires_grad:
        (scores * torch.randn_like(scores)).mean().backward()
    # a bias in front of a batch normalization gets gradients of 0
    missed = [
        p
        for p in trained.values()
        if p.grad is None or (p.ndim > 1 and not p.grad.any())
    ]
    frozen = [p for p in missed if not p.requires_grad]
    with torch.no_grad():
        before = call(net.eval(), X)
        for parameter in missed:
            parameter += 1
        idle = torch.equal(before, call(net, X))
        for parameter in missed:
            parameter -= 1
    gradients = "reach all parameters"
    if missed:
        gradients = "find layers that are never used" if idle else "miss some"
        gradients = "are switched off for some" if frozen else gradients
    if not trained or len(missed) == len(trained):
        gradients = "reach nothing"
    with torch.no_grad():
        other.load_state_dict(net.state_dict())
        first, second = call(net.eval(), X), call(other.eval(), X)
    known = torch.allclose(first, second, 1e-3, 1e-4)
    return {"gradients": gradients, "state_dict": "is all" if known else "lacks some"}


def look_at_modes(build, call, X):
    """What an evaluated image depends on, and whether calls change the network."""
    import torch

    def state():
        return [value.clone() for value in net.state_dict().values()]

    net = build()
    with torch.no_grad():
        call(net.train(), X)
        kept, seen = net.training, []
        # as after a training
        for _ in range(2):
            call(net, 2 * X + 1)
        net.eval()
        before = state()
        seen = [call(net, X), call(net, X), torch.cat([call(net, x[None]) for x in X])]
    after = zip(before, state(), strict=True)
    unchanged = all(torch.equal(a, b) for a, b in after)
    first, again, alone = seen
    return {
        "again": "the same" if torch.equal(first, again) else "other scores",
        "alone": "the same" if torch.allclose(first, alone, 1e-3, 1e-3) else "other",
        "mode": "kept" if kept and not net.training else "changed",
        "state": "kept" if unchanged else "changed",
    }


def look_at_ways(build, call, X):
    """Which ways lead from the images to the scores, found by replay.

    A first run on images A is recorded. In a run on images B, all maps from some level
    down are then replaced by those of A, as if the network had seen A at this scale and
    below: what still comes from B has come another way. Around the smallest maps comes
    what still comes from B when these alone are replaced.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    def differ(a, b):
        return bool((a - b).abs().max() > 1e-5 * a.abs().max())

    class Replay(TorchFunctionMode):
        """Keeps all maps; given a record, puts its maps of some sizes in place."""

        def __init__(self, record=None, low=(0, 0), high=(0, 0)):
            super().__init__()
            self.maps, self.cats, self.joined = [], [], set()
            self.record, self.low, self.high = record, low, high

        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func in (torch.cat, torch.concat, torch.concatenate, torch.hstack):
                self.see(args[0] if args else kwargs["tensors"], tuple(out.shape[2:]))
            if isinstance(out, (tuple, list)):
                return type(out)([self.put(part, args) for part in out])
            return self.put(out, args)

        def see(self, parts, size):
            self.cats.append([part.clone() for part in parts])
            if self.record:
                pairs = zip(self.record.cats[len(self.cats) - 1], parts, strict=True)
                both = {differ(a, b) for a, b in pairs} == {True, False}
                self.joined |= {size} if both else set()

        def put(self, out, args):
            is_tensor = isinstance(out, torch.Tensor) and out.is_floating_point()
            if not is_tensor or out.ndim != 4:
                return out
            self.maps.append(out.clone())
            low, size, high = self.low, out.shape[2:], self.high
            if not (low[0] <= size[0] <= high[0] and low[1] <= size[1] <= high[1]):
                return out
            old = self.record.maps[len(self.maps) - 1]
            in_place = any(out is arg for arg in args)
            return out.copy_(old) if in_place else old.clone()

    net = build().eval()

    def run(images, *more):
        with torch.no_grad(), Replay(*more) as replay:
            return call(net, images), replay

    start, record = run(X)
    sizes = {tuple(m.shape[2:]) for m in record.maps}
    full, levels = tuple(map(max, zip(*sizes, strict=True))), []
    while full in sizes:
        levels.append(full)
        full = (full[0] / 2, full[1] / 2)
    other = torch.randn_like(X)
    runs = [run(other, record, (1, 1), level) for level in levels]
    around, _ = run(other, record, levels[-1], levels[-1])
    both = list(zip(levels, runs, runs[1:], strict=False))
    used = [differ(upper[0], lower[0]) for _, upper, lower in both]
    joined = [size in lower[1].joined for size, _, lower in both]
    by_cat = all(j or not u for j, u in zip(joined, used, strict=True))
    patterns = {
        "all": [True] * len(used),
        "none": [False] * len(used),
        "the finest alone": [True] + [False] * len(used[1:]),
        "all but the finest": [False] + [True] * len(used[1:]),
        "some": used,
    }
    nothing = "nothing new" if record.cats else "nothing"
    return {
        "halvings": "enough" if len(levels) > 2 else "too few",
        "levels": next(name for name, found in patterns.items() if used == found),
        "joined": ("by cat" if by_cat else "otherwise") if any(used) else nothing,
        "around": "something" if differ(start, around) else "nothing",
    }


def look_past_the_bottom(build, call, X):
    """Whether a gradient finds a way around the network's smallest map."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        """Lets no gradient through maps of one size; keeps all sizes."""

        def __init__(self, closed=None):
            super().__init__()
            self.sizes, self.closed = set(), closed

        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, (tuple, list)):
                return type(out)([self.cut(part) for part in out])
            return self.cut(out)

        def cut(self, out):
            is_tensor = isinstance(out, torch.Tensor) and out.is_floating_point()
            if not is_tensor or out.ndim != 4:
                return out
            size = tuple(out.shape[2:])
            self.sizes.add(size)
            return out.detach() if size == self.closed else out

    net = build().eval()
    with Watch() as watch:
        call(net, X)
    full, bottom = tuple(map(max, zip(*watch.sizes, strict=True))), None
    while full in watch.sizes:
        bottom, full = full, (full[0] / 2, full[1] / 2)
    with Watch(bottom):
        scores = call(net, X.requires_grad_())
    grad = None
    if scores.requires_grad:
        (grad,) = torch.autograd.grad(scores.square().sum(), X, allow_unused=True)
    passes = grad is not None and bool(grad.any())
    return {"around the bottom": "maps, too" if passes else "no maps"}
