"""Which arithmetic the trunks run in. The loss is float32 whatever is chosen here.

Half precision pays where the device computes in it. Elsewhere torch emulates it: on a CPU with AVX2 alone, ResNet18 on
eight pictures took 8.3 s in bf16 and 0.33 s in fp32. So "auto" asks the device, and one asked for by name is told.
"""

from __future__ import annotations

import warnings

import torch

from .distributed import World

# Names of torch.cpu.get_capabilities: x86-64, then ARM64. AVX512 without the extension emulates too.
NATIVE = {
    "bf16": ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16", "fp16_arith"),
}


class PrecisionWarning(UserWarning):
    """The run computes in another precision than before, or in one that this device only emulates."""


def is_native(precision: str, device: torch.device) -> bool:
    """Whether the device computes in "fp32", "bf16" or "fp16" itself. What torch cannot say counts as no."""
    if precision == "fp32":
        return True
    if device.type == "cuda":
        return precision == "fp16" or torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and any(found.get(name, False) for name in NATIVE[precision])


def choose(asked: str, device: torch.device, world: World, before: str = "") -> str:
    """What to compute in ("fp32", "bf16", "fp16") for a recipe's `precision`; the same in all processes.

    "auto" is what a resumed run computed in (`before`) if all devices do that natively; of a new run bf16 if all do,
    else fp32. Warns (PrecisionWarning) when the choice is emulated, and when a resumed run changes its precision.
    """
    chosen = asked
    if asked == "auto":
        wanted = before or "bf16"
        chosen = wanted if all(world.gather_objects(is_native(wanted, device))) else "fp32"
    native = all(world.gather_objects(is_native(chosen, device)))
    told = []
    if not native:
        told.append(
            f'precision = "{chosen}": this {device.type} emulates it, on a CPU some 25 times slower than fp32. '
            "Repair: --set precision=auto, also with --resume"
        )
    if before not in ("", chosen):
        told.append(f"--resume: this run computed in {before} and goes on in {chosen}; its losses will differ a little")
    for text in told if world.writes else ():
        warnings.warn(text, PrecisionWarning, stacklevel=2)
    return chosen
