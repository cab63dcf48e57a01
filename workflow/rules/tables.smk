# REQUIRED INPUTS: the run folders; for some also <build>/dataset.h5 and the clips. OUTPUTS: the tables in <results>.
from pipeline.table_file import read_table_file

try:
    TABLES = {
        path.stem: read_table_file(path).for_labels(config["label_range"])
        for path in sorted(Path("config/tables").glob("*.yaml"))
    }
except ValueError as error:
    raise WorkflowError(str(error))

UNIMODAL_SYSTEMS = ["unimodal_text", "unimodal_audio", "unimodal_vision"]

# What `all` makes of this corpus.
TABLES_OF_CORPUS = [name for name, table in TABLES.items() if table.suits(config["label_range"])]


def runs_of_table(wildcards):
    return expand("<build>/runs/{run}/{seed}", run=TABLES[wildcards.table].runs, seed=config["seeds"])


wildcard_constraints:
    table="|".join(TABLES),


rule table:
    """Writing {wildcards.table}"""
    input:
        script="pipeline/table.py",
        modules=["pipeline/table_file.py", "pipeline/runs.py", *code_of("pipeline/table.py")],
        table="config/tables/{table}.yaml",
        quality="<results>/quality.csv",  # nobody shall have a table without the list of faulty clips
        runs=runs_of_table,
    output:
        table="<results>/{table}.csv",
        markdown="<results>/{table}.md",
        figure="<results>/{table}.png",
    params:
        runs=runs_root,
        seeds=config["seeds"],
        corpus=config["corpus"],
        label_range=config["label_range"],
    log:
        "<logs>/tables/{table}.log",
    shell:
        "python -m pipeline.table --table {input.table:q} --runs {params.runs:q} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --label-range {params.label_range}"
        " --output {output.table:q} --markdown {output.markdown:q} --figure {output.figure:q} > {log:q} 2>&1"


rule significance:
    """Comparing every two systems"""
    input:
        script="pipeline/significance.py",
        modules=["pipeline/table_file.py", "pipeline/runs.py", *code_of("pipeline/significance.py")],
        table="config/tables/systems.yaml",
        runs=expand("<build>/runs/{run}/{seed}", run=TABLES["systems"].runs, seed=config["seeds"]),
    output:
        "<results>/significance.csv",
    params:
        runs=runs_root,
        seeds=config["seeds"],
        corpus=config["corpus"],
        label_range=config["label_range"],
    log:
        "<logs>/tables/significance.log",
    shell:
        "python -m pipeline.significance --table {input.table:q} --runs {params.runs:q} --seeds {params.seeds}"
        " --corpus {params.corpus:q} --label-range {params.label_range} --output {output:q} > {log:q} 2>&1"


rule unimodal:
    """Writing what text, audio and vision alone can tell"""
    input:
        script="pipeline/unimodal.py",
        modules=["pipeline/runs.py", *code_of("pipeline/unimodal.py")],
        runs=expand("<build>/runs/{run}/{seed}", run=UNIMODAL_SYSTEMS, seed=config["seeds"]),
    output:
        "<results>/unimodal.csv",
    params:
        runs=runs_root,
        seeds=config["seeds"],
    log:
        "<logs>/tables/unimodal.log",
    shell:
        "python -m pipeline.unimodal --runs {params.runs:q} --seeds {params.seeds} --output {output:q} > {log:q} 2>&1"
