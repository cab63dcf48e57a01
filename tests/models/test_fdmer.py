"""Known answers of the losses of FDMER."""

import pytest
import torch

from models.fdmer import FDMER, FDMERConfig, ReversedGradient, independence_criterion
from models.system import MODALITIES, TASKS, Sequences

WIDTHS = {"text": 6, "audio": 4, "vision": 5}
LENGTHS = {"text": 4, "audio": 6, "vision": 5}
WEIGHTS = {"similarity_weight": 2.0, "difference_weight": 3.0, "reconstruction_weight": 5.0, "discriminator_weight": 7.0}


def make_config(**changes):
    values = {"width": 8, "kernel": 3, "heads": 2, "discriminator_hidden": 9}
    dropout = {"attention_dropout": 0.0, "residual_dropout": 0.0, "output_dropout": 0.0}
    return FDMERConfig(**values | dropout | WEIGHTS | changes, batch_size=2, learning_rate=0.01)


def make_batch(clips=4):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([3, 1, 4, 2])[:clips]
    return {m: Sequences(torch.randn(clips, LENGTHS[m], WIDTHS[m], generator=generator), lengths) for m in MODALITIES}


def make_system():
    torch.manual_seed(0)
    return FDMER(make_config(), WIDTHS, LENGTHS)


def test_hsic_by_hand():
    # Centred: (-1, 1) and (-2, 2); their covariance is 4, its square 16.
    assert independence_criterion(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])).item() == pytest.approx(16.0)


def test_hsic_of_orthogonal_features_is_zero_and_of_equal_ones_is_not():
    first = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]) + 5.0
    second = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert independence_criterion(first, second).item() == pytest.approx(0.0, abs=1e-6)
    assert independence_criterion(first, first).item() > 1.0


def test_hsic_of_independent_features_shrinks_with_the_sample():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(20000, 3, generator=generator) for _ in range(2))
    assert independence_criterion(first, second) < 0.01 < independence_criterion(first[:20], second[:20])


def test_hsic_is_the_trace_of_the_centred_kernels():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(7, 3, generator=generator), torch.randn(7, 5, generator=generator)
    centring = torch.eye(7) - 1 / 7
    trace = torch.trace(first @ first.T @ centring @ second @ second.T @ centring)
    assert independence_criterion(first, second).item() == pytest.approx(trace.item() / 36, rel=1e-4)


def test_a_single_clip_gives_finite_terms():
    system, batch = make_system(), {m: Sequences(s.values[:1], s.lengths[:1]) for m, s in make_batch().items()}
    loss = system.loss(system(batch), {task: torch.tensor([0.5]) for task in TASKS})
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in system.parameters())


def test_gradient_is_reversed():
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    passed = ReversedGradient.apply(values)
    (passed * torch.tensor([3.0, 4.0])).sum().backward()
    assert torch.equal(passed, values)
    assert values.grad.tolist() == [-3.0, -4.0]


def test_common_encoder_opposes_the_discriminator_and_private_ones_help_it():
    system = make_system()
    generator = torch.Generator().manual_seed(0)
    common, private = ([torch.randn(4, 8, generator=generator, requires_grad=True) for _ in range(3)] for _ in range(2))
    before = system.discrimination(common, private)
    before.backward()
    with torch.no_grad():
        moved_common = [vectors - 0.1 * vectors.grad for vectors in common]
        moved_private = [vectors - 0.1 * vectors.grad for vectors in private]
        assert system.discrimination(moved_common, private) > before
        assert system.discrimination(common, moved_private) < before


def test_discriminator_learns_which_modality_a_vector_is_of():
    system = make_system()
    system.discriminator = torch.nn.Identity()
    told = [torch.zeros(4, 3) + 50.0 * torch.eye(3)[number] for number in range(3)]
    assert system.discrimination(told, told).item() == pytest.approx(0.0, abs=1e-6)
    assert system.discrimination(told, told[::-1]).item() > 10
    assert system.discrimination(told[::-1], told).item() > 10


def test_the_loss_adds_each_term_by_its_weight():
    system, batch = make_system(), make_batch()
    outputs, labels = system(batch), {task: torch.zeros(4) for task in TASKS}
    terms = {name: outputs[name].item() for name in ("similarity", "difference", "reconstruction", "discriminator")}
    assert all(term > 0 for term in terms.values())
    added = sum(WEIGHTS[f"{name}_weight"] * term for name, term in terms.items())
    assert system.loss(outputs, labels).item() == pytest.approx(system.task_loss(outputs, labels).item() + added, rel=1e-5)


def test_terms_see_no_padding():
    system, batch = make_system().eval(), make_batch()
    expected = system(batch)
    for sequences in batch.values():
        sequences.values[~sequences.mask] = 100.0
    outputs = system(batch)
    for name, value in expected.items():
        assert torch.allclose(outputs[name], value, atol=1e-5)


@pytest.mark.parametrize(("key", "value"), [("kernel", 2), ("heads", 3), ("similarity_weight", 0.0)])
def test_a_wrong_value_is_named(key, value):
    with pytest.raises(ValueError, match="'width'" if key == "heads" else f"'{key}'"):
        make_config(**{key: value})
