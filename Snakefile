from snakemake.utils import min_version

from formerbench.data.registry import find_all
from formerbench.digests import (
    COLLECT_MODULES,
    DESCRIBE_MODULES,
    DOWNLOAD_MODULES,
    MEASURE_MODULES,
    PREPARE_MODULES,
    cell_digest,
    inside_digest,
    measurement_digest,
    report_digest,
    source_digest,
)
from formerbench.grid import cells, shown_inside
from formerbench.lifeline import offer
from formerbench.locks import hold_study
from formerbench.measurements import measurements
from formerbench.models import MECHANISMS, class_path

min_version("9.16")


# Only without --configfile: Snakemake would merge the two, and keys of the one would leak into the other.
if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


STUDY = checked_study(config)
DATASETS = checked(lambda: find_all(STUDY.datasets))
CELLS = {str(cell.folder): cell for cell in checked(lambda: cells(STUDY))}
MEASUREMENTS = {str(one.folder): one for one in checked(lambda: measurements(STUDY))}
offer()


onstart:
    started_alone(STUDY)


wildcard_constraints:
    study=re.escape(STUDY.study),
    dataset=one_of(DATASETS),
    model=one_of(model.name for model in STUDY.models),
    lookback=r"\d+",
    horizon=r"\d+",
    device="cpu|cuda",
    precision="fp32|bf16|fp16",
    experiment=one_of(dict.fromkeys(m.experiment for m in MEASUREMENTS.values())) or "none",
    subject=one_of(dict.fromkeys(m.subject for m in MEASUREMENTS.values())) or "none",
    variant=r"[A-Za-z0-9_=]+",
    n_variates=r"\d+",
    batch_size=r"\d+",
    seed=r"\d+",


include: "workflow/rules/data.smk"
include: "workflow/rules/accuracy.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        report_pages(),
