# REQUIRED INPUTS: <build>/clips/<video_id>, the texts of the manifest. OUTPUTS: <build>/features/{text,audio,vision}/<video_id>.h5.
# `modules`: what the script imports, see code_of, and what decides how it is kept.

STORE = "pipeline/base/store.py"
# What the face is measured with, beside the networks of the wheels.
FACE_MODELS = ["features/action_units.yaml", *(path.as_posix() for path in sorted(Path("features").glob("*.npz")))]

rule text:
    """Extracting text features of {wildcards.video_id}"""
    input:
        script="pipeline/text.py",
        modules=[STORE, *code_of("pipeline/text.py")],
        manifest=ancient(manifest_of),
        encoder=encoder_input,
    output:
        "<build>/features/text/{video_id}.h5",
    params:
        rows=texts_of,
        encoder=encoder_name,
        text=config["text"],
    log:
        "<logs>/text/{video_id}.log",
    benchmark:
        "<build>/run_times/text/{video_id}.tsv"
    threads: 1
    resources:
        **NEEDS["text"],
    shell:
        "python -m pipeline.text --manifest {input.manifest:q} --video-id={wildcards.video_id:q} --encoder {params.encoder:q}"
        " --batch-size {params.text[batch_size]} --precision {params.text[precision]} --output {output:q} > {log:q} 2>&1"


rule audio:
    """Extracting audio features of {wildcards.video_id}"""
    input:
        script="pipeline/audio.py",
        modules=[STORE, *code_of("pipeline/audio.py")],
        clips="<build>/clips/{video_id}",
    output:
        "<build>/features/audio/{video_id}.h5",
    params:
        audio=config["audio"],
    log:
        "<logs>/audio/{video_id}.log",
    benchmark:
        "<build>/run_times/audio/{video_id}.tsv"
    threads: 1
    resources:
        **NEEDS["audio"],
    shell:
        "python -m pipeline.audio --clips {input.clips:q} --first {params.audio[first]} --f0 {params.audio[f0]}"
        " --f0-min {params.audio[f0_min]} --f0-max {params.audio[f0_max]} --code {input.script:q} {input.modules:q} --output {output:q} > {log:q} 2>&1"


SOURCE = config["vision"]["source"]
OPENFACE = config["vision"].get("folder")
if (SOURCE == "openface_csv") != bool(OPENFACE):
    raise WorkflowError("config: vision: `source: openface_csv` and `folder` need each other")
if OPENFACE and not Path(OPENFACE).is_dir():
    raise WorkflowError(f"config: vision: folder: no such folder '{OPENFACE}'; correct it or put OpenFace's files there")

if SOURCE == "openface_csv":

    def openface_files(wildcards):
        """The files that there are; a clip without one is flagged."""
        clip_ids = ROWS[wildcards.video_id]["clip_id"]
        files = [Path(OPENFACE) / wildcards.video_id / f"{clip_id}.csv" for clip_id in clip_ids]
        return [str(file) for file in files if file.is_file()]

    def openface_folder(wildcards):
        return Path(OPENFACE) / wildcards.video_id

    def openface_stamps(wildcards):
        return stamps_of(openface_files(wildcards))

    def clip_times_of(wildcards):
        return rows_of(wildcards.video_id, "clip_id", "start", "end")

    rule vision:
        """Reading OpenFace's files of {wildcards.video_id}"""
        input:
            script="pipeline/openface_source.py",
            modules=[STORE, *code_of("pipeline/openface_source.py")],
            manifest=ancient(manifest_of),
        output:
            "<build>/features/vision/{video_id}.h5",
        params:
            rows=clip_times_of,
            files=openface_stamps,
            folder=openface_folder,
        log:
            "<logs>/vision/{video_id}.log",
        benchmark:
            "<build>/run_times/vision/{video_id}.tsv"
        threads: 1
        resources:
            **NEEDS["vision"],
        shell:
            "python -m pipeline.openface_source --manifest {input.manifest:q} --video-id={wildcards.video_id:q}"
            " --csv {params.folder:q} --output {output:q} 2>&1 | tee {log:q}"

elif SOURCE in ("py_feat", "py_feat_v1"):

    rule vision:
        """Extracting facial features of {wildcards.video_id} with py-feat"""
        input:
            script="pipeline/vision_py_feat.py",
            modules=[STORE, *code_of("pipeline/vision_py_feat.py")],
            data=["features/landmarks_68.npz", "features/shape_model.npz"],
            clips="<build>/clips/{video_id}",
        output:
            "<build>/features/vision/{video_id}.h5",
        params:
            detector="v1" if SOURCE == "py_feat_v1" else "v2",
            minimum_confidence=config["vision"]["minimum_confidence"],
        log:
            "<logs>/vision/{video_id}.log",
        benchmark:
            "<build>/run_times/vision/{video_id}.tsv"
        threads: 1
        resources:
            **NEEDS["vision"],
        shell:
            "python -m pipeline.vision_py_feat --clips {input.clips:q} --detector {params.detector}"
            " --minimum-confidence {params.minimum_confidence} --output {output:q} 2>&1 | tee {log:q}"

else:

    rule vision:
        """Extracting facial features of {wildcards.video_id}"""
        input:
            script="pipeline/vision.py",
            modules=[STORE, *code_of("pipeline/vision.py")],
            data=FACE_MODELS,
            clips="<build>/clips/{video_id}",
        output:
            "<build>/features/vision/{video_id}.h5",
        params:
            vision=config["vision"],
            focal_length=f"--focal-length {config['vision']['focal_length']}" if config["vision"]["focal_length"] else "",
        log:
            "<logs>/vision/{video_id}.log",
        benchmark:
            "<build>/run_times/vision/{video_id}.tsv"
        threads: 1
        resources:
            **NEEDS["vision"],
        shell:
            "python -m pipeline.vision --clips {input.clips:q} --coordinates {params.vision[coordinates]}"
            " --minimum-confidence {params.vision[minimum_confidence]} --baseline {params.vision[baseline]}"
            " --faces {params.vision[faces]} {params.focal_length} --code {input.script:q} {input.modules:q} {input.data:q}"
            " --output {output:q} 2>&1 | tee {log:q}"


rule openface_csv:
    """Giving the facial features of {wildcards.video_id} as OpenFace's CSV files"""
    input:
        script="pipeline/openface_csv.py",
        features="<build>/features/vision/{video_id}.h5",
    output:
        directory("<results>/openface_csv/{video_id}"),
    log:
        "<logs>/openface_csv/{video_id}.log",
    threads: 1
    resources:
        **NEEDS["openface_csv"],
    shell:
        "python -m pipeline.openface_csv --features {input.features:q} --output {output:q} > {log:q} 2>&1"
