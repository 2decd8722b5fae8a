"""Several processes on one training, through accelerate: who computes what, and what is summed.

Each process has the whole adapter and takes its part of the micro batches of a step. Gradients are
summed once a step, weighted by tokens (DDP would average): the update is that of one process, but
for the order of a sum. All clip, update and stop alike; the first one alone writes.

Of the frozen base each has the whole too, or, started by a configuration for FSDP, its share of
every block (FSDP2, torch's ``fully_shard``), which is gathered while that block computes.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import nn

from pipeline.train.batch.batches import Step
from pipeline.train.models.quantized import linear4bit_layers

TURN = timedelta(hours=2)  # a process waits so long for others, which load 70B one after the other


class Processes:
    """This process among those that `accelerate launch` started."""

    def __init__(self, device: str) -> None:
        """Join the others, by gloo on a CPU and nccl on GPUs; waits until all are there."""
        from accelerate import Accelerator, InitProcessGroupKwargs

        patient = InitProcessGroupKwargs(timeout=TURN)
        self._accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[patient])
        self.rank: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        self.first = self.rank == 0
        """Whether this is the one that writes."""
        self.sharded = os.environ.get("ACCELERATE_USE_FSDP") == "true"
        """Whether the base is spread over the processes: those of a CPU know it by this alone."""
        if self.sharded:
            from torch.distributed.device_mesh import init_device_mesh

            # Here, where all are: it may connect them anew.
            self._mesh = init_device_mesh(self._accelerator.device.type, (self.count,))

    def part(self, batches: Step) -> Step:
        """Return the micro batches of this process; maybe none.

        Where the base is spread all have the same number, some of them empty: a block is gathered
        from every process, by every process.
        """
        mine = batches[self.rank :: self.count]
        most = -(-len(batches) // self.count)
        return mine + [[]] * (most - len(mine)) if self.sharded else mine

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Let the processes do something in turn, which takes the memory of the host."""
        for _ in range(self.rank):
            self._accelerator.wait_for_everyone()
        yield
        for _ in range(self.rank, self.count):
            self._accelerator.wait_for_everyone()

    def spread(self, model: Any) -> Iterator[Any]:
        """Keep this process's share of the frozen weights of each block of a decoder, in place.

        Yields each block whole, on the device, before it is cut. What is trained stays whole, and
        so do the embedding and the head.
        """
        from torch.distributed.fsdp import fully_shard

        device, mesh = self._accelerator.device, self._mesh
        decoder = model.get_base_model().get_decoder()
        whole = {part for part in model.parameters() if part.requires_grad}
        for block in decoder_blocks(decoder):
            yield block.to(device)
            for layer in linear4bit_layers(block).values():
                _as_bfloat16(layer)
            fully_shard(block, mesh=mesh, ignored_params=whole)
        blocks = {part for block in decoder_blocks(decoder) for part in block.parameters()}
        whole |= set(decoder.parameters()) - blocks
        fully_shard(decoder.to(device), mesh=mesh, ignored_params=whole)
        model.to(device)

    def sum_gradients(self, parameters: Mapping[str, Any], loss: float) -> float:
        """Add up gradients, in place, and the loss over all processes; one exchange."""
        device = self._accelerator.device
        parts = [  # a tensor without a gradient here may have one elsewhere
            (torch.zeros_like(part) if part.grad is None else part.grad).float().flatten()
            for part in parameters.values()
        ]
        parts.append(torch.tensor([loss], device=device))
        flat = self._accelerator.reduce(torch.cat(parts), reduction="sum")
        start = 0
        for parameter in parameters.values():
            summed = flat[start : start + parameter.numel()].view_as(parameter)
            parameter.grad = summed.to(parameter.dtype)
            start += parameter.numel()
        return float(flat[-1])

    def sum(self, value: float) -> float:
        """Add up a number over all processes."""
        total = torch.tensor([value], dtype=torch.float64, device=self._accelerator.device)
        return float(self._accelerator.reduce(total, reduction="sum"))

    def random_states(self) -> dict[str, Any]:
        """Return the random state of each process."""
        found: dict[str, Any] = {}
        for name, state in random_state(self.rank).items():
            every = self._accelerator.gather(state.to(self._accelerator.device)[None])
            found |= {f"{name.split()[0]} {rank}": each.cpu() for rank, each in enumerate(every)}
        return found

    def difference(self, parameters: Mapping[str, Any]) -> float:
        """Return the largest difference between processes of any tensor's sum: 0 when equal."""
        sums = torch.stack([part.detach().double().sum() for part in parameters.values()])
        every = self._accelerator.gather(sums[None])
        return float((every - every[0]).abs().max())

    def leave(self) -> None:
        """Wait for the others and part."""
        self._accelerator.wait_for_everyone()
        self._accelerator.end_training()


def decoder_blocks(decoder: Any) -> Any:
    """Return the list of blocks of a decoder: the longest of its own lists."""
    return max((part for part in decoder.children() if isinstance(part, nn.ModuleList)), key=len)


def held_share(decoder: Any) -> float:
    """Return the share of the frozen values of a decoder's blocks that this process holds."""
    from torch.distributed.tensor import DTensor

    parts = [part for part in decoder_blocks(decoder).parameters() if not part.requires_grad]
    local = (part.to_local() if isinstance(part, DTensor) else part for part in parts)
    return float(sum(part.numel() for part in local) / sum(part.numel() for part in parts))


def _as_bfloat16(layer: Any) -> None:
    """Hold the bytes of a layer in 4 bits as a bfloat16 parameter: one of bytes cannot be cut."""
    layer.quant_state, layer.quant_storage = layer.weight.quant_state, torch.bfloat16
    values = layer.weight.data.view(-1).view(torch.bfloat16)[:, None]
    layer.weight = nn.Parameter(values, requires_grad=False)


def random_state(rank: int = 0) -> dict[str, Any]:
    """Return torch's random state of this process, under names that tell processes apart."""
    state = {f"cpu {rank}": torch.get_rng_state()}
    if torch.cuda.is_available():
        state[f"cuda {rank}"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any], rank: int = 0) -> None:
    """Put torch's random state back, of the process that had this rank."""
    torch.set_rng_state(state[f"cpu {rank}"])
    if f"cuda {rank}" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state[f"cuda {rank}"])
