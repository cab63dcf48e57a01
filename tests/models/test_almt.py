"""ALMT: condensed modalities and the hyper-modality."""

import pytest
import torch

from models.almt import ALMT, Condense
from models.system import Sequences
from tests.models.small import configuration, random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 9}
LONGEST = {"text": 8, "audio": 14, "vision": 7}


def make_config(**changes):
    return configuration(
        "almt", **{"width": 16, "heads": 2, "head_width": 8, "hyper_head_width": 4, "feed_forward": 16, "tokens": 3} | changes
    )


def make_system(**changes):
    config = make_config(**changes)
    torch.manual_seed(0)
    return ALMT(config, WIDTHS, LONGEST, small_encoder(config)).eval()


def make_batch():
    return random_batch(WIDTHS, LONGEST, 4)


def test_a_modality_of_any_length_becomes_the_same_number_of_tokens():
    torch.manual_seed(0)
    condense = Condense(5, make_config()).eval()
    for length in (1, 30):
        frames = Sequences(torch.randn(2, length, 5), torch.tensor([length, 1]))
        assert condense(frames).shape == (2, 3, 16)


def test_order_of_the_frames_matters_and_padding_does_not():
    torch.manual_seed(0)
    condense = Condense(5, make_config()).eval()
    frames = torch.randn(1, 6, 5)
    tokens = condense(Sequences(frames, torch.tensor([6])))
    padded = torch.cat([frames, torch.full((1, 4, 5), 1e3)], dim=1)
    assert torch.allclose(condense(Sequences(padded, torch.tensor([6]))), tokens, atol=1e-6)
    assert not torch.allclose(condense(Sequences(frames.flip(1), torch.tensor([6]))), tokens, atol=1e-4)


@pytest.mark.parametrize("modality", ["tokens", "audio", "vision"])
def test_the_prediction_listens_to_every_modality(modality):
    system, batch = make_system(), make_batch()
    changed = batch | {modality: Sequences(batch[modality].values.flip(0), batch[modality].lengths)}
    assert not torch.allclose(system(changed)["M"], system(batch)["M"], atol=1e-5)


def test_the_hyper_modality_is_updated_once_per_level_of_the_text():
    system = make_system(levels=4)
    assert len(system.text_layers) == 3
    calls = []
    for update in system.hyper_updates:
        update.register_forward_hook(lambda module, inputs, output: calls.append(inputs))
    system(make_batch())
    assert len(calls) == 4
    texts, audios = [call[1] for call in calls], [call[2]["audio"] for call in calls]
    assert all(audio is audios[0] for audio in audios)
    assert not any(torch.allclose(first, second) for first, second in zip(texts, texts[1:], strict=False))


def test_without_audio_and_vision_only_the_hyper_tokens_are_left():
    """With the updates silenced, the prediction depends on the text alone."""
    system, batch = make_system(), make_batch()
    for update in system.hyper_updates:
        torch.nn.init.zeros_(update.output.weight)
    changed = batch | {m: Sequences(batch[m].values.flip(0), batch[m].lengths) for m in ("audio", "vision")}
    assert torch.allclose(system(changed)["M"], system(batch)["M"])


def test_all_of_the_hyper_modality_learns_from_the_second_step_on():
    system, batch = make_system(), make_batch()
    optimizer = torch.optim.AdamW(system.parameter_groups(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        system(batch)["M"].square().mean().backward()
        optimizer.step()
    assert all(parameter.grad.any() for parameter in system.hyper_updates.parameters())


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="'width'"):
        make_config(width=15)


def test_it_is_as_large_as_the_published_one():
    """3.23 million parameters beside BERT's, whose states are 768 wide; positions are not learned here."""
    widths = {"text": 768, "audio": 33, "vision": 709}
    condense, config = 0, configuration("almt")
    for width in widths.values():
        condense += sum(parameter.numel() for parameter in Condense(width, config).parameters())
    system = ALMT(config, WIDTHS, LONGEST, small_encoder(config))
    rest = sum(p.numel() for name, p in system.named_parameters() if not name.startswith(("encoder.", "condense.")))
    learned_positions = 128 * (39 + 400 + 55 + 3 * 8 + 8 + 2 * 9)
    assert condense + rest + learned_positions == pytest.approx(3.23e6, rel=5e-3)
