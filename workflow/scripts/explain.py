from pathlib import Path

from formerbench.inside.explain import explain
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    folder, data = Path(snakemake.input.metrics).parent, Path(snakemake.input.series).parent
    explain(folder, data, Path(snakemake.output[0]))
