# REQUIRED INPUTS: <build>/dataset.h5. OUTPUTS: <results>/quality.csv.

rule quality:
    """Listing the clips with their quality flags"""
    input:
        script="pipeline/quality.py",
        dataset="<build>/dataset.h5",
    output:
        "<results>/quality.csv",
    log:
        "<logs>/quality.log",
    shell:
        "python -m pipeline.quality --dataset {input.dataset:q} --output {output:q} > {log:q} 2>&1"
