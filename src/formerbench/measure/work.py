"""What is measured, as plain values; needs no torch."""

from dataclasses import asdict, dataclass, field

PHASES = ("train_step", "inference")
LEAST = 3  # repeats in a process that tell a median
IN_DEPTH = ("tensors", "flops")  # what is begun once time and memory are known


@dataclass(frozen=True, kw_only=True)
class Work:
    """One measurement: a model or a mechanism, a shape, and what is done with it.

    Attributes:
        subject: name of a model, ``package.module:Class`` of a user's own, or name of a mechanism.
        mechanism: whether ``subject`` is one of :data:`formerbench.models.MECHANISMS`.
        phase: ``train_step`` (zero_grad, forward, loss, backward, Adam; of a mechanism forward and backward)
            or ``inference`` (forward only).
        options: hyper-parameters of the subject.
    """

    subject: str
    lookback: int
    horizon: int
    n_variates: int
    batch_size: int
    phase: str
    mechanism: bool = False
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    options: dict = field(default_factory=dict)

    @property
    def compiled(self) -> bool:
        """Whether ``torch.compile`` generates code for the subject."""
        return bool(self.options.get("compile"))

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)
