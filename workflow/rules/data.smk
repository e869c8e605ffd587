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
        entry=file_and_form,
        code=source_digest(DOWNLOAD_MODULES),
    script:
        "../scripts/download.py"


rule prepare:
    input:
        raw_file,
    output:
        "results/{study}/data/{dataset}/series.safetensors",
    log:
        "results/{study}/logs/prepare/{dataset}.log",
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        entry=file_and_form,
        code=source_digest(PREPARE_MODULES),
    script:
        "../scripts/prepare.py"


rule describe:
    input:
        raw_file,
    output:
        "results/{study}/data/{dataset}/dataset.json",
    log:
        "results/{study}/logs/describe/{dataset}.log",
    conda:
        "../../environment.yml"
    resources:
        bench_slot=slot(),
    params:
        entry=entry_of,
        code=source_digest(DESCRIBE_MODULES),
    script:
        "../scripts/describe.py"
