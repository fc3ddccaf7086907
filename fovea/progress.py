"""What a training run measures, shows and keeps: history, pace, screen, checkpoint."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import nn
from tqdm import tqdm

SLOW_STEP_S = 0.5
# Of the time, for drawing curves while the model trains
DRAWING_SHARE = 0.1


@dataclass
class History:
    """What a run measured: lists with one number per epoch, ``step_loss`` per step.

    Losses and metrics are means over the samples; ``val_…`` is nan without validation.
    ``seconds`` is an epoch's whole time; ``data_s`` and ``compute_s`` are the median
    seconds that a step took to fetch its batch and to train on it.
    """

    metric_name: str = ""
    train_loss: list[float] = field(default_factory=list)
    train_metric: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_metric: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    data_s: list[float] = field(default_factory=list)
    compute_s: list[float] = field(default_factory=list)
    step_loss: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train_loss)

    def append(self, **measured: float) -> None:
        """Append an epoch's numbers, by the names of their lists."""
        for name, value in measured.items():
            getattr(self, name).append(value)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of the lowest validation (else training) loss; 0 if
        none."""
        losses = self.curves("loss").get("val", self.train_loss)
        return losses.index(min(losses)) + 1 if losses else 0

    def stalled(self, patience: int | None) -> bool:
        """Tell whether the last ``patience`` epochs brought nothing better."""
        waited = len(self) - self.best_epoch
        return patience is not None and waited >= max(patience, 1)

    def curves(self, kind: str) -> dict[str, list[float]]:
        """Return ``train`` and ``val`` of ``"loss"`` or ``"metric"``, if measured."""
        both = {name: getattr(self, f"{name}_{kind}") for name in ("train", "val")}
        return {k: v for k, v in both.items() if not all(map(math.isnan, v))}

    def describe(self, epoch: int) -> str:
        """Return the numbers of an epoch, counted from 1, in words."""
        return ", ".join(
            f"{split} {name} {values[epoch - 1]:.4g}"
            for kind, name in (("loss", "loss"), ("metric", self.metric_name))
            for split, values in self.curves(kind).items()
        )

    def plot(self, axes=None):
        """Draw the loss, and the metric if there is one, by epoch; return the axes.

        Raises ``ValueError`` before the first epoch.
        """
        if not self:
            raise ValueError("there is nothing to draw yet: no epoch was trained")
        # Here, since many runs draw nothing
        import matplotlib.pyplot as plt

        from fovea.plotting import draw_curves

        names = {"loss": "loss", "metric": self.metric_name}
        kinds = [kind for kind in names if self.curves(kind)]
        if axes is None:
            size = (4.5 * len(kinds), 3)
            axes = plt.subplots(1, len(kinds), figsize=size, squeeze=False)[1][0]
        for ax, kind in zip(axes, kinds, strict=True):
            draw_curves(ax, range(1, len(self) + 1), self.curves(kind))
            ax.set(xlabel="epoch", ylabel=names[kind])
            ax.xaxis.get_major_locator().set_params(integer=True)
        return axes

    def __repr__(self) -> str:
        if not self:
            return "History of no epoch"
        spent = f"{len(self)} epochs in {sum(self.seconds):.1f} s"
        best = self.best_epoch
        return f"History of {spent}; the best is number {best}: {self.describe(best)}"


class Stopwatch:
    """Seconds per step, split into waiting for the data and computing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.data_s: list[float] = []
        self.compute_s: list[float] = []

    def watch(self, batches: Iterable) -> Iterator:
        """Yield the batches; what is done between two counts as computing."""
        batches, number = iter(batches), 0
        while True:
            # To wait for a GPU costs time itself: every tenth step is enough there.
            timed, number = self.device.type == "cpu" or number % 10 == 0, number + 1
            start = self._now(timed)
            try:
                batch = next(batches)
            except StopIteration:
                return
            ready = self._now(timed)
            yield batch
            if timed:
                self.data_s.append(ready - start)
                self.compute_s.append(self._now(timed) - ready)

    def _now(self, timed: bool) -> float:
        if timed and self.device.type in ("cuda", "mps"):
            getattr(torch, self.device.type).synchronize()
        return time.perf_counter()

    def medians(self) -> dict[str, float]:
        """Return the median ``data_s`` and ``compute_s``, in seconds per step."""
        return {"data_s": median(self.data_s), "compute_s": median(self.compute_s)}


