# REQUIRED INPUTS: <build>/dataset.h5, config/models/<system>.yaml. OUTPUTS: <build>/runs/<system>/<seed>/.

rule train:
    """Training {wildcards.system} with seed {wildcards.seed}"""
    input:
        script="pipeline/train.py",
        modules=["pipeline/data.py", *code_of("pipeline/train.py")],
        model=model_code,
        dataset="<build>/dataset.h5",
        config="config/models/{system}.yaml",
    output:
        directory("<build>/runs/{system}/{seed}"),
    params:
        override=system_override,
    log:
        "<logs>/train/{system}_{seed}.log",
    shell:
        "python -m pipeline.train --dataset {input.dataset:q} --system {wildcards.system} --config {input.config:q}"
        " --override {params.override:q} --seed {wildcards.seed} --output {output:q} > {log:q} 2>&1"
