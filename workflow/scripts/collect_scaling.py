from pathlib import Path

from formerbench.analysis.collect_scaling import collect_scaling
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    profiles, machines = (map(Path, snakemake.input[kind]) for kind in ("profiles", "machines"))
    collect_scaling(profiles, machines, Path(snakemake.output[0]).parent)
