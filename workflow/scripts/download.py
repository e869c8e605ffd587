from pathlib import Path

from formerbench.data.download import fetch
from formerbench.data.registry import Entry
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    fetch(Entry.from_dict(snakemake.params.entry), Path(snakemake.output[0]), snakemake.config.get("mirror"))
