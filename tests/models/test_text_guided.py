"""Text-guided two-stage fusion."""

import pytest
import torch

from models.system import Sequences
from models.text_guided import TextGuided
from tests.models.small import configuration, random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 9}
LONGEST = {"text": 8, "audio": 14, "vision": 7}


def make_config(**changes):
    return configuration("text_guided", **{"width": 16, "heads": 2} | changes)


def make_system(**changes):
    config = make_config(**changes)
    torch.manual_seed(0)
    return TextGuided(config, WIDTHS, LONGEST, small_encoder(config)).eval()


def make_batch():
    return random_batch(WIDTHS, LONGEST, 4)


@pytest.mark.parametrize("modality", ["tokens", "audio", "vision"])
def test_the_prediction_listens_to_every_modality(modality):
    system, batch = make_system(), make_batch()
    changed = batch | {modality: Sequences(batch[modality].values.flip(0), batch[modality].lengths)}
    assert not torch.allclose(system(changed)["M"], system(batch)["M"], atol=1e-5)


def test_audio_and_vision_meet_in_the_second_stage_only():
    system, batch = make_system(), make_batch()
    seen = {}
    for stage in ("with_audio", "with_vision", "fusion"):
        module = getattr(system, stage)
        module.register_forward_hook(lambda module, inputs, output, stage=stage: seen.setdefault(stage, []).append(output))
    system(batch)
    system(batch | {"vision": Sequences(batch["vision"].values.flip(0), batch["vision"].lengths)})
    assert seen["with_audio"][0].shape == (4, 2, 16) and seen["fusion"][0].shape == (4, 4, 16)
    assert torch.equal(*seen["with_audio"])
    assert not torch.allclose(*seen["with_vision"])
    assert not torch.allclose(*seen["fusion"])


@pytest.mark.parametrize("width", [64, 128, 256])
def test_the_widths_of_the_sweep_serve(width):
    assert torch.isfinite(make_system(width=width, heads=4)(make_batch())["M"]).all()


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="'width'"):
        make_config(heads=3)
