from pathlib import Path

from formerbench.logs import job_log
from formerbench.report.render import render

with job_log(snakemake.log[0]):
    evidence = dict.fromkeys(Path(file).parent for file in snakemake.input.evidence)
    render(Path(snakemake.input[0]).parent, Path(snakemake.output[0]).parent, evidence)
