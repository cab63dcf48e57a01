"""The message hub of PMR."""

import pytest
import torch

from models.pmr import PMR, Exchange, PMRConfig
from models.system import MODALITIES, Sequences

WIDTHS = {"text": 6, "audio": 4, "vision": 5}
LENGTHS = {"text": 4, "audio": 6, "vision": 5}


def make_config(**changes):
    values = {"width": 8, "messages": 3, "heads": 2, "layers": 2, "kernel": dict.fromkeys(MODALITIES, 3)}
    dropout = {"attention_dropout": 0.0, "residual_dropout": 0.0, "output_dropout": 0.0}
    return PMRConfig(**values | dropout | changes, batch_size=2, learning_rate=0.01)


def make_batch(widths, length=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {m: Sequences(torch.randn(2, length, widths[m], generator=generator), torch.tensor([length, 3])) for m in MODALITIES}


def make_exchange():
    torch.manual_seed(0)
    config = make_config()
    return Exchange(config).eval(), torch.randn(2, 3, 8), make_batch(dict.fromkeys(MODALITIES, 8))


@pytest.mark.parametrize("source", MODALITIES)
def test_a_modality_reaches_the_others_through_the_hub(source):
    exchange, hub, inputs = make_exchange()
    _, expected = exchange(hub, inputs)
    changed = Sequences(inputs[source].values + torch.randn(8), inputs[source].lengths)
    _, reinforced = exchange(hub, inputs | {source: changed})
    for modality in MODALITIES:
        assert not torch.allclose(reinforced[modality].values, expected[modality].values, atol=1e-4)


def test_modalities_meet_nowhere_but_in_the_hub():
    exchange, hub, inputs = make_exchange()
    _, expected = exchange(hub, inputs)
    for layer in exchange.gather.values():  # the hub hears nothing any more
        for linear in (layer.attention.output, layer.feed_forward[-1]):
            torch.nn.init.zeros_(linear.weight)
    _, first = exchange(hub, inputs)
    _, second = exchange(hub, inputs | {"audio": make_batch({"text": 8, "audio": 8, "vision": 8}, seed=1)["audio"]})
    assert not torch.equal(first["text"].values, expected["text"].values)
    assert torch.equal(first["text"].values, second["text"].values)
    assert torch.equal(first["vision"].values, second["vision"].values)


def test_hub_has_one_size_whatever_the_lengths():
    exchange, hub, _ = make_exchange()
    for length in (3, 50):
        renewed, reinforced = exchange(hub, make_batch(dict.fromkeys(MODALITIES, 8), length))
        assert renewed.shape == hub.shape
        assert reinforced["audio"].values.shape == (2, length, 8)


def test_hub_sees_no_padding():
    exchange, hub, inputs = make_exchange()
    expected, _ = exchange(hub, inputs)
    for sequences in inputs.values():
        sequences.values[1, 3:] = 100.0
    assert torch.allclose(exchange(hub, inputs)[0], expected, atol=1e-6)


def test_every_message_is_used():
    torch.manual_seed(0)
    system = PMR(make_config(), WIDTHS, LENGTHS).eval()
    system(make_batch(WIDTHS))["M"].sum().backward()
    assert (system.messages.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": {"text": 3, "audio": 2, "vision": 3}}, "'kernel'"),
        ({"kernel": {"text": 3}}, "'kernel'"),
        ({"heads": 3}, "'width'"),
        ({"messages": 0}, "'messages'"),
    ],
)
def test_a_wrong_value_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_config(**changes)
