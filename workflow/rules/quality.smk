# REQUIRED INPUTS: <build>/dataset.h5. OUTPUTS: <results>/quality.csv.

rule quality:
    """Listing the clips with their quality flags"""
    input:
        script="pipeline/results/quality.py",
        dataset="<build>/dataset.h5",
    output:
        report(
            "<results>/quality.csv",
            caption="../report/quality.rst",
            category="Material",
            labels={"result": "Clips and their flags (table)"},
        ),
    log:
        "<logs>/quality.log",
    benchmark:
        "<build>/run_times/quality/quality.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.quality --dataset {input.dataset:q} --output {output:q} > {log:q} 2>&1"
