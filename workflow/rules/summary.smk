rule collect:
    input:
        metrics=of_cells("metrics.json"),
        series=of_datasets("series.safetensors"),
        facts=of_datasets("dataset.json"),
        inside=of_inside(),
    output:
        "results/{study}/tables/accuracy.csv",
        "results/{study}/tables/accuracy.parquet",
        "results/{study}/tables/variates.csv",
        "results/{study}/tables/steps.csv",
        "results/{study}/tables/forecasts.csv",
        "results/{study}/tables/truth.csv",
        "results/{study}/tables/datasets.json",
        "results/{study}/tables/inside.json",
        "results/{study}/tables/study.json",
    log:
        "results/{study}/logs/collect.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        study=STUDY.for_tables(),
        code=source_digest(COLLECT_MODULES),
    script:
        "../scripts/collect.py"


rule collect_scaling:
    input:
        profiles=of_measurements("profile.json"),
        machines=machine_files(),
    output:
        "results/{study}/tables/scaling.csv",
        "results/{study}/tables/scaling.parquet",
        "results/{study}/tables/scaling_repeats.csv",
        "results/{study}/tables/machine.json",
    log:
        "results/{study}/logs/collect_scaling.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        code=source_digest(COLLECT_MODULES),
    script:
        "../scripts/collect_scaling.py"
