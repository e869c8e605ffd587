rule report:
    input:
        "results/{study}/tables/accuracy.csv",
        "results/{study}/tables/variates.csv",
        "results/{study}/tables/forecasts.csv",
        "results/{study}/tables/truth.csv",
        "results/{study}/tables/datasets.json",
        "results/{study}/tables/study.json",
        "results/{study}/tables/scaling.csv",
        "results/{study}/tables/scaling_repeats.csv",
        "results/{study}/tables/machine.json",
        evidence=evidence(),
        claims=claims_and_scores(),
    output:
        "results/{study}/report/index.html",
        "results/{study}/report/scaling.html",
        "results/{study}/report/claims.html",
        "results/{study}/report/provenance.html",
        dataset_pages("{study}"),
    log:
        "results/{study}/logs/report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=report_digest(),
    script:
        "../scripts/report.py"
