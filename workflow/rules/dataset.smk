# REQUIRED INPUTS: the feature files of all videos, the manifest. OUTPUTS: <build>/dataset.h5.

rule dataset:
    """Joining all clips into one data set"""
    input:
        script="pipeline/dataset.py",
        modules=[STORE, *code_of("pipeline/dataset.py")],
        manifest=ancient(manifest_of_all),
        clips=expand("<build>/clips/{video_id}", video_id=VIDEOS),
        features=expand(
            "<build>/features/{modality}/{video_id}.h5", modality=["text", "audio", "vision"], video_id=VIDEOS
        ),
    output:
        "<build>/dataset.h5",
    params:
        rows=rows_of_all,
        corpus=config["corpus"],
        label_range=config["label_range"],
        pooling=config["dataset"]["vision_pooling"],
        clips=clips_root,
        features=features_root,
    log:
        "<logs>/dataset.log",
    benchmark:
        "<build>/run_times/dataset/dataset.tsv"
    threads: 1
    resources:
        **NEEDS["dataset"],
    shell:
        "python -m pipeline.dataset --manifest {input.manifest:q} --clips {params.clips:q} --features {params.features:q}"
        " --corpus {params.corpus:q} --label-range {params.label_range} --vision-pooling {params.pooling}"
        " --output {output:q} > {log:q} 2>&1"
