# REQUIRED INPUTS: the raw videos of the manifest. OUTPUTS: <build>/clips/<video_id>/{clips.csv, <clip_id>.mp4, <clip_id>.wav}.
# The user's own files are no `input` but in `params` (own_stamps): Snakemake trusts the times of an input.

rule clips:
    """Cutting the clips of {wildcards.video_id}"""
    input:
        script=["pipeline/clips.py", "pipeline/sources/cut.py", "pipeline/sources/source.py"],
        manifest=ancient(manifest_of),
        made=made_videos,
    output:
        directory("<build>/clips/{video_id}"),
    params:
        rows=cut_of,
        videos=own_stamps,
        audio_track=f"--audio-track {config['clips']['audio_track']}" if config["clips"]["audio_track"] else "",
    log:
        "<logs>/clips/{video_id}.log",
    benchmark:
        "<build>/run_times/clips/{video_id}.tsv"
    threads: 1
    resources:
        **NEEDS["clips"],
    shell:
        "python -m pipeline.clips --manifest {input.manifest:q} --video-id={wildcards.video_id:q}"
        " {params.audio_track} --code {input.script:q} --output {output:q} > {log:q} 2>&1"
