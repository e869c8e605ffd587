from pathlib import Path

from formerbench.logs import job_log
from formerbench.measure.job import machine
from formerbench.results import write_json

with job_log(snakemake.log[0]):
    found = machine(snakemake.wildcards.device, snakemake.wildcards.precision, snakemake.threads)
    write_json(Path(snakemake.output[0]), found)
