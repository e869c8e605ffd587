from pathlib import Path

from formerbench.data.prepare import prepare
from formerbench.data.registry import Entry
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    source = Path(snakemake.input[0]) if snakemake.input else None
    prepare(Entry.from_dict(snakemake.params.entry), source).save_arrays(Path(snakemake.output[0]))
