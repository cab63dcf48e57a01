# REQUIRED INPUTS: <build>/clips/<video_id>, the texts of the manifest. OUTPUTS: <build>/features/{text,audio,vision}/<video_id>.h5.
# `modules`: what the script imports, see code_of.

rule text:
    """Extracting text features of {wildcards.video_id}"""
    input:
        script="pipeline/text.py",
        modules=code_of("pipeline/text.py"),
        manifest=ancient(config["manifest"]),
        encoder=encoder_input,
    output:
        "<build>/features/text/{video_id}.h5",
    params:
        rows=texts_of,
        encoder=encoder_name,
        batch_size=config["text"]["batch_size"],
    log:
        "<logs>/text/{video_id}.log",
    shell:
        "python -m pipeline.text --manifest {input.manifest:q} --video-id {wildcards.video_id:q} --encoder {params.encoder:q}"
        " --batch-size {params.batch_size} --output {output:q} > {log:q} 2>&1"


rule audio:
    """Extracting audio features of {wildcards.video_id}"""
    input:
        script="pipeline/audio.py",
        modules=code_of("pipeline/audio.py"),
        clips="<build>/clips/{video_id}",
    output:
        "<build>/features/audio/{video_id}.h5",
    params:
        audio=config["audio"],
    log:
        "<logs>/audio/{video_id}.log",
    shell:
        "python -m pipeline.audio --clips {input.clips:q} --first {params.audio[first]} --f0-min {params.audio[f0_min]}"
        " --f0-max {params.audio[f0_max]} --output {output:q} > {log:q} 2>&1"


rule vision:
    """Extracting facial features of {wildcards.video_id}"""
    input:
        script="pipeline/vision.py",
        modules=code_of("pipeline/vision.py"),
        data=["features/action_units.yaml", "features/shape_model.npz"],
        clips="<build>/clips/{video_id}",
    output:
        "<build>/features/vision/{video_id}.h5",
    params:
        vision=config["vision"],
    log:
        "<logs>/vision/{video_id}.log",
    shell:
        "python -m pipeline.vision --clips {input.clips:q} --coordinates {params.vision[coordinates]}"
        " --minimum-confidence {params.vision[minimum_confidence]} --output {output:q} 2>&1 | tee {log:q}"


rule openface_csv:
    """Giving the facial features of {wildcards.video_id} as OpenFace's CSV files"""
    input:
        script="pipeline/openface_csv.py",
        features="<build>/features/vision/{video_id}.h5",
    output:
        directory("<results>/openface_csv/{video_id}"),
    log:
        "<logs>/openface_csv/{video_id}.log",
    shell:
        "python -m pipeline.openface_csv --features {input.features:q} --output {output:q} > {log:q} 2>&1"
