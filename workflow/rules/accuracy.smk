rule train:
    input:
        series="results/{study}/data/{dataset}/series.safetensors",
    output:
        "results/{study}/accuracy/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}/metrics.json",
        "results/{study}/accuracy/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}/history.csv",
        "results/{study}/accuracy/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}/model.safetensors",
    log:
        "results/{study}/logs/train/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}.log",
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        bench_slot=slot(),
        mem_mb=cell_memory,
        runtime=cell_runtime,
        gpu=gpus,
    params:
        cell=cell_of,
        code=code_of_cell,
        device_problem=device_problem,
    script:
        "../scripts/train.py"


rule explain:
    input:
        metrics="results/{study}/accuracy/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}/metrics.json",
        weights="results/{study}/accuracy/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}/model.safetensors",
        series="results/{study}/data/{dataset}/series.safetensors",
    output:
        "results/{study}/inside/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}.json",
    log:
        "results/{study}/logs/explain/{dataset}/{model}/L{lookback}_H{horizon}/{device}_{precision}/seed{seed}.log",
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        bench_slot=slot(),
        mem_mb=inside_memory,
        runtime=inside_runtime,
    params:
        code=code_of_inside,
    script:
        "../scripts/explain.py"
