"""``formerbench profile``: time, memory and FLOPs of one model at one shape."""

import json
import os

from formerbench.cli.command import command


def add(commands) -> None:
    """Add the command."""
    profile = command(
        commands,
        "profile",
        "Measure time, peak memory and floating-point operations of a model, in processes of their own.",
        "formerbench profile informer --lookback 2000 --d-model 64 --batch-size 8",
        _profile,
    )
    profile.add_argument("model", help="a model's name, or package.module:Class of your own")
    whole = {"lookback": None, "horizon": 96, "variates": 7, "batch-size": 8, "d-model": 64}
    for name, default in whole.items():
        text = "input length, time steps" if default is None else f"default: {default}"
        profile.add_argument(
            f"--{name}", type=_positive, default=default, required=default is None, help=text
        )
    profile.add_argument(
        "--n-heads", type=_positive, default=4, help="default: 4; other options are the model's own"
    )
    profile.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    profile.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), default="fp32", help="default: fp32"
    )
    profile.add_argument("--phase", choices=("train_step", "inference"), help="default: both")
    profile.add_argument("--threads", type=_positive, default=os.cpu_count(), help="default: all cores")
    profile.add_argument("--seconds", type=float, default=5.0, help="repeat for so long at most (default: 5)")
    profile.add_argument(
        "--memory-budget-mb", type=float, default=float("inf"), help="more ends as oom (default: no limit)"
    )
    profile.add_argument(
        "--time-budget-s", type=float, default=600.0, help="longer ends as timeout (default: 600)"
    )
    profile.add_argument("--json", action="store_true", help="print the rows of the scaling table as JSON")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(f"{text} is less than 1")
    return number


def _profile(options) -> int:
    from formerbench.measure.job import machine
    from formerbench.measure.profile import Profiler
    from formerbench.measure.sandbox import Sandbox
    from formerbench.measure.work import PHASES, Work

    rows, rate = [], machine(options.device, options.precision, options.threads)["flop_per_s"]
    with Sandbox(options.memory_budget_mb, options.time_budget_s) as sandbox:
        profiler = Profiler(sandbox, options.seconds, rate, experiment="profile", variant="base")
        for phase in [options.phase] if options.phase else PHASES:
            work = Work(
                subject=options.model,
                lookback=options.lookback,
                horizon=options.horizon,
                n_variates=options.variates,
                batch_size=options.batch_size,
                phase=phase,
                device=options.device,
                precision=options.precision,
                threads=options.threads,
                options=_sizes(options),
            )
            row, _ = profiler.row(work)
            rows.append(row)
    print(json.dumps(rows, indent=1) if options.json else "\n".join(_text(row) for row in rows))
    return 0 if all(row["status"] == "ok" for row in rows) else 1


def _sizes(options) -> dict:
    """Options that the model has, of those that can be set here; a user's class takes none of them."""
    from formerbench.models import option_names

    known = () if ":" in options.model else option_names(options.model)
    return {name: getattr(options, name) for name in ("d_model", "n_heads") if name in known}


def _text(row: dict) -> str:
    shape = f"L={row['lookback']} H={row['horizon']} D={row['n_variates']} B={row['batch_size']}"
    head = f"{row['subject']} {row['phase']}, {shape}, {row['device']} {row['precision']}: "
    if row["time_ms"] is None:
        reached = f" (reached: {row['reached']})" if row["reached"] else ""
        return f"{head}{row['status']}, {row['reason']}{reached}"
    lines = [
        f"time              {row['time_ms']:.3g} ms, median of {row['repeats']} "
        f"(inter-quartile range {row['time_ms_iqr']:.2g})",
    ]
    if row["peak_memory_mb"] is not None:
        above = f"above {row['baseline_mb']:.0f} MB" if row["baseline_mb"] is not None else ""
        lines.append(f"peak memory       {row['peak_memory_mb']:.1f} MB {above}")
    if row["peak_tensor_mb"] is not None:
        lines.append(f"of it tensors     {row['peak_tensor_mb']:.1f} MB")
    if row["share_of_peak"] is not None:
        share = f"{100 * row['share_of_peak']:.0f} % of the machine's peak"
        lines.append(f"work              {row['flops'] / 1e9:.3g} GFLOP, {share}")
    lines.append(f"attention kernel  {row['attention_kernel'] or 'none'}")
    if row["busy"]:
        lines.append("other programs used the machine meanwhile: times may be too long")
    if row["reason"] is not None:
        lines.append(f"{row['status']}: {row['reason']}")
    return "\n  ".join([head.rstrip(": "), *lines])
