rule data:
    input:
        downloads(),


rule download:
    output:
        "results/{study}/data/{dataset}/raw.csv",
    log:
        "results/{study}/logs/download/{dataset}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        entry=entry_of,
        code=source_digest(DOWNLOAD_MODULES),
    script:
        "../scripts/download.py"


rule prepare:
    input:
        raw_file,
    output:
        "results/{study}/data/{dataset}/series.safetensors",
        "results/{study}/data/{dataset}/dataset.json",
    log:
        "results/{study}/logs/prepare/{dataset}.log",
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        entry=entry_of,
        code=source_digest(PREPARE_MODULES),
    script:
        "../scripts/prepare.py"
