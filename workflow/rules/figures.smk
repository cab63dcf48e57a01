# REQUIRED INPUTS: <build>/dataset.h5, the clips, the run folders of the first seed. OUTPUTS: what the corpus holds, and
# what trained systems make of its test clips, in <results>.

FIGURES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(Path("config/figures").glob("*.yaml"))}


def figure_runs(wildcards):
    return [panel["run"] for panel in FIGURES[wildcards.figure]["panels"]]


def figure_folders(wildcards):
    return expand("<build>/runs/{run}/{seed}", run=figure_runs(wildcards), seed=SEEDS[0])


def figure_encoder_input(wildcards):
    return encoder_input(wildcards) if any(map(fine_tunes, figure_runs(wildcards))) else []


def figure_encoder(wildcards, input):
    needed = any(map(fine_tunes, figure_runs(wildcards)))
    return ["--encoder", encoder_name(wildcards, input)] if needed else []


def paper_of_figure(wildcards):
    return paper(wildcards.figure)


def shown_figure(wildcards):
    """How the report calls a figure."""
    return {"result": f"Representations of the test clips (chart). {FIGURES[wildcards.figure]['caption']}"}


def clips_option(wildcards, input):
    return ["--clips", clips_root(wildcards, input)] if input.clips else []


wildcard_constraints:
    figure="|".join(FIGURES),


rule corpus_tables:
    """Writing what the corpus holds"""
    input:
        script="pipeline/results/corpus_tables.py",
        modules=code_of("pipeline/results/corpus_tables.py"),
        dataset="<build>/dataset.h5",
        clips=expand("<build>/clips/{video_id}", video_id=VIDEOS),
    output:
        table1=report(
            "<results>/sims_table1.csv",
            caption="../report/corpus.rst",
            category="CH-SIMS",
            labels={"result": "The corpus (table). CH-SIMS (Yu et al., ACL 2020), Table 1"},
        ),
        table3=report(
            "<results>/sims_table3.csv",
            caption="../report/corpus.rst",
            category="CH-SIMS",
            labels={"result": "Clips of each split (table). CH-SIMS (Yu et al., ACL 2020), Table 3"},
        ),
        figure2=report(
            "<results>/sims_figure2.png",
            caption="../report/corpus.rst",
            category="CH-SIMS",
            labels={"result": "How the labels differ (chart). CH-SIMS (Yu et al., ACL 2020), Figure 2"},
        ),
        figure2_table="<results>/sims_figure2.csv",
    params:
        clips=clips_option,
    log:
        "<logs>/tables/corpus_tables.log",
    benchmark:
        "<build>/run_times/corpus_tables/corpus_tables.tsv"
    threads: 1
    resources:
        **NEEDS["corpus_tables"],
    shell:
        "python -m pipeline.results.corpus_tables --dataset {input.dataset:q} {params.clips:q} --table1 {output.table1:q}"
        " --table3 {output.table3:q} --figure2 {output.figure2:q} --figure2-table {output.figure2_table:q} > {log:q} 2>&1"


rule representations:
    """Drawing {wildcards.figure}"""
    input:
        script="pipeline/results/representations.py",
        modules=code_of("pipeline/results/representations.py"),
        figure="config/figures/{figure}.yaml",
        dataset="<build>/dataset.h5",
        runs=figure_folders,
        encoder=figure_encoder_input,
    output:
        report(
            "<results>/{figure}.png", caption="../report/representations.rst", category=paper_of_figure, labels=shown_figure
        ),
    params:
        runs=runs_root,
        seed=SEEDS[0],
        encoder=figure_encoder,
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<build>/run_times/representations/{figure}.tsv"
    threads: 1
    resources:
        **NEEDS["representations"],
    shell:
        "python -m pipeline.results.representations --figure {input.figure:q} --runs {params.runs:q} --seed {params.seed}"
        " --dataset {input.dataset:q} {params.encoder:q} --output {output:q} > {log:q} 2>&1"


rule curves:
    """Drawing the training of {wildcards.run}"""
    input:
        script="pipeline/results/curves.py",
        modules=code_of("pipeline/results/curves.py"),
        runs=expand("<build>/runs/{{run}}/{seed}", seed=SEEDS),
    output:
        report(
            "<results>/curves/{run}.png",
            caption="../report/curves.rst",
            category="Training",
            labels={"result": "{run}"},
        ),
    params:
        runs=runs_root,
        seeds=SEEDS,
        corpus=config["corpus"],
    log:
        "<logs>/curves/{run}.log",
    benchmark:
        "<build>/run_times/curves/{run}.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.curves --runs {params.runs:q} --run {wildcards.run} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --output {output:q} > {log:q} 2>&1"


# What `all` makes of this corpus. Tables 1 and 3 and Figure 2 of CH-SIMS are for labels in [-1, 1].
RESULTS = [f"<results>/{name}.csv" for name in TABLES_OF_CORPUS] + ["<results>/significance.csv", "<results>/quality.csv"]
RESULTS += [
    f"<results>/{name}.png"
    for name, figure in FIGURES.items()
    if all(can_be_trained(panel["run"]) for panel in figure["panels"])
]
if all(map(can_be_trained, UNIMODAL_SYSTEMS)):
    RESULTS += ["<results>/unimodal.csv"]
if list(config["label_range"]) == [-1, 1]:
    RESULTS += ["<results>/sims_table1.csv"]
RESULTS += ["<results>/robustness.csv"]
RESULTS += [f"<results>/curves/{run}.png" for run in sorted({run for name in TABLES_OF_CORPUS for run in table_runs(name)})]
