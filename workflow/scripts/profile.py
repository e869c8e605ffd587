from pathlib import Path

from formerbench.logs import job_log
from formerbench.measure.job import run
from formerbench.measurements import Measurement
from formerbench.results import read_json

with job_log(snakemake.log[0]):
    given = {"source_digest": snakemake.params.code, "machine": read_json(snakemake.input.machine)}
    measurement = Measurement.from_dict(snakemake.params.measurement)
    run(measurement, Path(snakemake.output[0]).parent, **given, threads=snakemake.threads)
