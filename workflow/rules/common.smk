import os
import re
import sys

from formerbench import allocation, devices
from formerbench.config import Study
from formerbench.errors import StatedError
from formerbench.paths import evidence_folder, shipped


def checked(make):
    """What ``make()`` gives; a stated failure ends Snakemake in one line."""
    try:
        return make()
    except StatedError as error:
        sys.exit(f"error: {error}")


def checked_study(config):
    """The study of a config that passed every check."""
    return checked(lambda: Study.from_config(config))


def started_alone(study):
    """End Snakemake in one line if another one runs the study, or its results cannot be written."""
    checked(lambda: hold_study(study.study))


def one_of(names):
    """A regular expression for exactly these names."""
    return "|".join(re.escape(name) for name in names)


def entry_of(wildcards):
    """The registry entry of a data set as plain values."""
    return DATASETS[wildcards.dataset].as_dict()


def file_and_form(wildcards):
    """What of the entry decides the values, so that other changes rerun no cell."""
    return DATASETS[wildcards.dataset].file_and_form()


def raw_file(wildcards):
    """What `prepare` reads: a download, the user's own file, or nothing for generated data."""
    entry = DATASETS[wildcards.dataset]
    download = f"results/{wildcards.study}/data/{wildcards.dataset}/raw.csv"
    return {"download": download, "file": entry.path, "generated": []}[entry.kind]


def downloads():
    """The raw files of all data sets of the study that come from the network."""
    return [
        f"results/{STUDY.study}/data/{name}/raw.csv"
        for name, entry in DATASETS.items()
        if entry.kind == "download"
    ]


def the_cell(wildcards):
    """The cell that a folder belongs to."""
    folder = "accuracy/{w.dataset}/{w.model}/L{w.lookback}_H{w.horizon}/{w.device}_{w.precision}/seed{w.seed}"
    return CELLS[folder.format(w=wildcards)]


def cell_of(wildcards):
    """The cell that a folder belongs to, as plain values."""
    return the_cell(wildcards).as_dict()


def code_of_cell(wildcards):
    """Digest of the code that the cell executes."""
    return cell_digest(class_path(the_cell(wildcards).build_name))


def code_of_inside(wildcards):
    """Digest of the code that shows the inside of the cell."""
    return inside_digest(class_path(the_cell(wildcards).build_name))


def the_measurement(wildcards):
    """The measurement that a folder belongs to."""
    sizes = "L{w.lookback}_H{w.horizon}_D{w.n_variates}_B{w.batch_size}"
    folder = f"scaling/{{w.experiment}}/{{w.subject}}/{sizes}/{{w.device}}_{{w.precision}}/{{w.variant}}"
    return MEASUREMENTS[folder.format(w=wildcards)]


def measurement_of(wildcards):
    """The measurement that a folder belongs to, as plain values."""
    return the_measurement(wildcards).as_dict()


def code_of_measurement(wildcards):
    """Digest of the code that the measurement executes."""
    work = measurement_of(wildcards)["work"]
    return measurement_digest(
        MECHANISMS[work["subject"]] if work["mechanism"] else class_path(work["subject"])
    )


def device_problem(wildcards):
    """Why the device cannot be used here, or None: cells are run once it can."""
    return devices.problem(wildcards.device)


def cell_memory(wildcards, attempt):
    """Memory that a cell asks a cluster for, MB."""
    return allocation.cell_memory_mb(the_cell(wildcards), DATASETS[wildcards.dataset], attempt)


def cell_runtime(wildcards, attempt):
    """Time that a cell asks a cluster for, minutes."""
    return allocation.cell_runtime_min(the_cell(wildcards), DATASETS[wildcards.dataset], attempt)


def inside_memory(wildcards, attempt):
    """Memory that showing the inside of a cell asks a cluster for, MB."""
    return allocation.inside_memory_mb(the_cell(wildcards), DATASETS[wildcards.dataset], attempt)


def inside_runtime(wildcards, attempt):
    """Time that showing the inside of a cell asks a cluster for, minutes."""
    return allocation.inside_runtime_min(the_cell(wildcards), DATASETS[wildcards.dataset], attempt)


def measurement_memory(wildcards, attempt):
    """Memory that a measurement asks a cluster for, MB."""
    return allocation.measurement_memory_mb(the_measurement(wildcards), attempt)


def measurement_runtime(wildcards, attempt):
    """Time that a measurement asks a cluster for, minutes."""
    return allocation.measurement_runtime_min(the_measurement(wildcards), attempt)


def gpus(wildcards):
    """GPUs that a job needs."""
    return allocation.gpus(wildcards.device)


def slot():
    """Share of the machine that a job claims: all of it, unless cells may run side by side."""
    return 0 if STUDY.parallel else 1


def of_cells(file):
    """The path of ``file`` in the folder of every cell."""
    return [f"results/{STUDY.study}/{folder}/{file}" for folder in CELLS]


def of_inside():
    """What the report shows of the inside of trained models."""
    return [
        f"results/{STUDY.study}/inside/{cell.folder.relative_to('accuracy')}.json"
        for cell in shown_inside(list(CELLS.values()))
    ]


def of_measurements(file):
    """The path of ``file`` in the folder of every measurement."""
    return [f"results/{STUDY.study}/{folder}/{file}" for folder in MEASUREMENTS]


def machine_files():
    """What is known of the machine, for each device and precision that is measured."""
    places = dict.fromkeys(f"{m.work.device}_{m.work.precision}" for m in MEASUREMENTS.values())
    return [f"results/{STUDY.study}/machine/{place}.json" for place in places]


def evidence():
    """Tables of other studies that the report shows and judges beside the study's own."""
    folders = [evidence_folder(folder) for folder in STUDY.evidence]
    tables = [folder / name for folder in folders for name in ("scaling.csv", "accuracy.csv")]
    return [here(table) for table in tables if table.is_file()]


def claims_and_scores():
    """What others claim and published, which the report holds against the tables."""
    return [
        here(shipped(f"config/{name}"))
        for name in ("claims.yaml", "decision_tree.yaml", "published_results.csv")
    ]


def here(path):
    """``path`` as seen from the working directory, so that a study that was moved does not run again."""
    return os.path.relpath(path)


def of_datasets(file):
    """The path of ``file`` in the folder of every data set."""
    return [f"results/{STUDY.study}/data/{name}/{file}" for name in DATASETS]


def dataset_pages(study):
    """The report's page of every data set, in the folder of ``study`` (may be a wildcard)."""
    return [f"results/{study}/report/dataset-{name}.html" for name in DATASETS]


def model_pages(study):
    """The report's page of every model of the study that is trained; ``study`` may be a wildcard."""
    names = dict.fromkeys(cell.model for cell in shown_inside(list(CELLS.values())))
    return [f"results/{study}/report/model-{name}.html" for name in names]


def report_pages():
    """All pages of the report."""
    pages = [
        f"results/{STUDY.study}/report/{page}.html"
        for page in ("index", "accuracy", "scaling", "decision", "claims", "provenance")
    ]
    return pages + dataset_pages(STUDY.study) + model_pages(STUDY.study)
