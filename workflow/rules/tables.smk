# REQUIRED INPUTS: the run folders; for some also <build>/dataset.h5 and the clips. OUTPUTS: the tables in <results>.
from pipeline.results.table_file import read_table_file

try:
    TABLES = {
        path.stem: read_table_file(path) for path in sorted(Path("config/tables").glob("*.yaml"))
    }
except UserError as error:
    raise WorkflowError(str(error))

UNIMODAL_SYSTEMS = ["unimodal_text", "unimodal_audio", "unimodal_vision"]

# Runs that learn labels which this corpus has not: the tables do without them and say so.
WITHOUT = {name: [run for run in table.runs if not can_be_trained(run)] for name, table in TABLES.items()}
# What `all` makes of this corpus.
TABLES_OF_CORPUS = [
    name for name, table in TABLES.items() if table.suits(config["label_range"]) and len(WITHOUT[name]) < len(table.runs)
]


def table_runs(table):
    """The runs of a table; all of them if none can be trained, so that they are refused by name."""
    runs = TABLES[table].runs
    return [run for run in runs if run not in WITHOUT[table]] or runs


def runs_of_table(wildcards):
    return expand("<build>/runs/{run}/{seed}", run=table_runs(wildcards.table), seed=SEEDS)


def without(table):
    """The option, not its value alone: no value at all would be none of a run."""
    return ["--without", *WITHOUT[table]] if WITHOUT[table] else []


def without_of_table(wildcards):
    return without(wildcards.table)


def paper(name):
    """Under which heading of the report a table or figure stands."""
    papers = {"sims": "CH-SIMS", "sfttr": "SFTTR", "selfmm": "Report on Self-MM"}
    return papers.get(name.split("_")[0], "All systems")


def paper_of_table(wildcards):
    return paper(wildcards.table)


def shown_table(kind):
    """How the report calls a table. One label: of two it may make a switch, where the second has two values."""

    def label(wildcards):
        table = TABLES[wildcards.table]
        return {"result": f"{table.caption} ({kind}). {table.source}"}

    return label


wildcard_constraints:
    table="|".join(TABLES),


rule table:
    """Writing {wildcards.table}"""
    input:
        script="pipeline/results/table.py",
        modules=code_of("pipeline/results/table.py"),
        table="config/tables/{table}.yaml",
        quality="<results>/quality.csv",  # nobody shall have a table without the list of faulty clips
        runs=runs_of_table,
    output:
        table=report(
            "<results>/{table}.csv", caption="../report/table.rst", category=paper_of_table, labels=shown_table("table")
        ),
        markdown="<results>/{table}.md",
        figure=report(
            "<results>/{table}.png", caption="../report/table.rst", category=paper_of_table, labels=shown_table("chart")
        ),
    params:
        runs=runs_root,
        without=without_of_table,
        seeds=SEEDS,
        corpus=config["corpus"],
        label_range=config["label_range"],
        provenance=FINGERPRINT,
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<build>/run_times/table/{table}.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.table --table {input.table:q} --runs {params.runs:q} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --label-range {params.label_range} {params.without}"
        " --provenance {params.provenance} --output {output.table:q} --markdown {output.markdown:q} --figure {output.figure:q} > {log:q} 2>&1"


rule significance:
    """Comparing every two systems"""
    input:
        script="pipeline/results/significance.py",
        modules=code_of("pipeline/results/significance.py"),
        table="config/tables/systems.yaml",
        runs=expand("<build>/runs/{run}/{seed}", run=table_runs("systems"), seed=SEEDS),
    output:
        report(
            "<results>/significance.csv",
            caption="../report/significance.rst",
            category="All systems",
            labels={"result": "Every two systems compared (table). Paired bootstrap"},
        ),
    params:
        runs=runs_root,
        without=without("systems"),
        seeds=SEEDS,
        corpus=config["corpus"],
        label_range=config["label_range"],
        provenance=FINGERPRINT,
    log:
        "<logs>/tables/significance.log",
    benchmark:
        "<build>/run_times/significance/significance.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.significance --table {input.table:q} --runs {params.runs:q} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --label-range {params.label_range} {params.without} --provenance {params.provenance}"
        " --output {output:q} > {log:q} 2>&1"


rule unimodal:
    """Writing what text, audio and vision alone can tell"""
    input:
        script="pipeline/results/unimodal.py",
        modules=code_of("pipeline/results/unimodal.py"),
        runs=expand("<build>/runs/{run}/{seed}", run=UNIMODAL_SYSTEMS, seed=SEEDS),
    output:
        report(
            "<results>/unimodal.csv",
            caption="../report/unimodal.rst",
            category="All systems",
            labels={"result": "What one modality tells of each label (table)"},
        ),
    params:
        runs=runs_root,
        seeds=SEEDS,
        provenance=FINGERPRINT,
    log:
        "<logs>/tables/unimodal.log",
    benchmark:
        "<build>/run_times/unimodal/unimodal.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.unimodal --runs {params.runs:q} --seeds {params.seeds} --provenance {params.provenance}"
        " --output {output:q} > {log:q} 2>&1"
