"""Many processes, one loss: negatives gathered with exact gradients, gradients averaged, one process that writes.

    torchrun --nproc-per-node 8 -m lvs_train.cli --config R --out DIR      (NCCL on GPUs, gloo on CPUs)

Each process draws `batch_size / size` pairs. The mean over processes of the local losses is the loss of the joint
batch, and the mean of the local gradients is its gradient, because `gather` hands each process's share of the gradient
back to whom it belongs. torch's own differentiable all_gather is not used: on gloo, in torch 2.13, it returns wrong
gradients without a word when the gradient's strides are not contiguous (those that einsum makes are not).

BatchNorm sees each process's own pairs (as in DataParallel, and in the field's code) unless `sync_batchnorm` is set;
running statistics are averaged over processes whenever a checkpoint is written.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lvs_runtime.errors import ConfigError, DeviceError

T = TypeVar("T")
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class World:
    """This process among all. One process: every method is the identity."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """True in the one process that writes files and talks."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Pairs that this process draws of a batch. Raises ConfigError when it cannot be split evenly."""
        if batch_size % self.size:
            raise ConfigError(f"batch_size {batch_size} cannot be split over {self.size} processes evenly")
        return batch_size // self.size

    def gather(self, x: Tensor) -> Tensor:
        """(B, ...) of each process -> (size * B, ...), ranks in order, with the exact gradient."""
        return x if self.size == 1 else _Gather.apply(x, self)  # type: ignore[no-untyped-call]

    def gather_objects(self, value: T) -> list[T]:
        """Small Python values of all processes, ranks in order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with self._told():
            dist.all_gather_object(values, value)
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over processes, in one reduction."""
        if self.size > 1:
            self._average([p.grad for p in parameters if p.grad is not None])

    def average_buffers(self, module: nn.Module) -> None:
        """Replace running statistics by their mean over processes."""
        if self.size > 1:
            self._average([b for b in module.buffers() if b.is_floating_point()])

    def copy_from_first(self, module: nn.Module) -> None:
        """Weights and statistics of rank 0 in every process."""
        if self.size > 1:
            with torch.no_grad(), self._told():
                for tensor in module.state_dict().values():
                    dist.broadcast(tensor, 0)

    @torch.no_grad()
    def _average(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([t.flatten() for t in tensors])
        with self._told():
            dist.all_reduce(flat)
        means = torch.split(flat / self.size, [t.numel() for t in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A collective that fails means that another process is gone."""
        try:
            yield
        except RuntimeError as error:  # DistBackendError and its kin derive from it
            raise DeviceError(
                f"process {self.rank} of {self.size}: another process of this run was lost "
                f"({str(error).splitlines()[0][:160]}). The last checkpoint stands: start all again with --resume"
            ) from error


class _Gather(torch.autograd.Function):
    """all_gather; backward: sum the gradients of all processes, hand back the own slice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, world: World) -> Tensor:
        ctx.world, ctx.rows = world, len(x)
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world.size)]
        with world._told():
            dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        with ctx.world._told():
            dist.all_reduce(total)
        first = ctx.world.rank * ctx.rows
        return total[first : first + ctx.rows], None


@contextmanager
def world_of(device: torch.device, timeout_s: float = TIMEOUT_S) -> Iterator[World]:
    """The world that torchrun's environment describes (RANK, WORLD_SIZE, MASTER_ADDR), or a single process.

    Raises DeviceError when the others cannot be met.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    rank = int(os.environ["RANK"])
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=timeout_s),
        )
    except (RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise DeviceError(f"process {rank} of {size} cannot meet the others ({first}); start with torchrun") from error
    try:
        with _told_to_stop(rank, size):
            yield World(rank, size)
    finally:
        dist.destroy_process_group()


@contextmanager
def _told_to_stop(rank: int, size: int) -> Iterator[None]:
    """torchrun ends all processes when one is lost, before their collectives can fail: say so, instead of vanishing."""

    def stop(*_: object) -> None:
        raise DeviceError(
            f"process {rank} of {size} was told to stop: torchrun does so when another process of this run was lost. "
            "The last checkpoint stands: start all again with --resume"
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def local_device(device: torch.device) -> torch.device:
    """cuda -> the GPU of this process on its machine (torchrun's LOCAL_RANK); anything else as it is."""
    local = os.environ.get("LOCAL_RANK")
    if str(device) != "cuda" or local is None:
        return device
    chosen = torch.device("cuda", int(local))
    torch.cuda.set_device(chosen)
    return chosen


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """BatchNorm statistics over all processes' pairs; GPUs only. Raises ConfigError on a CPU."""
    if device.type != "cuda":
        raise ConfigError("sync_batchnorm works on GPUs only; on CPUs each process keeps statistics of its own pairs")
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted
