from pathlib import Path

from formerbench.cell import run
from formerbench.grid import Cell
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    cell = Cell.from_dict(snakemake.params.cell)
    data, folder = Path(snakemake.input.series).parent, Path(snakemake.output[0]).parent
    run(cell, data, folder, source_digest=snakemake.params.code, threads=snakemake.threads)
