# REQUIRED INPUTS: none. OUTPUTS: <demo folder>/<video_id>.mp4 and its ground truth, if the config has a `demo` part.

if DEMO:

    rule demo_video:
        """Making the raw video {wildcards.video_id} of the synthetic demo corpus"""
        input:
            script="demo/video.py",
            modules=code_of("demo/video.py"),
            data="demo/lexicon.yaml",
        output:
            video=f"{DEMO['folder']}/{{video_id}}.mp4",
            truth=f"{DEMO['folder']}/{{video_id}}.truth.npz",
        params:
            demo=DEMO,
        log:
            "<logs>/demo/{video_id}.log",
        benchmark:
            "<build>/run_times/demo_video/{video_id}.tsv"
        threads: 1
        resources:
            **NEEDS["demo_video"],
        shell:
            "python -m demo.video --videos {params.demo[videos]} --clips {params.demo[clips]} --seed {params.demo[seed]}"
            " --video-id={wildcards.video_id:q} --output {output.video:q} 2>&1 | tee {log:q}"
