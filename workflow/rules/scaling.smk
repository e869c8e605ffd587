rule machine:
    output:
        "results/{study}/machine/{device}_{precision}.json",
    log:
        "results/{study}/logs/machine/{device}_{precision}.log",
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        bench_slot=1,
        gpu=gpus,
    params:
        code=source_digest(MEASURE_MODULES),
        device_problem=device_problem,
    script:
        "../scripts/machine.py"


rule profile:
    input:
        machine="results/{study}/machine/{device}_{precision}.json",
    output:
        "results/{study}/scaling/{experiment}/{subject}/L{lookback}_H{horizon}_D{n_variates}_B{batch_size}/{device}_{precision}/{variant}/profile.json",
    log:
        "results/{study}/logs/profile/{experiment}/{subject}/L{lookback}_H{horizon}_D{n_variates}_B{batch_size}/{device}_{precision}/{variant}.log",
    conda:
        "../../environment.yml"
    threads: STUDY.threads
    resources:
        bench_slot=1,
        mem_mb=measurement_memory,
        runtime=measurement_runtime,
        gpu=gpus,
    params:
        measurement=measurement_of,
        code=code_of_measurement,
        device_problem=device_problem,
    script:
        "../scripts/profile.py"
