from pathlib import Path

from formerbench.analysis.collect import collect
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    data = [Path(file).parent for file in snakemake.input.series]
    metrics = [Path(file) for file in snakemake.input.metrics]
    inside = map(Path, snakemake.input.inside)
    collect(metrics, data, inside, snakemake.params.study, Path(snakemake.output[0]).parent)
