"""Training: one loop for every model of the course, and the tools around it."""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from fovea import diagnosis
from fovea.data import Dataset, Split
from fovea.device import Machine
from fovea.diagnosis import CROSS_ENTROPY, evaluating
from fovea.progress import Checkpoint, History, Screen, Stopwatch

# Optimizers that can update all parameters in one kernel
FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)

# From the share of the training that is done, in [0, 1), to a factor for `lr`
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    # A tenth from half of the training on, a hundredth from three quarters on
    "step": lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75)),
    # I. Loshchilov and F. Hutter, SGDR (2017), without restarts
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    # L. Smith and N. Topin, Super-Convergence (2018): up during 30 %, then down
    "one_cycle": lambda done: (
        0.04 + 0.96 * done / 0.3
        if done < 0.3
        else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
    ),
}


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the share of the labels ``y (N, …)`` that ``logits (N, C, …)`` rank
    first."""
    return (logits.argmax(1) == y).float().mean()


class Score(NamedTuple):
    """Means over a split; the metric is nan where there is none."""

    loss: float
    metric: float


def fit(
    model: nn.Module,
    data: Dataset | Split | tuple | Iterable,
    *,
    val: Split | tuple | Iterable | None = None,
    num_epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    weight_decay: float = 0.0,
    schedule: str | Callable[[float], float] = "constant",
    clip_norm: float | None = None,
    loss: Callable = F.cross_entropy,
    metric: Callable | str | None = "auto",
    augment: Callable | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: str = "auto",
    checkpoint: str | None = None,
    tensorboard: str | None = None,
    show: bool = True,
) -> History:
    """Train the model in place and return what was measured.

    data: a ``Dataset`` (trained on ``train``, validated on ``val``), a ``Split``, a
        pair ``(X, y)``, or a loader of batches; all but the last stay on the device.
    lr, schedule: the step size, and its factor over the training: a name in
        ``SCHEDULES``, or a function of the share that is done, in [0, 1).
    optimizer: called with the parameters, ``lr`` and ``weight_decay``.
    clip_norm: the longest gradient, over all parameters, that a step follows.
    loss, metric: functions of (output, y) with a mean over the batch; the metric is
        accuracy for cross-entropy, and else none, unless it is given.
    augment: a function of (X, generator) that returns another X, for training alone.
    patience: stop after so many epochs without a better validation loss, and give the
        model the weights of the best one.
    precision: ``"bfloat16"``, ``"float32"``, or ``"auto"``: 16 bits where they pay.
    checkpoint: a file. A run that was interrupted or killed goes on after its last
        whole epoch when it is called again, as if nothing had happened.
    tensorboard: a folder for TensorBoard's event files.

    The model is left on the device, in evaluation mode. The run depends on ``seed``,
    not on the global generators, and leaves these as they are. Raises ``ValueError``
    if data, model and loss don't fit together, ``FloatingPointError`` if the loss stops
    being finite; either says why.
    """
    machine = Machine.of(model, device, precision)
    train, val = _sources(data, val, machine.device)
    if patience is not None and val is None:
        raise ValueError("patience needs validation: give a Dataset, or val=")
    metric, factor = _metric(metric, loss), _factor(schedule)
    num_steps = _num_steps(train, batch_size)
    settings = {
        "lr": lr,
        "schedule": getattr(schedule, "__name__", schedule),
        # At a constant rate, a run may be made longer later on.
        "num_epochs": "any" if schedule == "constant" else num_epochs,
        "batch_size": batch_size,
        "num_steps": num_steps,
        "optimizer": getattr(optimizer, "__name__", "?"),
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "seed": seed,
        "num_parameters": count_parameters(model),
        "bfloat16": machine.bfloat16,
    }
    history, best = History(getattr(metric, "__name__", "")), {}
    with machine.hosting(model), _generators_kept(machine.device):
        diagnosis.check(machine, model, loss, train, val)
        stepper = _optimizer(optimizer, model, lr, weight_decay, machine.device)
        lrs = [group["lr"] for group in stepper.param_groups]
        keeper = Checkpoint(checkpoint, settings, model, stepper, history, best)
        with Screen(show, num_epochs * num_steps, tensorboard) as screen:
            if keeper.load(machine.device):
                screen.go_on(history, num_steps, keeper.path)
            while len(history) < num_epochs and not history.stalled(patience):
                start, epoch = time.perf_counter(), len(history)
                order, noise = _generators(seed, epoch, machine.device)
                tally, watch = _Tally(metric), Stopwatch(machine.device)
                model.train()
                batches = machine.batches(train, batch_size, order)
                for step, (X, y) in enumerate(watch.watch(batches)):
                    now = factor((epoch + step / num_steps) / num_epochs)
                    for group, first in zip(stepper.param_groups, lrs, strict=True):
                        group["lr"] = now * first
                    X = augment(X, noise) if augment else X
                    out = machine.run(model, X)
                    value = loss(out, y)
                    # To look at a number makes a GPU wait: seldom there.
                    seldom = step % 50 == 49 or step == num_steps - 1
                    if machine.device.type == "cpu" or seldom:
                        diagnosis.expect_finite(machine, model, X, value, epoch, step)
                    _descend(model, stepper, value, clip_norm)
                    tally.add(out.detach(), y, value.detach())
                    screen.show_step(watch)
                trained = tally.score()
                validated = _score(machine, model, val, loss, metric)
                history.append(
                    train_loss=trained.loss,
                    train_metric=trained.metric,
                    val_loss=validated.loss,
                    val_metric=validated.metric,
                    lr=now * lrs[0],
                    seconds=time.perf_counter() - start,
                    **watch.medians(),
                )
                history.step_loss += tally.losses()
                if patience is not None and history.best_epoch == len(history):
                    best.update(copy.deepcopy(model.state_dict()))
                keeper.save()
                screen.show_epoch(history)
        if best:
            model.load_state_dict(best)
        model.eval()
    return history


class _Tally:
    """Means over the samples that came by, added up where they are computed."""

    def __init__(self, metric: Callable | None) -> None:
        self.metric = metric
        self.rows: list[tuple[int, torch.Tensor, torch.Tensor]] = []

    def add(self, out: torch.Tensor, y: torch.Tensor, loss: torch.Tensor) -> None:
        metric = self.metric(out, y) if self.metric else math.nan
        self.rows.append((len(y), loss, torch.as_tensor(metric, device=loss.device)))

    def losses(self) -> list[float]:
        return torch.stack([loss for _, loss, _ in self.rows]).tolist()

    def score(self) -> Score:
        sizes, losses, metrics = zip(*self.rows, strict=True)
        weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        columns = (torch.stack(column).cpu().double() for column in (losses, metrics))
        return Score(*((weights * column).sum().item() for column in columns))


@torch.no_grad()
def _score(machine, model, source, loss, metric, batch_size=512) -> Score:
    if source is None:
        return Score(math.nan, math.nan)
    tally = _Tally(metric)
    model.eval()
    for X, y in machine.batches(source, batch_size):
        out = machine.run(model, X)
        tally.add(out, y, loss(out, y))
    return tally.score()


def evaluate(
    model: nn.Module,
    data: Split | tuple | Iterable,
    *,
    loss: Callable = F.cross_entropy,
    metric: Callable | str | None = "auto",
    device: str | torch.device | None = None,
    precision: str = "auto",
) -> Score:
    """Return loss and metric over a split, as ``fit`` measures them on ``val``.

    The model is moved to the device; its modes stay as they are.
    """
    machine = Machine.of(model, device, precision)
    source = _source(data, machine.device)
    with machine.hosting(model), evaluating(model):
        diagnosis.check(machine, model, loss, source)
        return _score(machine, model, source, loss, _metric(metric, loss))


@torch.no_grad()
def predict(
    model: nn.Module, X, *, device: str | torch.device | None = None
) -> torch.Tensor:
    """Return the model's float32 outputs for ``X (N, …)``, on the CPU.

    It is computed in batches, in evaluation mode; the modes stay as they are.
    """
    machine = Machine.of(model, device, "float32")
    split = Split(X, X).to("cpu")
    with machine.hosting(model), evaluating(model):
        batches = machine.batches(split, 512)
        return torch.cat([machine.run(model, X).cpu() for X, _ in batches])


def overfit_one_batch(
    model: nn.Module,
    split: Split | tuple,
    *,
    num_steps: int = 100,
    batch_size: int = 16,
    lr: float = 1e-3,
    loss: Callable = F.cross_entropy,
) -> History:
    """Return how a copy of the model learns a few samples by heart, one step an epoch.

    A model, loss and optimizer that work bring the loss near zero: try it before a long
    training (A. Karpathy, A Recipe for Training Neural Networks, 2019).
    """
    split = Split(*split) if isinstance(split, tuple) else split
    few = split.head(batch_size)
    options = {"num_epochs": num_steps, "batch_size": batch_size, "lr": lr}
    return fit(copy.deepcopy(model), few, loss=loss, show=False, **options)


@dataclass(frozen=True)
class RateTest:
    """Losses met while the learning rate grew, and a rate to begin with."""

    lr: list[float]
    loss: list[float]
    suggestion: float

    def plot(self, ax=None):
        """Draw the loss over the learning rate; return the axes."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        ax.semilogx(self.lr, self.loss)
        ax.axvline(self.suggestion, color="black", linestyle=":")
        ax.annotate(f" {self.suggestion:.1g}", (self.suggestion, max(self.loss)))
        ax.set(xlabel="learning rate", ylabel="loss")
        return ax


