import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

import demo.sentences
from demo.animation import FRAME_RATE, animate, lip_curves, phoneme_visemes
from demo.labels import LABELS
from demo.mesh import unit_names
from demo.plan import LEAD, MANIFEST_COLUMNS, plan_corpus, write_manifest
from demo.speech import SAMPLE_RATE, Prosody, speak
from demo.video import frame_count, mix_sound, render_frames, render_video, select_video, speaker_head

ROOT = Path(demo.sentences.__file__).parent.parent
PROSODY = Prosody("cmn+f2", pitch=50, pitch_range=50, rate=250, level=-25.0)


@pytest.fixture(scope="module")
def plans():
    return plan_corpus(12, 20, seed=1)


@pytest.fixture(scope="module")
def video(plans):
    """Clips, speech and animation of one video."""
    clips = select_video(plans, "video_0003")
    speech = [speak(clip.text, clip.prosody) for clip in clips]
    return clips, speech, animate(clips, speech, frame_count(clips))


@pytest.mark.parametrize(
    "name, folder, videos, clips",
    [("data_manifest.csv", "data/demo", 12, 20), ("config/ci_manifest.csv", "data/ci", 3, 4)],
)
def test_committed_manifest_is_the_planned_one(name, folder, videos, clips, tmp_path):
    write_manifest(plan_corpus(videos, clips, seed=1), folder, tmp_path / "manifest.csv")
    planned, committed = (
        pd.read_csv(path, dtype={"video_id": str, "clip_id": str}) for path in (tmp_path / "manifest.csv", ROOT / name)
    )
    committed = committed[committed["path"].str.startswith(folder + "/")].reset_index(drop=True)
    assert list(planned.columns) == list(MANIFEST_COLUMNS)
    pd.testing.assert_frame_equal(planned, committed, rtol=0, atol=1e-3)


def test_plan_is_decided_by_its_seed():
    assert plan_corpus(2, 3, seed=5) == plan_corpus(2, 3, seed=5)
    assert plan_corpus(2, 3, seed=5) != plan_corpus(2, 3, seed=6)


def test_clips_follow_each_other_without_overlap(plans):
    for before, after in zip(plans[:-1], plans[1:], strict=True):
        assert before.end - before.start >= 1
        if before.video_id == after.video_id:
            assert before.end + 0.1 < after.start
    seconds = sum(frame_count(select_video(plans, f"video_{video:04d}")) for video in range(1, 13)) / FRAME_RATE
    assert 600 <= seconds <= 21500 / FRAME_RATE


def test_no_single_cue_tells_a_label(plans):
    labels = np.array([plan.labels for plan in plans])
    prosody = np.array(
        [
            [
                plan.prosody.pitch - plan.speaker.pitch,
                plan.prosody.pitch_range,
                plan.prosody.rate / plan.speaker.rate,
                plan.prosody.level - plan.speaker.level,
            ]
            for plan in plans
        ]
    )
    expression = np.array([[plan.expression.get(unit, 0) for unit in unit_names()] for plan in plans])
    for cues, label in ((prosody, "A"), (expression[:, expression.std(axis=0) > 0], "V")):
        target = labels[:, LABELS.index(label)]
        single = [abs(np.corrcoef(cue, target)[0, 1]) for cue in cues.T]
        assert max(single) < 0.8
        design = np.column_stack([cues, np.ones(len(cues))])
        fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
        assert 0.7 < np.corrcoef(fitted, target)[0, 1] < 0.95


def test_sentences_are_short_varied_and_follow_their_label(plans):
    texts = [plan.text for plan in plans]
    assert len(set(texts)) == len(texts)
    assert all(4 <= len(text) <= 25 for text in texts)
    lexicon = demo.sentences._lexicon(False)
    # A reader who only adds up the words it knows gets part of it: neither nothing nor all.
    words = {word: value for topic in lexicon["topics"].values() for word, value in topic["adjectives"].items()}
    words |= lexicon["feelings"]["words"] | lexicon["events"] | lexicon["exclamations"]
    sums = [sum(value for word, value in words.items() if word in text) for text in texts]
    assert 0.5 < np.corrcoef(sums, [plan.labels[1] for plan in plans])[0, 1] < 0.95


