from snakemake.utils import min_version

from formerbench.data.registry import find
from formerbench.grid import cells
from formerbench.models import class_path
from formerbench.provenance import (
    COLLECT_MODULES,
    DESCRIBE_MODULES,
    DOWNLOAD_MODULES,
    PREPARE_MODULES,
    cell_digest,
    report_digest,
    source_digest,
)

min_version("9.16")


# Only without --configfile: Snakemake would merge the two, and keys of the one would leak into the other.
if "study" not in config:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


STUDY = checked_study(config)
DATASETS = {entry.name: entry for entry in checked(lambda: map(find, STUDY.datasets))}
CELLS = {str(cell.folder): cell for cell in checked(lambda: cells(STUDY))}


wildcard_constraints:
    study=re.escape(STUDY.study),
    dataset=one_of(DATASETS),
    model=one_of(model.name for model in STUDY.models),
    lookback=r"\d+",
    horizon=r"\d+",
    device="cpu|cuda",
    precision="fp32|bf16|fp16",
    seed=r"\d+",


include: "workflow/rules/data.smk"
include: "workflow/rules/accuracy.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        report_pages(),
