"""``[resources]``: what each stage's processes ask a cluster for."""

from __future__ import annotations

from typing import Annotated

from pydantic import ByteSize, Field, NonNegativeFloat, PositiveFloat, field_validator

from raybead.config.section import Section

Custom = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:/-]*$")], PositiveFloat]
_RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")


class Ask(Section):
    """What one process asks for. Ray counts it, and an autoscaler brings nodes that have it."""

    cpus: NonNegativeFloat | None = None
    """As the stage does by itself, if not given."""
    memory: ByteSize | None = None
    """Of a process, such as "4GB"; not asked for if not given. Ray doesn't hold a process to it,
    but starts no more of them on a node than it has memory for."""
    custom: Custom = Field(default_factory=dict)
    """Resources that some nodes were given by name, such as ``{ spot = 0.01 }``."""

    @field_validator("custom")
    @classmethod
    def _not_rays_own(cls, custom: dict[str, float]) -> dict[str, float]:
        for name in custom:
            if name in _RAYS_OWN:
                raise ValueError(f"{name} is Ray's own; say it as cpus, gpus or memory")
        return custom


class GpuAsk(Ask):
    """What one process asks for that may have a GPU.

    CPUs are all the same to an autoscaler: when its CPU nodes are all there and tasks still wait,
    it starts GPU nodes for theirs. A group of GPU nodes without CPUs (``num-cpus: 0``), and
    ``cpus = 0`` here, are started for GPUs alone.
    """

    gpus: PositiveFloat | None = None
    """Where the stage runs on GPUs: of each process; one if not given, or a share of one."""

    @field_validator("gpus")
    @classmethod
    def _whole_or_a_share(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and not gpus.is_integer():
            raise ValueError(f"{gpus:g}: a share of one GPU, or a whole number of them")
        return gpus


class Resources(Section):
    """By stage. Nothing is held longer than its stage takes. Of results these change none, but for
    the rounding of sums in training, which a worker's CPUs decide."""

    driver: Ask = Ask(cpus=0)
    """The process that leads the whole job, where ``raybead submit`` starts it. It does next to
    nothing itself; asking for nothing it stays on the head, which isn't taken away."""
    prepare: Ask = Ask()
    """A task; 1 CPU by itself. Exact distances of ``train-emd`` ask for the same."""
    train: GpuAsk = GpuAsk()
    """A worker of ``train``, ``train-emd`` and of a sweep's trials. By itself its share of the
    CPUs that are there, or one beside a GPU."""
    score: GpuAsk = GpuAsk()
    """An actor that holds the model; by itself half a CPU, and where it runs on a GPU that too."""
    hunt: Ask = Ask()
    """A task of ``hunt``, ``calibrate`` and ``reach``; 1 CPU by itself."""
