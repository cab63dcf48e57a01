# REQUIRED INPUTS: <build>/dataset.h5, config/search/<run>.yaml. OUTPUTS: <build>/trials/<run>/<trial>/<seed>/,
# <results>/tuned/<run>.{yaml,csv}. Every trial is a job of its own: finished ones are kept, missing ones go on.
from pipeline.tune import chosen_trials, read_search, trial_values

TUNING = config["tuning"]


def search_of(run):
    try:
        return read_search(f"config/search/{run}.yaml")
    except (OSError, ValueError) as error:
        raise WorkflowError(f"no search for '{run}': {error}")


def trial_override(wildcards):
    """The run's own override and on top of it the values of the trial, as JSON: only a trial of other values runs again."""
    values = trial_values(search_of(wildcards.run), int(wildcards.trial))
    return json.dumps(json.loads(run_override(wildcards)) | values, sort_keys=True)


def trials_of(wildcards):
    return chosen_trials(wildcards.run, search_of(wildcards.run), TUNING["method"], TUNING["trials"])


def trial_folders(wildcards):
    return expand("<build>/trials/{run}/{trial}/{seed}", run=wildcards.run, trial=trials_of(wildcards), seed=TUNING["seeds"])


def trials_root(wildcards, input):
    return Path(input.trials[0]).parent.parent


wildcard_constraints:
    trial=r"\d+",


rule trial:
    """Trying combination {wildcards.trial} of {wildcards.run}"""
    input:
        script="pipeline/train.py",
        modules=TRAINING_MODULES,
        model=model_code,
        dataset="<build>/dataset.h5",
        config=run_config,
        encoder=run_encoder_input,
    output:
        [directory(f"<build>/trials/{{run}}/{{trial}}/{seed}") for seed in TUNING["seeds"]],
    params:
        system=run_system,
        override=trial_override,
        encoder=run_encoder,
        seeds=TUNING["seeds"],
        folder=run_folder,
    threads: 1
    log:
        "<logs>/trials/{run}/{trial}.log",
    resources:
        **NEEDS["trial"],
    shell:
        "python -m pipeline.train --dataset {input.dataset:q} --system {params.system} --config {input.config:q}"
        " --override {params.override:q} {params.encoder:q} --seeds {params.seeds} --processes {threads}"
        " --validation-only --output {params.folder:q} > {log:q} 2>&1"
        " && rm {params.folder:q}/*/model.safetensors"  # nobody reads the weights of a trial


rule tuned:
    """Ranking the trials of {wildcards.run}"""
    input:
        script="pipeline/tune.py",
        modules=code_of("pipeline/tune.py"),
        search="config/search/{run}.yaml",
        trials=trial_folders,
    output:
        best="<results>/tuned/{run}.yaml",
        ranking="<results>/tuned/{run}.csv",
    params:
        folder=trials_root,
        trials=trials_of,
        seeds=TUNING["seeds"],
        corpus=config["corpus"],
    log:
        "<logs>/tuned/{run}.log",
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.tune --search {input.search:q} --folder {params.folder:q} --trials {params.trials}"
        " --seeds {params.seeds} --corpus {params.corpus:q} --output {output.best:q} --ranking {output.ranking:q}"
        " > {log:q} 2>&1"
