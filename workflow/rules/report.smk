# REQUIRED INPUTS: all that `all` makes. OUTPUTS: what the report says beside it, <results>/run_times.csv and
# provenance.json. They tell of the machine, so they are no part of `all`, whose files are the same everywhere.

def run_times_root(wildcards, input):
    return Path(input.dataset).parent / "run_times"


rule run_times:
    """Summing up what each rule took"""
    input:
        script="pipeline/results/run_times.py",
        dataset="<build>/dataset.h5",
        results=RESULTS,
    output:
        report(
            "<results>/run_times.csv",
            caption="../report/run_times.rst",
            category="How it was made",
            labels={"result": "Time and memory of each rule (table)"},
        ),
    params:
        folder=run_times_root,
    log:
        "<logs>/run_times.log",
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.results.run_times --folder {params.folder:q} --output {output:q} > {log:q} 2>&1"


rule provenance:
    """Writing down what made the results"""
    input:
        script="pipeline/provenance.py",
        dataset="<build>/dataset.h5",
        results=RESULTS,
    output:
        report(
            "<results>/provenance.json",
            caption="../report/provenance.rst",
            category="How it was made",
            labels={"result": "Versions, configuration, digests (table)"},
        ),
    params:
        config=json.dumps(config, sort_keys=True, ensure_ascii=False),
        manifest=["--manifest", config["manifest"]] if "manifest" in config else [],
        fingerprint=FINGERPRINT,
    log:
        "<logs>/provenance.log",
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.provenance write --config {params.config:q} {params.manifest:q} --dataset {input.dataset:q}"
        " --fingerprint {params.fingerprint} --output {output:q} > {log:q} 2>&1"


rule report:
    """All that the report shows"""
    input:
        RESULTS,
        "<results>/run_times.csv",
        "<results>/provenance.json",
