"""Several processes on one training, through accelerate: who computes what, and what is summed.

Each process has the whole model and takes its part of the micro batches of a step. Gradients are
summed once a step, weighted by tokens (DDP would average): the update is that of one process, but
for the order of a sum. All clip, update and stop alike; the first one alone writes.
"""

from collections.abc import Mapping
from typing import Any

import torch

from pipeline.train.batch.batches import Step


class Processes:
    """This process among those that `accelerate launch` started."""

    def __init__(self, device: str) -> None:
        """Join the others, by gloo on a CPU and nccl on GPUs; waits until all are there."""
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=device == "cpu")
        self.rank: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        self.first = self.rank == 0
        """Whether this is the one that writes."""

    def part(self, batches: Step) -> Step:
        """Return the micro batches of this process; maybe none."""
        return batches[self.rank :: self.count]

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

    def spread(self, parameters: Mapping[str, Any]) -> float:
        """Return the largest difference between processes of any tensor's sum: 0 when equal."""
        sums = torch.stack([part.detach().double().sum() for part in parameters.values()])
        every = self._accelerator.gather(sums[None])
        return float((every - every[0]).abs().max())

    def leave(self) -> None:
        """Wait for the others and part."""
        self._accelerator.wait_for_everyone()
        self._accelerator.end_training()


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
