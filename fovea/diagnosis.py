"""What is wrong, in words: data, model and loss that don't fit, losses that explode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

# A label that cross-entropy leaves out
IGNORED = -100
CROSS_ENTROPY = ("cross_entropy", "CrossEntropyLoss")
# Losses that compare number by number, and broadcast shapes that differ
ELEMENTWISE = ("mse_loss", "MSELoss", "l1_loss", "L1Loss", "huber_loss", "HuberLoss")
ELEMENTWISE += ("smooth_l1_loss", "SmoothL1Loss", "binary_cross_entropy", "BCELoss")
ELEMENTWISE += ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss")


def check(machine, model: nn.Module, loss: Callable, *sources) -> None:
    """Try the model, in evaluation mode, and the loss on the start of each source.

    Raises ``ValueError`` that names what is missing or doesn't fit.
    """
    _check_weights(model, machine.device)
    for source in sources:
        if source is not None:
            X, y = _beginning(machine, source)
            out = _try(machine, model, X[:2])
            _check_labels(out, y, loss)
            _check_loss(loss, out, y[:2])


def _check_weights(model: nn.Module, device: torch.device) -> None:
    known = {id(p) for p in model.parameters()}
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            "the model has no parameter that can be trained: are its layers attributes "
            "of self, and does requires_grad hold?"
        )
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            inside = [*value.values()] if isinstance(value, dict) else value
            hidden = inside if isinstance(inside, list | tuple) else ()
            layers = [m for m in hidden if isinstance(m, nn.Module)]
            if any(id(p) not in known for m in layers for p in m.parameters()):
                raise ValueError(
                    f"self.{name}{_of(path)} is a plain {type(value).__name__}, so the "
                    "layers in it are not trained; make it an nn.ModuleList"
                )


def check_length(source) -> None:
    """Raise ``ValueError`` if the data are empty, or can't be run through again."""
    if not hasattr(source, "__len__"):
        raise ValueError(
            f"the data are a {type(source).__name__}, which has no length; expected a "
            "Dataset, a Split, a pair (X, y), or a loader that can be run many times"
        )
    if not len(source):
        raise ValueError("the data are empty: there is no batch to compute with")


def _beginning(machine, source) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all of a split, or a loader's first batch; refuse nan."""
    X, y = next(machine.batches(source, len(source)))
    if X.is_floating_point() and not X.isfinite().all():
        at = (~X.flatten(1).isfinite().all(1)).nonzero()[0].item()
        raise ValueError(f"X is not finite everywhere: sample {at} holds nan or inf")
    if len(X) != len(y):
        raise ValueError(f"there are {len(X)} samples X, but {len(y)} labels y")
    return X, y


def _try(machine, model: nn.Module, X: torch.Tensor) -> torch.Tensor:
    running: list[str] = []

    def enter(name, module, args):
        shapes = ", ".join(str(tuple(a.shape)) for a in args if torch.is_tensor(a))
        running.append(f"{name or 'the model'} = {_short(module)}, which got {shapes}")

    try:
        with evaluating(model), torch.no_grad():
            with _hooked(model, enter, lambda *_: running.pop()):
                out = machine.run(model, X)
    except Exception as error:
        where = f"in {running[-1]}: " if running else ""
        raise ValueError(
            f"the model fails on X {_kind(X)}, {where}{error}{_stray(model, X.device)}"
        ) from error
    if out is None:
        raise ValueError("the model returns None: does forward end with return?")
    if not torch.is_tensor(out):
        raise ValueError(f"the model returns a {type(out).__name__}, expected a tensor")
    if len(out) != len(X):
        raise ValueError(
            f"from X {_kind(X)} the model makes {_kind(out)}: not one each"
        )
    return out


