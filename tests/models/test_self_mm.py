"""Self-MM: label generation by hand, and the order of events over the epochs."""

import numpy as np
import pytest
import torch

from models.self_mm import LabelGeneration, SelfMM, SelfMMConfig, class_centres, label_shift, momentum, relative_distance
from models.system import TASKS, build_config
from tests.models.small import choose, random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 7}
LENGTHS = {"text": 6, "audio": 9, "vision": 4}
VALUES = {
    "hidden": {"audio": 3, "vision": 4},
    "out": {"audio": 3, "vision": 5},
    "lstm_dropout": {"audio": 0.0, "vision": 0.0},
    "features": {"M": 12, "T": 10, "A": 8, "V": 6},
    "feature_dropout": {"M": 0.0, "T": 0.0, "A": 0.0, "V": 0.0},
    "subnet_learning_rate": {"audio": 0.005, "vision": 0.003},
    "subnet_weight_decay": {"audio": 0.01, "vision": 0.02},
    "batch_size": 4,
    "learning_rate": 0.001,
    "weight_decay": 0.003,
    "encoder_learning_rate": 0.0001,
    "encoder_weight_decay": 0.004,
}
TRAIN = np.array([9, 2, 4, 11, 3, 7])  # neither sorted nor without gaps


class Clips:
    """Twelve clips of random features; clip 4 has no M label and that of clip 7 is 0."""

    def __init__(self):
        self.features = random_batch(WIDTHS, LENGTHS, 12)
        self.labels = torch.tensor([0.0, 0.0, 0.8, -0.6, torch.nan, 0.0, 0.0, 0.0, 0.0, -0.2, 0.0, 0.4])

    def batch(self, indices):
        return choose(self.features, indices)

    def batch_labels(self, indices):
        return {task: self.labels[indices] if task == "M" else torch.full((len(indices),), torch.nan) for task in TASKS}


def make_system(**changes):
    torch.manual_seed(0)
    config = build_config(SelfMMConfig, VALUES | changes)
    return SelfMM(config, WIDTHS, LENGTHS, small_encoder(config, dropout=0.0))


def test_centres_are_means_of_either_sign_without_zero_and_absent_labels():
    features = torch.tensor([[1.0, 0.0], [3.0, 2.0], [50.0, 50.0], [7.0, 7.0], [90.0, 90.0]])
    labels = torch.tensor([0.2, 1.0, 0.0, -0.5, torch.nan])
    assert class_centres(features, labels).tolist() == [[2.0, 1.0], [7.0, 7.0]]
    assert class_centres(features, labels.abs())[1].isnan().all()


def test_relative_distance_by_hand():
    centres = torch.tensor([[0.0, 0.0], [6.0, 8.0]])
    features = torch.tensor([[3.0, 4.0], [0.6, 0.8], [6.0, 8.0]])  # 5 from both; 1 and 9; 10 and 0
    assert relative_distance(features, centres).tolist() == pytest.approx([0.0, 8.0, -1.0], abs=1e-5)


def test_label_shift_by_hand():
    labels, alpha_m = torch.tensor([0.5, -0.4, 0.3]), torch.tensor([0.4, -0.5, 1.5])
    alpha_s = torch.tensor([0.2, -1.0, 1.5])
    # (1/2 - 1) * 0.5 / 2 - 0.2 / 2; (2 - 1) * -0.4 / 2 - 0.5 / 2; no shift where the relations are the same
    assert label_shift(labels, alpha_m, alpha_s).tolist() == pytest.approx([-0.225, -0.45, 0.0])


def test_label_shift_is_finite_where_the_fusion_is_between_its_centres():
    shift = label_shift(torch.tensor([0.5, 0.0]), torch.tensor([0.0, -1e-8]), torch.tensor([0.3, 0.0]))
    assert shift.isfinite().all()


def test_momentum_by_hand():
    previous, new = torch.tensor([0.6]), torch.tensor([-0.3])
    assert momentum(previous, new, 2).item() == pytest.approx(0.0)  # 1/3 and 2/3
    assert momentum(previous, new, 9).item() == pytest.approx(0.42)  # 8/10 and 2/10


