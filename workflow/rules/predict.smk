# REQUIRED INPUTS: run folders of a system and <build>/dataset.h5; features of the new clips (`--config predict=new.csv`).
# OUTPUTS: <build>/models/<run>.model, the system in a folder that is complete in itself; <results>/predictions.csv, and
# <results>/predictions/index.html, a page with the reasons.

PREDICTOR = code_of("pipeline/predictions.py")


def packed_runs(wildcards):
    return expand("<build>/runs/{run}/{seed}", run=wildcards.run, seed=SEEDS)


def folder_of_runs(wildcards, input):
    return Path(input.runs[0]).parent


def video_clips_root(wildcards, input):
    return Path(input.clips).parent


def new_clips(wildcards):
    if not PREDICT:
        raise WorkflowError("predictions: give the new clips, `--config predict=new.csv`")
    return PREDICT


def new_rows(wildcards):
    """What the predictions depend on of the manifest of the new clips."""
    return NEW_ROWS[["video_id", "clip_id", "start", "end", "text"]].to_csv(index=False)


def predict_encoder_input(wildcards):
    return encoder_input(wildcards) if fine_tunes(config["predict_run"]) else []


def predict_encoder(wildcards, input):
    return ["--encoder", encoder_name(wildcards, input)] if fine_tunes(config["predict_run"]) else []


rule pack:
    """Packing {wildcards.run}"""
    input:
        script="pipeline/pack.py",
        modules=code_of("pipeline/pack.py"),
        runs=packed_runs,
        dataset="<build>/dataset.h5",
    output:
        directory("<build>/models/{run}.model"),
    params:
        seeds=SEEDS,
        folder=folder_of_runs,
    log:
        "<logs>/pack/{run}.log",
    threads: 1
    resources:
        **NEEDS["pack"],
    shell:
        "python -m pipeline.pack {params.folder:q} --dataset {input.dataset:q} --seeds {params.seeds} --output {output:q}"
        " > {log:q} 2>&1"


rule predictions:
    """Predicting the new clips"""
    input:
        script="pipeline/predictions.py",
        modules=PREDICTOR,
        manifest=ancient(new_clips),
        clips=expand("<build>/clips/{video_id}", video_id=NEW_VIDEOS),
        features=expand(
            "<build>/features/{modality}/{video_id}.h5", modality=["text", "audio", "vision"], video_id=NEW_VIDEOS
        ),
        model=f"<build>/models/{config['predict_run']}.model",
        encoder=predict_encoder_input,
    output:
        "<results>/predictions.csv",
    params:
        rows=new_rows if PREDICT else "",
        clips=clips_root,
        features=features_root,
        encoder=predict_encoder,
    log:
        "<logs>/predictions.log",
    threads: 1
    resources:
        **NEEDS["predictions"],
    shell:
        "python -m pipeline.predictions --manifest {input.manifest:q} --clips {params.clips:q} --features {params.features:q}"
        " --model {input.model:q} {params.encoder:q} --output {output:q} > {log:q} 2>&1"


rule explain:
    """Finding reasons for the predictions of {wildcards.video_id}"""
    input:
        script="pipeline/explain.py",
        modules=code_of("pipeline/explain.py"),
        manifest=ancient(new_clips),
        clips="<build>/clips/{video_id}",
        features=expand("<build>/features/{modality}/{{video_id}}.h5", modality=["text", "audio", "vision"]),
        model=f"<build>/models/{config['predict_run']}.model",
        encoder=encoder_input,
    output:
        directory("<results>/predictions/videos/{video_id}"),
    params:
        rows=texts_of,
        clips=video_clips_root,
        features=features_root,
        encoder=encoder_name,
    log:
        "<logs>/explain/{video_id}.log",
    threads: 1
    resources:
        **NEEDS["explain"],
    shell:
        "python -m pipeline.explain --manifest {input.manifest:q} --video-id={wildcards.video_id:q} --clips {params.clips:q}"
        " --features {params.features:q} --model {input.model:q} --encoder {params.encoder:q} --output {output:q}"
        " > {log:q} 2>&1"


rule predictions_page:
    """Writing the page of predictions"""
    input:
        script="pipeline/pages/predictions_page.py",
        page=PAGE,
        predictions="<results>/predictions.csv",
        model=f"<build>/models/{config['predict_run']}.model",
        videos=expand("<results>/predictions/videos/{video_id}", video_id=NEW_VIDEOS),
    output:
        "<results>/predictions/index.html",
    log:
        "<logs>/predictions_page.log",
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.pages.predictions_page --predictions {input.predictions:q} --model {input.model:q} --output {output:q}"
        " > {log:q} 2>&1"