def test_some_words_appear_only_outside_the_training_split(plans):
    training = "\n".join(plan.text for plan in plans if plan.mode == "train")
    other = "\n".join(plan.text for plan in plans if plan.mode != "train")
    lexicon = yaml.safe_load((ROOT / "demo/lexicon.yaml").read_text(encoding="utf-8"))
    kept_back = [list(lexicon["events"])[-8:], list(lexicon["exclamations"])[-3:], lexicon["facts"][-7:]]
    for phrases in kept_back:
        assert not any(phrase in training for phrase in phrases)
        assert any(phrase in other for phrase in phrases)


def test_every_word_of_the_lexicon_can_be_spoken_and_has_lip_shapes():
    lexicon = demo.sentences._lexicon(False)
    phrases = [*lexicon["events"], *lexicon["exclamations"], *lexicon["facts"], *lexicon["openers"], *lexicon["requests"]]
    phrases += [*lexicon["feelings"]["people"], *lexicon["feelings"]["words"]]
    for topic in lexicon["topics"].values():
        phrases += [*topic["subjects"], *topic["adjectives"]]
    phrases += [form.replace("{}", "好") for form, _, _ in lexicon["degrees"] + lexicon["negations"]]
    for phrase in phrases:
        for phoneme in speak(phrase, PROSODY)[1]:
            assert phoneme_visemes(phoneme.name)


def test_some_speakers_show_an_expression_throughout(plans):
    videos = [select_video(plans, f"video_{video:04d}") for video in range(1, 13)]
    smiling = [clips for clips in videos if "mouthSmile" in clips[0].speaker.bearing]
    plain = [clips for clips in videos if not clips[0].speaker.bearing]
    assert len(smiling) == len(plain) == 3
    place = unit_names().index("mouthSmileLeft")

    def lowest_smile(clips):
        speech = [speak(clip.text, clip.prosody) for clip in clips]
        return np.quantile(animate(clips, speech, frame_count(clips)).units[:, place], 0.1)

    assert lowest_smile(smiling[0]) > 0.25 and lowest_smile(plain[0]) < 0.2


def test_unknown_phoneme_is_named():
    with pytest.raises(ValueError, match="no lip shape for the phoneme 'q8'"):
        phoneme_visemes("q8")


@pytest.mark.parametrize("text", ["爸爸爸爸", "妈妈怕不怕"])
def test_lips_close_for_labials_and_open_for_a(text):
    samples, phonemes = speak(text, PROSODY)
    curves = lip_curves(phonemes, samples)
    for phoneme in phonemes:
        frames = slice(int(phoneme.start * FRAME_RATE), int(phoneme.end * FRAME_RATE) + 1)  # those it is heard in
        if phoneme.name in ("p", "ph", "m"):
            assert curves["jawOpen"][frames].min() < 0.05
            assert curves["mouthPressLeft"][frames].max() > 0.05
        elif phoneme.name == "A":
            assert curves["jawOpen"][frames].max() > 0.25


def test_rounded_and_spread_lips():
    def peak(text: str, unit: str) -> float:
        samples, phonemes = speak(text, PROSODY)
        return lip_curves(phonemes, samples)[unit].max()

    assert peak("五五五", "mouthPucker") > 0.6 > 3 * peak("一一一", "mouthPucker")
    assert peak("一一一", "mouthStretchLeft") > 0.4 > 3 * peak("五五五", "mouthStretchLeft")
    assert peak("啊啊啊", "jawOpen") > 2 * peak("一一一", "jawOpen")