def _stray(model: nn.Module, device: torch.device) -> str:
    """Name a tensor that is elsewhere, since no one told the model that it has it."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if torch.is_tensor(value) and value.device.type != device.type:
                return (
                    f". self.{name}{_of(path)} is on {value.device.type}: make it a "
                    "parameter, or a buffer by register_buffer, and it moves along"
                )
    return ""


def _check_labels(out: torch.Tensor, y: torch.Tensor, loss: Callable) -> None:
    if name_of(loss) in ELEMENTWISE and out.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"the model's output is {_kind(out)} and y {_kind(y)}: "
            f"{name_of(loss)} would compare each with all; make the shapes equal"
        )
    # Labels may also be probabilities, one for each class.
    if (
        name_of(loss) not in CROSS_ENTROPY
        or y.is_floating_point()
        and (y.shape[1:] == out.shape[1:])
    ):
        return
    if y.dtype != torch.int64:
        raise ValueError(f"labels are int64 for cross-entropy, but y is {_kind(y)}")
    if out.ndim < 2 or y.shape[1:] != out.shape[2:]:
        raise ValueError(
            f"cross-entropy takes scores (N, C, …) and labels (N, …), but the model's "
            f"output is {_kind(out)} and y {_kind(y)}"
        )
    counted = y[y != IGNORED]
    low, high = (counted.min(), counted.max()) if len(counted) else (0, 0)
    if low < 0 or high >= out.shape[1]:
        raise ValueError(
            f"labels go from {low} to {high}, but the model has {out.shape[1]} scores, "
            f"for labels 0 to {out.shape[1] - 1}"
        )


def _check_loss(loss: Callable, out: torch.Tensor, y: torch.Tensor) -> None:
    try:
        value = loss(out, y)
    except Exception as error:
        raise ValueError(
            f"the loss fails on an output {_kind(out)} and y {_kind(y)}: {error}"
        ) from error
    if not torch.is_tensor(value) or value.ndim:
        found = _kind(value) if torch.is_tensor(value) else repr(value)
        raise ValueError(f"the loss returns {found}, expected a tensor of one number")


def expect_finite(machine, model, X, loss: torch.Tensor, epoch: int, step: int) -> None:
    """Raise ``FloatingPointError`` with the cause if the loss is nan or infinite."""
    if loss.isfinite():
        return
    where = f"the loss is {loss.item()} in epoch {epoch + 1}, step {step + 1}"
    raise FloatingPointError(f"{where}: {_cause(machine, model, X)}")


def _cause(machine, model: nn.Module, X: torch.Tensor) -> str:
    if X.is_floating_point() and not X.isfinite().all():
        return "the batch holds nan or inf; look at the data and at the augmentation"
    for name, weights in model.named_parameters():
        if not weights.isfinite().all():
            return (
                f"{name} is not finite any more, so a step before was too long; take "
                "a smaller lr, or clip_norm=1.0"
            )
    found: list[str] = []

    def leave(name, module, args, out):
        if torch.is_tensor(out) and not out.isfinite().all():
            found.append(f"{name or 'the model'} = {_short(module)}")

    with torch.no_grad(), _hooked(model, lambda *_: None, leave):
        machine.run(model, X)
    if found:
        return f"{found[0]} is the first layer that makes nan or inf; look at its input"
    return "the model's output is finite, so it is the loss: a log or root of 0?"


@contextmanager
def _hooked(model: nn.Module, enter: Callable, leave: Callable) -> Iterator[None]:
    """Call ``enter(name, module, args)`` and ``leave(…, out)`` around every layer."""
    # Hooks must return None: anything else would replace what passes by.
    names = {module: name for name, module in model.named_modules()}
    handles = []

    def before(module, args) -> None:
        enter(names[module], module, args)

    def after(module, args, out) -> None:
        leave(names[module], module, args, out)

    for module in names:
        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold the model in evaluation mode; give every module its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def name_of(function: Callable) -> str:
    """Return the name of a function, or of an object's class."""
    return getattr(function, "__name__", type(function).__name__)


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _short(module: nn.Module) -> str:
    text = " ".join(str(module).split())
    return text if len(text) < 80 else type(module).__name__


def _of(path: str) -> str:
    return f" of {path}" if path else ""
