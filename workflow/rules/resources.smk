# What the rules ask of a machine, measured (<build>/run_times, `benchmark:`) and with half as much again: memory in MB and time in
# minutes, more at each new attempt; GPUs only where the configuration says `gpu: 1`. Locally nothing of it binds unless you
# say what there is, as in `snakemake --cores 16 --resources mem_mb=60000 gpu=4`; on a cluster each job asks for it
# (profiles/README.md).

from functools import cache

GPU = {"gpu": config["gpu"]} if config["gpu"] else {}


def needs(memory, minutes=10, per_megabyte=0.0, minutes_per_megabyte=0.0, gpu=None):
    """Resources of a rule: a base, and more per MB of its input files."""

    def mem_mb(wildcards, input, attempt):
        return int(1.5 * (memory + per_megabyte * input.size_mb) * attempt)

    def runtime(wildcards, input, attempt):
        return int((minutes + minutes_per_megabyte * input.size_mb) * attempt)

    return {"mem_mb": mem_mb, "runtime": runtime, **(gpu or {})}


def needs_of_video(memory, per_minute=0.0, minutes=10, minutes_per_minute=0.0, gpu=None):
    """Resources of a job on the clips of one video: a base, and more per minute of them."""

    def mem_mb(wildcards, attempt):
        return int(1.5 * (memory + per_minute * minutes_of(wildcards.video_id)) * attempt)

    def runtime(wildcards, attempt):
        return int((minutes + minutes_per_minute * minutes_of(wildcards.video_id)) * attempt)

    return {"mem_mb": mem_mb, "runtime": runtime, **(gpu or {})}


@cache
def minutes_of(video_id):
    """How long the clips of a video are in all; of a file that is one clip a MB is taken for ten seconds."""
    rows = ROWS[video_id]
    whole = [os.path.getsize(path) for path in rows.loc[rows["start"].isna(), "path"] if os.path.isfile(path)]
    return ((rows["end"] - rows["start"]).sum() + sum(whole) / 1e5) / 60


NEEDS = {
    # Per video. Pictures of 8K take 870 MB to cut; a face is followed at 55 frames a second of one core.
    "demo_video": needs(400, minutes=20),
    "clips": needs_of_video(600, minutes_per_minute=1),
    "audio": needs_of_video(500, per_minute=4, minutes_per_minute=0.5),
    "vision": needs_of_video(1200, per_minute=32, minutes_per_minute=2),
    "text": needs_of_video(2000, minutes_per_minute=0.5, gpu=GPU),
    "openface_csv": needs(500, per_megabyte=4),
    "qc_video": needs(500, per_megabyte=4),
    # Once. Of a data set up to 1 GB of frames is in memory, and what a system makes of them; a larger one is read by batches.
    "encoder": needs(2400),
    "dataset": needs(500, minutes_per_megabyte=0.02),
    "import_pickle": needs(500, per_megabyte=3, minutes_per_megabyte=0.02),
    "export_pickle": needs(500, per_megabyte=3, minutes_per_megabyte=0.02),
    "train": needs(6000, minutes=60, minutes_per_megabyte=2, gpu=GPU),
    "trial": needs(6000, minutes=60, minutes_per_megabyte=2, gpu=GPU),
    "robustness": needs(5000, minutes=30, minutes_per_megabyte=0.2),
    "representations": needs(3500, minutes=30, minutes_per_megabyte=0.2),
    "predictions": needs(5000, minutes=30, minutes_per_megabyte=0.2),
    "explain": needs(5000, minutes=60, minutes_per_megabyte=0.5),
    "pack": needs(1000, per_megabyte=3),
    "corpus_tables": needs(800, per_megabyte=2),
}
SMALL = needs(700, per_megabyte=1)  # tables, figures and pages