def test_mouth_is_closed_between_clips(video):
    clips, _, animation = video
    jaw = animation.units[:, unit_names().index("jawOpen")]
    for before, after in zip(clips[:-1], clips[1:], strict=True):
        assert jaw[round(before.end * FRAME_RATE) : round((after.start + LEAD) * FRAME_RATE)].max() < 0.01


def test_head_and_gaze_move_enough_to_be_measured(video):
    clips, speech, animation = video
    reach = np.abs(np.rad2deg(animation.pose)).max(axis=0)
    assert reach == pytest.approx([20, 12, 12])
    assert np.all(np.rad2deg(animation.pose).std(axis=0) > [5, 3, 3])
    assert np.rad2deg(animation.gaze).std(axis=0) == pytest.approx([8, 5], abs=4)
    blink = animation.units[:, unit_names().index("eyeBlinkLeft")]
    blinks = np.sum((blink[1:] > 0.9) & (blink[:-1] <= 0.9))
    assert 5 <= blinks <= 40
    assert np.array_equal(animation.units, animate(clips, speech, frame_count(clips)).units)


def test_sentences_lie_within_their_clips(video):
    clips, speech, _ = video
    sound = mix_sound(clips, speech)
    assert len(sound) == frame_count(clips) * SAMPLE_RATE // FRAME_RATE
    assert np.array_equal(sound, mix_sound(clips, speech))
    edges = [0] + [round(edge * SAMPLE_RATE) for clip in clips for edge in (clip.start, clip.end)] + [len(sound)]
    loudness = [np.sqrt(np.mean(sound[a:b] ** 2)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    assert max(loudness[0::2]) < 0.002 < 0.01 < min(loudness[1::2])


def test_same_seed_same_frames():
    clips = plan_corpus(1, 2, seed=3)
    speech = [speak(clip.text, clip.prosody) for clip in clips]
    animation = animate(clips, speech, frame_count(clips))
    digests = []
    for _ in range(2):
        frames = render_frames(speaker_head(clips), animation)
        digests.append(hashlib.sha256(b"".join(next(frames).image.tobytes() for _ in range(3))).hexdigest())
    assert digests[0] == digests[1]


def test_rendered_video_and_its_truth(tmp_path):
    clips = plan_corpus(1, 2, seed=3)[:1]
    output = tmp_path / "带 空格" / "video_0001.mp4"
    render_video(clips, output)
    assert sorted(path.name for path in output.parent.iterdir()) == ["video_0001.mp4", "video_0001.truth.npz"]
    capture = cv2.VideoCapture(str(output))
    images = []
    while (image := capture.read())[0]:
        images.append(image[1][:, :, ::-1])
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(FRAME_RATE)
    count = frame_count(clips)
    assert len(images) == count and images[0].shape == (240, 320, 3)

    with np.load(output.with_suffix(".truth.npz"), allow_pickle=False) as truth:
        assert truth["landmarks_2d"].shape == (count, 68, 2)
        assert truth["units"].shape == (count, 52) and list(truth["unit_names"]) == unit_names()
        assert truth["text"][0] == clips[0].text and tuple(truth["labels"][0]) == clips[0].labels
        fx, fy, cx, cy = truth["camera"]
        points = truth["landmarks_3d"]
        projected = np.stack([fx * points[..., 0] / points[..., 2] + cx, fy * points[..., 1] / points[..., 2] + cy], -1)
        assert np.allclose(projected, truth["landmarks_2d"], atol=0.01)
        # The picture shows the frame of the same number: it fits its own frame better than one half a second away.
        frames = render_frames(speaker_head(clips), animate(clips, [speak(clips[0].text, clips[0].prosody)], count))
        drawn = [frame.image.astype(float) for _, frame in zip(range(21), frames, strict=False)]
        assert np.abs(images[20] - drawn[20]).mean() < 0.7 * np.abs(images[20] - drawn[5]).mean()


def test_unknown_video_is_named(plans):
    with pytest.raises(ValueError, match="video_0013: not in the planned corpus"):
        select_video(plans, "video_0013")
