"""The measurements of a study: every point of its ``scaling`` part with all settings resolved."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import get_args, get_type_hints

from formerbench.config import ModelEntry, Study
from formerbench.errors import StatedError, nearest
from formerbench.measure.work import PHASES, Work
from formerbench.models import MECHANISMS, NAIVE, all_options, configure, option_names, spec
from formerbench.models.configs import Shape

BASE = "base"
_PRECISION_SWITCHES = ("bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One job: a model or mechanism at one shape, in one or both phases.

    Attributes:
        variant: ``base``, or the switch that is on.
        work: what is measured, with the phase still to be set; of ``longest``, with the longest lookback.
        phases: those that are measured.
        seconds, processes: how long it is repeated in a process at most, and in how many processes.
        limits: of the experiment ``longest``: ``from``, ``memory_mb`` and ``step_s``; else None.
        skip: why it makes no sense on any machine, or None.
    """

    study: str
    experiment: str
    subject: str
    variant: str
    work: Work
    phases: tuple[str, ...]
    seconds: float
    processes: int
    memory_budget_mb: float
    time_budget_s: float
    limits: dict | None
    skip: str | None

    @property
    def folder(self) -> Path:
        """Folder of the measurement's files below ``results/<study>``."""
        work = self.work
        sizes = f"L{work.lookback}_H{work.horizon}_D{work.n_variates}_B{work.batch_size}"
        place = f"{work.device}_{work.precision}"
        return Path("scaling", self.experiment, self.subject, sizes, place, self.variant)

    def as_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` is the way back."""
        return asdict(self) | {"phases": list(self.phases)}

    @classmethod
    def from_dict(cls, values: dict) -> "Measurement":
        return cls(**values | {"work": Work(**values["work"]), "phases": tuple(values["phases"])})


def measurements(study: Study) -> list[Measurement]:
    """All measurements of a study, in the order of its config.

    Raises:
        StatedError: an unknown model, mechanism or option.
    """
    if study.scaling is None:
        return []
    experiments = {
        "lookback": _lookback,
        "longest": _longest,
        "mechanism": _mechanism,
        "horizon": _horizon,
        "switches": _switches,
        "variates": _variates,
    }
    there = [name for name in experiments if study.scaling.get(name) is not None]
    return [one for name in there for device in study.devices for one in experiments[name](study, device)]


def _lookback(study: Study, device: str) -> Iterator[Measurement]:
    lengths = study.scaling["lookback"]["lookbacks"]
    for entry, precision, lookback in product(_models(study), study.precisions, lengths):
        yield _of_model(study, "lookback", entry, device, precision=precision, lookback=lookback)


def _longest(study: Study, device: str) -> Iterator[Measurement]:
    limits = dict(study.scaling["longest"])
    last = limits.pop("to")
    if limits["from"] > last:
        raise StatedError(f"config: scaling: longest: 'from' {limits['from']} is more than 'to' {last}")
    for entry in _models(study):
        yield _of_model(study, "longest", entry, device, lookback=last, limits=limits)


def _mechanism(study: Study, device: str) -> Iterator[Measurement]:
    own = study.scaling["mechanism"]
    for name, lookback in product(own.get("mechanisms", MECHANISMS), own["lookbacks"]):
        if name not in MECHANISMS:
            raise StatedError(
                f"config: scaling: mechanism: unknown mechanism '{name}'{nearest(name, MECHANISMS)}; "
                f"there are: {', '.join(MECHANISMS)}"
            )
        sizes = {key: study.scaling["model"].get(key, default) for key, default in _MECHANISM_SIZES.items()}
        work = _work(study, device, subject=name, mechanism=True, lookback=lookback, options=sizes)
        yield _measurement(study, "mechanism", name, work)


_MECHANISM_SIZES = {"d_model": 64, "n_heads": 4}


def _horizon(study: Study, device: str) -> Iterator[Measurement]:
    own = study.scaling["horizon"]
    for entry, horizon, batch_size in product(_models(study), own["horizons"], own["batch_sizes"]):
        sizes = {"lookback": own["lookback"], "horizon": horizon, "batch_size": batch_size}
        yield _of_model(study, "horizon", entry, device, phases=("inference",), **sizes)


def _switches(study: Study, device: str) -> Iterator[Measurement]:
    own = study.scaling["switches"]
    for entry, lookback in product(_models(study), own["lookbacks"]):
        base = _of_model(study, "switches", entry, device, lookback=lookback)
        switched = [with_switch for s in own["switches"] if (with_switch := _switched(base, s)) is not None]
        yield from [base, *switched] if switched else []


def _variates(study: Study, device: str) -> Iterator[Measurement]:
    own = study.scaling["variates"]
    for entry, n_variates in product(_models(study), own["n_variates"]):
        yield _of_model(study, "variates", entry, device, lookback=own["lookback"], n_variates=n_variates)


def _models(study: Study) -> list[ModelEntry]:
    """Those that have something to measure."""
    return [entry for entry in study.models if entry.class_path is not None or entry.name not in NAIVE]


def _of_model(study: Study, experiment: str, entry: ModelEntry, device: str, **settings) -> Measurement:
    of_job = {key: settings.pop(key) for key in ("phases", "limits") if key in settings}
    options = entry.options
    if entry.class_path is None:
        known = option_names(entry.name)
        options = {key: value for key, value in study.scaling["model"].items() if key in known}
        options = all_options(entry.name, options)
    work = _work(study, device, subject=entry.class_path or entry.name, options=options, **settings)
    return _measurement(study, experiment, entry.name, work, **of_job)


def _work(study: Study, device: str, **settings) -> Work:
    common = {"device": device, "precision": study.precisions[0], "threads": study.threads}
    return Work(**{**common, **study.scaling["shape"], "phase": PHASES[0], **settings})


def _measurement(
    study: Study, experiment: str, subject: str, work: Work, *, phases=PHASES, limits: dict | None = None
) -> Measurement:
    own = {key: study.scaling[key] for key in ("seconds", "processes", "memory_budget_mb", "time_budget_s")}
    return Measurement(
        study=study.study,
        experiment=experiment,
        subject=subject,
        variant=BASE,
        work=work,
        phases=phases,
        limits=limits,
        skip=_skip(work),
        **own,
    )


def _skip(work: Work) -> str | None:
    if work.precision == "fp16" and work.device == "cpu":
        return "fp16 needs a CUDA device"
    if work.mechanism or ":" in work.subject:
        return None
    shape = Shape(lookback=work.lookback, horizon=work.horizon, n_variates=work.n_variates)
    return configure(work.subject, work.options).problem(shape)


def _switched(base: Measurement, switch: str) -> Measurement | None:
    """``base`` with a switch on; None where the model lacks the switch or has it on anyway."""
    work, phases = base.work, base.phases
    key, _, value = switch.partition("=")
    if switch in _PRECISION_SWITCHES:
        work = replace(work, precision=switch)
    elif ":" in work.subject or not _can_be(work, key, value or True):
        return None
    else:
        work = replace(work, options=work.options | {key: value or True})
    if switch == "checkpoint":
        phases = ("train_step",)  # nothing is kept in inference anyway
    return replace(base, variant=switch, work=work, phases=phases, skip=_skip(work))


def _can_be(work: Work, key: str, value) -> bool:
    kinds = get_type_hints(spec(work.subject).config)
    if key not in kinds or work.options[key] == value:
        return False
    return value is True or value in get_args(kinds[key])
