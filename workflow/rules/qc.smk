# REQUIRED INPUTS: the clips, their features, the manifest, <results>/quality.csv.
# OUTPUTS: <results>/qc/index.html, and what it shows of each video, <results>/qc/videos/<video_id>.

PAGE = ["pipeline/pages/page.py", *sorted(map(str, Path("pipeline/pages/page_parts").iterdir()))]


def qc_videos_root(wildcards, output):
    return Path(output[0]).parent / "videos"


rule qc_video:
    """Drawing {wildcards.video_id} for the quality page"""
    input:
        script="pipeline/pages/qc_video.py",
        modules=code_of("pipeline/pages/qc_video.py"),
        clips="<build>/clips/{video_id}",
        features=["<build>/features/audio/{video_id}.h5", "<build>/features/vision/{video_id}.h5"],
    output:
        directory("<results>/qc/videos/{video_id}"),
    params:
        features=features_root,
    log:
        "<logs>/qc/{video_id}.log",
    benchmark:
        "<build>/run_times/qc_video/{video_id}.tsv"
    threads: 1
    resources:
        **NEEDS["qc_video"],
    shell:
        "python -m pipeline.pages.qc_video --clips {input.clips:q} --features {params.features:q} --output {output:q} > {log:q} 2>&1"


rule qc:
    """Writing the quality page"""
    input:
        script="pipeline/pages/qc.py",
        page=PAGE,
        manifest=ancient(manifest_of_all),
        quality="<results>/quality.csv",
        videos=expand("<results>/qc/videos/{video_id}", video_id=VIDEOS),
    output:
        "<results>/qc/index.html",
    params:
        videos=qc_videos_root,
        rows=rows_of_all,
        corpus=config["corpus"],
    log:
        "<logs>/qc.log",
    benchmark:
        "<build>/run_times/qc/qc.tsv"
    threads: 1
    resources:
        **SMALL,
    shell:
        "python -m pipeline.pages.qc --manifest {input.manifest:q} --quality {input.quality:q} --videos {params.videos:q}"
        " --corpus {params.corpus:q} --output {output:q} > {log:q} 2>&1"


RESULTS += ["<results>/qc/index.html"]
