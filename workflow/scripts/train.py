from pathlib import Path

from formerbench.gpus import take_gpu
from formerbench.grid import Cell
from formerbench.logs import job_log

with job_log(snakemake.log[0]):
    from formerbench.cell import run  # torch, whose import takes seconds: killed and logged as all the rest

    cell = Cell.from_dict(snakemake.params.cell)
    take_gpu(cell.device)
    data, folder = Path(snakemake.input.series).parent, Path(snakemake.output[0]).parent
    run(cell, data, folder, source_digest=snakemake.params.code, threads=snakemake.threads)