def test_new_labels_by_hand():
    """One feature per task: two positive clips at 0, a negative one at 10; the third clip's labels are made anew."""
    generation = LabelGeneration(np.array([5, 3, 8]), torch.tensor([1.0, -1.0, 0.5]), dict.fromkeys(TASKS, 1), (-1.0, 1.0))
    everything = generation.rows(np.array([5, 3, 8]))
    generation.update(everything, {task: torch.tensor([[0.0], [10.0], [0.0]]) for task in TASKS}, epoch=None)
    assert all(labels.tolist() == [1.0, -1.0, 0.5] for labels in generation.labels.values())
    values = {"M": 2.0, "T": 2.0, "A": 4.0, "V": 9.0}
    generation.update(generation.rows(np.array([8])), {task: torch.tensor([[v]]) for task, v in values.items()}, epoch=2)
    # alpha: 6 / 2 = 3 (M and T), 2 / 4 = 1/2 (A), -8 / 9 (V).
    # A: 0.5 + (1/6 - 1) / 4 + (1/2 - 3) / 2 = -0.9583; V: far below, thus -1; each counts 2/3, the old label 1/3.
    assert generation.labels["M"].tolist() == [1.0, -1.0, 0.5]
    assert generation.labels["T"].tolist() == pytest.approx([1.0, -1.0, 0.5])
    assert generation.labels["A"].tolist() == pytest.approx([1.0, -1.0, 0.5 / 3 - 2 / 3 * 0.958333], abs=1e-5)
    assert generation.labels["V"].tolist() == pytest.approx([1.0, -1.0, 0.5 / 3 - 2 / 3])
    assert generation.features["V"].flatten().tolist() == [0.0, 10.0, 9.0]


def test_labels_stay_as_they_are_where_one_sign_is_absent():
    generation = LabelGeneration(np.arange(3), torch.tensor([1.0, 0.2, 0.5]), dict.fromkeys(TASKS, 2), (-1.0, 1.0))
    for epoch in (1, 2):
        generation.update(torch.arange(3), {task: torch.randn(3, 2) for task in TASKS}, epoch)
    assert generation.labels["T"].tolist() == pytest.approx([1.0, 0.2, 0.5])


def test_the_epochs_follow_the_paper():
    system, clips = make_system().train(), Clips()
    present = [0, 1, 3, 4, 5]  # rows of TRAIN with a label
    own = clips.labels[TRAIN]
    generated = []
    for epoch in (1, 2, 3):
        system.begin_epoch(epoch, clips, TRAIN)
        outputs = system(clips.batch(TRAIN))
        before = system.generated_labels()
        loss = system.training_loss(clips, TRAIN)
        expected = (outputs["M"] - own)[present].abs().mean()
        for task, labels in before.items():
            weight = torch.tanh((labels - own).abs())[present]
            expected = expected + (weight * (outputs[task] - labels)[present].abs()).mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        generated.append(system.generated_labels())
    for task in ("T", "A", "V"):
        assert torch.equal(generated[0][task].nan_to_num(9.0), own.nan_to_num(9.0))
        assert not torch.allclose(generated[1][task][present], own[present], atol=1e-4)
        assert not torch.allclose(generated[2][task][present], generated[1][task][present], atol=1e-4)
        assert generated[2][task].abs()[present].max() <= 1.0
        assert generated[2][task].isnan().tolist() == [False, False, True, False, False, False]
    assert set(system.generated_labels()) == {"T", "A", "V"}


def test_batches_in_any_order_find_their_own_labels():
    """The clips one batch at a time: only those of the batch get new labels."""
    system, clips = make_system().train(), Clips()
    for epoch in (1, 2):
        system.begin_epoch(epoch, clips, TRAIN)
        if epoch == 1:
            system.training_loss(clips, TRAIN)
    system.training_loss(clips, np.array([3, 9]))
    moved = system.generated_labels()["T"] != clips.labels[TRAIN]
    assert moved.tolist() == [True, False, True, False, True, False]  # NaN differs from itself


def test_heads_of_the_modalities_learn_from_epoch_3_on():
    system, clips = make_system().train(), Clips()
    for epoch in (1, 2, 3):
        system.begin_epoch(epoch, clips, TRAIN)
        system.zero_grad()
        system.training_loss(clips, TRAIN).backward()
        assert all(parameter.grad.isfinite().all() for parameter in system.parameters())  # one label is absent
        for task in ("T", "A", "V"):
            assert bool(system.heads[task].weight.grad.any()) == (epoch == 3)


def test_stores_are_no_part_of_the_weights():
    system, clips = make_system(), Clips()
    before = set(system.state_dict())
    system.begin_epoch(1, clips, TRAIN)
    system.training_loss(clips, TRAIN)
    assert set(system.state_dict()) == before


def test_groups_have_their_own_rates_and_decays():
    system = make_system()
    groups = system.parameter_groups()
    assert [group.get("lr") for group in groups] == [0.0001, 0.005, 0.003, None]
    assert [group["weight_decay"] for group in groups] == [0.004, 0.01, 0.02, 0.003]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in system.parameters())


@pytest.mark.parametrize("key", ["hidden", "subnet_learning_rate", "features"])
def test_a_missing_modality_or_task_is_named(key):
    values = dict(VALUES[key])
    values.popitem()
    with pytest.raises(ValueError, match=f"'{key}'"):
        make_system(**{key: values})
