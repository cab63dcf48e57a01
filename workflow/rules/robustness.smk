# REQUIRED INPUTS: <build>/dataset.h5, the run folders, the text encoder. OUTPUTS: <results>/robustness.{csv,png}, every system
# of config/tables/systems.yaml on the test split with modalities missing or disturbed.

def robustness_encoder(wildcards, input):
    """Features of a file that was published may be of an encoder that is not at hand: only who reads tokens needs it then."""
    return ["--encoder", encoder_name(wildcards, input)] if not FEATURES_FILE or fine_tunes(wildcards.run) else []


rule robustness:
    """Measuring {wildcards.run} without modalities and with noise"""
    input:
        script="pipeline/results/robustness.py",
        modules=code_of("pipeline/results/robustness.py"),
        model=model_code,
        dataset="<build>/dataset.h5",
        runs=lambda wildcards: expand("<build>/runs/{run}/{seed}", run=wildcards.run, seed=SEEDS),
        encoder=encoder_input,
    output:
        "<build>/robustness/{run}.csv",
    params:
        runs=runs_root,
        seeds=SEEDS,
        encoder=robustness_encoder,
    log:
        "<logs>/robustness/{run}.log",
    benchmark:
        "<build>/run_times/robustness/{run}.tsv"
    threads: 1
    resources:
        **NEEDS["robustness"],
    shell:
        "python -m pipeline.results.robustness --run {wildcards.run} --runs {params.runs:q} --seeds {params.seeds}"
        " --dataset {input.dataset:q} {params.encoder:q} --output {output:q} > {log:q} 2>&1"


rule robustness_table:
    """Writing how robust the systems are"""
    input:
        script="pipeline/results/robustness_table.py",
        tables=expand("<build>/robustness/{run}.csv", run=table_runs("systems")),
    output:
        table=report(
            "<results>/robustness.csv",
            caption="../report/robustness.rst",
            category="All systems",
            labels={"result": "Modalities missing or disturbed (table)"},
        ),
        figure=report(
            "<results>/robustness.png",
            caption="../report/robustness.rst",
            category="All systems",
            labels={"result": "Modalities missing or disturbed (chart)"},
        ),
    params:
        provenance=FINGERPRINT,
    log:
        "<logs>/robustness.log",
    benchmark:
        "<build>/run_times/robustness_table/robustness_table.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.robustness_table --tables {input.tables:q} --provenance {params.provenance}"
        " --output {output.table:q} --figure {output.figure:q} > {log:q} 2>&1"