def find_learning_rate(
    model: nn.Module,
    data: Split | tuple | Iterable,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    num_steps: int = 100,
    batch_size: int = 128,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    loss: Callable = F.cross_entropy,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> RateTest:
    """Return the losses of a copy of the model while the rate grows from low to high.

    The suggestion is the rate at which the smoothed loss falls fastest (after L. Smith,
    Cyclical Learning Rates, 2017). The test ends where the loss explodes.
    """
    model = copy.deepcopy(model)
    machine = Machine.of(model, device)
    source = _source(data, machine.device)
    lrs = [low * (high / low) ** (i / max(num_steps - 1, 1)) for i in range(num_steps)]
    losses: list[float] = []
    with machine.hosting(model), _generators_kept(machine.device):
        diagnosis.check(machine, model, loss, source)
        stepper = _optimizer(optimizer, model, low, 0.0, machine.device)
        order, _ = _generators(seed, 0, machine.device)
        passes = itertools.repeat(source)
        batches = (b for s in passes for b in machine.batches(s, batch_size, order))
        model.train()
        for lr, (X, y) in zip(lrs, batches, strict=False):
            stepper.param_groups[0]["lr"] = lr
            value = loss(machine.run(model, X), y)
            losses.append(value.item())
            _descend(model, stepper, value)
            # Also true for nan
            if not losses[-1] < 4 * min(losses):
                break
    return RateTest(lrs[: len(losses)], losses, _steepest(lrs, losses))


def _steepest(lrs: list[float], losses: list[float]) -> float:
    """Return the rate at which the smoothed loss falls fastest."""
    mean, smooth = losses[0], []
    for loss in losses:
        # In this order, nan counts as 4 times the first.
        mean += 0.1 * (min(4 * losses[0], loss) - mean)
        smooth.append(mean)
    falls = [smooth[i] - smooth[i + 1] for i in range(len(smooth) - 1)]
    return lrs[falls.index(max(falls))] if falls else lrs[0]


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers training can change.

    >>> count_parameters(nn.Conv2d(3, 16, kernel_size=3))
    448
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _descend(model, optimizer, loss: torch.Tensor, clip_norm=None) -> None:
    optimizer.zero_grad()
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()


def _optimizer(kind, model, lr, weight_decay, device) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    options = {"lr": lr, "weight_decay": weight_decay}
    # One kernel for all parameters instead of several for each
    if kind in FUSED and device.type in ("cpu", "cuda"):
        options["fused"] = True
    return kind(parameters, **options)


def _metric(metric, loss) -> Callable | None:
    if metric == "auto":
        return accuracy if diagnosis.name_of(loss) in CROSS_ENTROPY else None
    return metric


def _factor(schedule) -> Callable[[float], float]:
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        raise ValueError(f"no schedule is called {schedule!r}; there are: {known}")
    return SCHEDULES[schedule]


def _sources(data, val, device) -> tuple:
    if isinstance(data, Dataset):
        data, val = data.train, data.val if val is None else val
    return _source(data, device), None if val is None else _source(val, device)


def _source(data, device) -> Split | Iterable:
    if isinstance(data, tuple) and len(data) == 2:
        data = Split(*data)
    diagnosis.check_length(data)
    return data.to(device) if isinstance(data, Split) else data


def _num_steps(source, batch_size: int) -> int:
    if isinstance(source, Split):
        return math.ceil(len(source) / batch_size)
    return len(source)


def _generators(seed: int, epoch: int, device) -> list[torch.Generator]:
    """Seed all randomness of an epoch, and return the generators of order and noise.

    Since an epoch depends on its number and the seed alone, a run that goes on later
    needs no generator's state.
    """
    # Three seeds each, none used twice
    number = 3 * (seed * 1_000_003 + epoch) % 2**60
    torch.manual_seed(number)
    places = ("cpu", device)
    return [
        torch.Generator(d).manual_seed(number + i + 1) for i, d in enumerate(places)
    ]


@contextmanager
def _generators_kept(device: torch.device) -> Iterator[None]:
    """Leave PyTorch's global generators as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
