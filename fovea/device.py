"""Where training runs: one call chooses the device, sets the seeds and says why."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

# Layers that channels-last makes faster
IMAGE_LAYERS = (nn.Conv2d, nn.ConvTranspose2d)


def choose_device(seed: int = 0, num_threads: int | None = None) -> torch.device:
    """Return the fastest device there is, and print which and why.

    Sets the seeds as ``set_seed`` does and, if given, the number of CPU threads.
    """
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    set_seed(seed)
    device, reason = fastest_device()
    threads = f"{torch.get_num_threads()} CPU threads"
    print(f"Training runs on {device.type}: {reason}; {threads}, seed {seed}.")
    return device


def fastest_device() -> tuple[torch.device, str]:
    """Return cuda, else mps (an Apple GPU), else cpu; and the reason in words.

    >>> fastest_device()[0].type in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        reason = f"{gpu.name} with {gpu.total_memory / 2**30:.0f} GiB"
        return torch.device("cuda", 0), reason
    cuda = "finds no CUDA GPU" if torch.version.cuda else "is built without CUDA"
    if torch.backends.mps.is_available():
        return torch.device("mps"), f"this PyTorch {cuda}, and here is an Apple GPU"
    return torch.device("cpu"), f"this PyTorch {cuda} and sees no Apple GPU"


def set_seed(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch, on every device.

    On a CPU the same seed and number of threads give the same training, bit for bit.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def has_layers(model: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Tell whether a layer of one of these kinds is anywhere in the model."""
    return any(isinstance(module, kinds) for module in model.modules())


def bfloat16_pays(model: nn.Module, device: torch.device) -> bool:
    """Tell whether 16-bit numbers train this kind of model faster, as accurately.

    That was measured for convolutions on chips that compute with bfloat16
    (``python -m benchmarks.training``); for all else the answer is no.
    """
    if not has_layers(model, *IMAGE_LAYERS, nn.Conv3d):
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # A PyTorch that can't tell what its CPU is able to do gets the safe answer.
    able = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(
        able.get("avx512_bf16") or able.get("amx_bf16")
    )


@dataclass(frozen=True)
class Machine:
    """How a model computes: on which device, in which format and memory layout."""

    device: torch.device
    bfloat16: bool
    channels_last: bool

    @classmethod
    def of(cls, model: nn.Module, device=None, precision: str = "auto") -> "Machine":
        """Return what is known to be fastest for the model, unless told otherwise."""
        if precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(
                f"precision is {precision!r}; it can be 'auto', 'float32' or 'bfloat16'"
            )
        device = torch.device(device) if device else fastest_device()[0]
        half = precision == "bfloat16"
        if precision == "auto":
            half = bfloat16_pays(model, device)
        images = has_layers(model, *IMAGE_LAYERS) and device.type != "mps"
        return cls(device, half, channels_last=images)

    @contextmanager
    def hosting(self, model: nn.Module) -> Iterator[None]:
        """Hold the model on the device and in the faster layout."""
        model.to(self.device)
        if self.channels_last:
            _lay_out(model, torch.channels_last)
        try:
            yield
        finally:
            # So that `view` works on the weights again
            _lay_out(model, torch.contiguous_format)

    def batches(self, source, batch_size: int, order=None) -> Iterator:
        """Yield ``(X, y)`` on the device, of a split or of a loader's batches."""
        if hasattr(source, "batches"):
            source = source.batches(batch_size, order)
        for X, y in source:
            X, y = X.to(self.device), y.to(self.device)
            if self.channels_last and X.ndim == 4:
                X = X.to(memory_format=torch.channels_last)
            yield X, y

    def run(self, model: nn.Module, X: torch.Tensor) -> torch.Tensor:
        """Return the model's output, in float32 where it is a floating number."""
        with torch.autocast(self.device.type, torch.bfloat16, self.bfloat16):
            out = model(X)
        return out.float() if self.bfloat16 and torch.is_tensor(out) else out


def _lay_out(model: nn.Module, layout: torch.memory_format) -> None:
    # Module.to would do so, but refuses the five axes of 3-D convolutions.
    for weights in model.parameters():
        if weights.ndim == 4:
            # `contiguous` would leave the strides of a single channel as they are, and
            # a step would take half as long again.
            weights.data = weights.data.to(memory_format=layout)