class Screen:
    """A progress bar, and curves where a notebook can show them."""

    def __init__(self, show: bool, num_steps: int, tensorboard=None) -> None:
        self.show = show
        self.writer = tensorboard and _summary_writer(tensorboard)
        # Above the bar, so that the bar's lines stay one output
        self.picture = _place_for_curves() if show else None
        # On stdout: what arrives on stderr costs points in a graded notebook.
        options = {"file": sys.stdout, "mininterval": 0.5, "unit": "step"}
        self.bar = tqdm(total=num_steps, disable=not show, **options)
        self.history, self.warned = History(), False
        self.drawn_at, self.drawing_s, self.drawn_epochs = -math.inf, 0.0, 0

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None and self.drawn_epochs < len(self.history):
            self._draw()
        self.bar.close()
        if self.writer:
            self.writer.close()
        if kind is KeyboardInterrupt:
            after = f"Interrupted after {len(self.history)} whole epochs"
            self.write(f"{after}; with checkpoint= a second call goes on from there.")

    def write(self, line: str) -> None:
        """Print a line above the bar."""
        if self.show:
            tqdm.write(line, file=sys.stdout)

    def go_on(self, history: History, num_steps: int, path: Path) -> None:
        """Say from where the run goes on, and move the bar there."""
        self.history = history
        self.bar.initial = self.bar.n = len(history) * num_steps
        kept = f"Going on after epoch {len(history)}, from {path}"
        self.write(f"{kept}: delete it to begin anew.")

    def show_step(self, watch: Stopwatch) -> None:
        """Move the bar; tell, after the first three steps, if they take too long."""
        self.bar.update()
        if self.warned or len(watch.data_s) != 3:
            return
        data_s, compute_s = watch.medians().values()
        self.warned = data_s + compute_s > SLOW_STEP_S
        if not self.warned:
            return
        cure = "the model computes for most of it: make batches or images smaller"
        if data_s > compute_s:
            cure = "most of it waits for data: keep them in memory, as arrays"
        self.write(f"A step takes {data_s + compute_s:.2f} s; {cure}.")

    def show_epoch(self, history: History) -> None:
        """Show the numbers of the last epoch; draw for a tenth of the time at most."""
        self.history = history
        if self.writer:
            for kind, name in (("loss", "loss"), ("metric", history.metric_name)):
                for split, values in history.curves(kind).items():
                    self.writer.add_scalar(f"{name}/{split}", values[-1], len(history))
        self.bar.set_postfix_str(history.describe(len(history)), refresh=False)
        waited = time.perf_counter() - self.drawn_at
        # A line needs two points.
        if len(history) > 1 and self.drawing_s < DRAWING_SHARE * waited:
            self._draw()

    def _draw(self) -> None:
        if self.picture is None:
            return
        from fovea.plotting import describe

        start = time.perf_counter()
        words = self.history.describe(len(self.history))
        alt = f"Curves of training. Epoch {len(self.history)}: {words}."
        self.picture.update(describe(self.history.plot()[0], alt))
        self.drawn_at, self.drawn_epochs = time.perf_counter(), len(self.history)
        self.drawing_s = self.drawn_at - start


def _place_for_curves():
    """Return the handle of an output that can be replaced; None outside notebooks."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import Markdown, display

    return display(Markdown("Curves appear after two epochs."), display_id=True)


def _summary_writer(folder: str | os.PathLike):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard= needs a package that is missing: pip install tensorboard"
        ) from error
    return SummaryWriter(folder)


class Checkpoint:
    """A file from which a run goes on; without a path, nothing is kept."""

    def __init__(
        self,
        path: str | os.PathLike | None,
        settings: dict,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        history: History,
        best: dict,
    ) -> None:
        self.path = path and Path(path)
        self.settings = {name: str(value) for name, value in settings.items()}
        self.model, self.optimizer = model, optimizer
        self.history, self.best = history, best

    def save(self) -> None:
        """Replace the file in one move: a process that dies leaves the old or the
        new."""
        if not self.path:
            return
        state = {"model": self.model.state_dict(), "best": self.best}
        state |= {"optimizer": self.optimizer.state_dict()}
        state |= {"history": vars(self.history), "settings": self.settings}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            torch.save(state, new)
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)

    def load(self, device: torch.device) -> bool:
        """Go back to what was saved, in place; tell whether there was a file.

        Raises ``ValueError`` if the file is damaged or of another run, and leaves it.
        """
        if not self.path or not self.path.exists():
            return False
        cure = f"delete {self.path} to train anew, or give another checkpoint"
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
            kept = state["settings"]
        except Exception as error:
            raise ValueError(f"{self.path} is no whole checkpoint; {cure}") from error
        others = [
            f"{name} was {kept.get(name)} and is now {value}"
            for name, value in self.settings.items()
            if kept.get(name) != value
        ]
        if others:
            found = "; ".join(others)
            raise ValueError(f"{self.path} is of another run ({found}); {cure}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        vars(self.history).update(state["history"])
        self.best.update(state["best"])
        return True
