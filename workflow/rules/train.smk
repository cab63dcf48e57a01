# REQUIRED INPUTS: <build>/dataset.h5, config/models/<system>.yaml. OUTPUTS: <build>/runs/<run>/<seed>/.
# A run is a system, or one of config/variants.yaml. All its seeds are one job: start and reading are paid
# for once, and seeds of which nothing has changed are kept (pipeline/base/kept.py).

rule train:
    """Training {wildcards.run}"""
    input:
        script="pipeline/train.py",
        modules=TRAINING_MODULES,
        model=model_code,
        dataset="<build>/dataset.h5",
        config=run_config,
        encoder=run_encoder_input,
    output:
        [directory(f"<build>/runs/{{run}}/{seed}") for seed in SEEDS],
    params:
        system=run_system,
        override=run_override,
        encoder=run_encoder,
        seeds=SEEDS,
        folder=run_folder,
    threads: 1
    log:
        "<logs>/train/{run}.log",
    benchmark:
        "<build>/run_times/train/{run}.tsv"
    resources:
        **NEEDS["train"],
    shell:
        "python -m pipeline.train --dataset {input.dataset:q} --system {params.system} --config {input.config:q}"
        " --override {params.override:q} {params.encoder:q} --seeds {params.seeds} --processes {threads}"
        " --code {input.script:q} {input.modules:q} {input.model:q} --output {params.folder:q} > {log:q} 2>&1"
