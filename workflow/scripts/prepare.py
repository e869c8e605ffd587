from pathlib import Path

from formerbench.data.prepare import prepare
from formerbench.data.registry import find_all
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    entry = find_all(snakemake.config["datasets"])[snakemake.wildcards.dataset]
    source = Path(snakemake.input[0]) if snakemake.input else None
    prepare(entry, source).save_arrays(Path(snakemake.output[0]))
