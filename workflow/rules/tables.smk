# REQUIRED INPUTS: the run folders. OUTPUTS: the tables and figures in <results>.

rule sims_table2:
    """Writing Table 2 of CH-SIMS"""
    input:
        script="pipeline/table2.py",
        modules=code_of("pipeline/table2.py"),
        dataset="<build>/dataset.h5",
        quality="<results>/quality.csv",  # nobody shall have the table without the list of faulty clips
        runs=expand("<build>/runs/{system}/{seed}", system=TABLE2_SYSTEMS, seed=config["seeds"]),
    output:
        table="<results>/sims_table2.csv",
        markdown="<results>/sims_table2.md",
        figure="<results>/sims_table2.png",
    params:
        runs=runs_root,
        systems=TABLE2_SYSTEMS,
        seeds=config["seeds"],
        corpus=config["corpus"],
    log:
        "<logs>/sims_table2.log",
    shell:
        "python -m pipeline.table2 --runs {params.runs:q} --systems {params.systems} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --output {output.table:q} --markdown {output.markdown:q} --figure {output.figure:q}"
        " > {log:q} 2>&1"


rule unimodal:
    """Writing what text, audio and vision alone can tell"""
    input:
        script="pipeline/unimodal.py",
        modules=code_of("pipeline/unimodal.py"),
        runs=expand("<build>/runs/{system}/{seed}", system=UNIMODAL_SYSTEMS, seed=config["seeds"]),
    output:
        "<results>/unimodal.csv",
    params:
        runs=runs_root,
        seeds=config["seeds"],
    log:
        "<logs>/unimodal.log",
    shell:
        "python -m pipeline.unimodal --runs {params.runs:q} --seeds {params.seeds} --output {output:q} > {log:q} 2>&1"
