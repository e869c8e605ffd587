from pathlib import Path

from formerbench.data.download import fetch
from formerbench.data.registry import find_all
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    entry = find_all(snakemake.config["datasets"])[snakemake.wildcards.dataset]
    fetch(entry, Path(snakemake.output[0]), snakemake.config.get("mirror"))
