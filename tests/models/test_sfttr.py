"""SFTTR and ConFEDE: pre-training, companions, ablations."""

import numpy as np
import pytest
import torch

from models import load_system
from models.confede import mean_squared_error
from models.system import TASKS
from tests.models.small import choose, configuration, random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 9}
LONGEST = {"text": 8, "audio": 14, "vision": 7}
SMALL = {
    "encoder_epochs": {"text": 1, "audio": 2, "vision": 2},
    "frame_width": 16,
    "frame_heads": 2,
    "frame_layers": {"audio": 1, "vision": 1},
    "frame_feed_forward": 32,
    "frozen_encoders": ["text", "audio", "vision"],
    "width": 16,
    "classifier": [16, 8],
    "unimodal_classifier": [8],
    "candidates": 2,
    "ranking_epochs": 2,
}
SMALL_FUSION = {"fusion_heads": 2, "fusion_feed_forward": 16}
TRAIN = np.arange(3, 43, 2)  # 20 clips of a corpus of 44


class Clips:
    """A corpus in memory that notes which clips were fetched."""

    def __init__(self, count=44, seed=0):
        self.features = random_batch(WIDTHS, LONGEST, count, seed)
        generator = torch.Generator().manual_seed(seed)
        self.labels = {task: torch.rand(count, generator=generator) * 1.8 - 0.9 for task in TASKS}
        self.labels["M"] = torch.arange(count) % 4 / 2 - 0.75  # 4 classes
        self.fetched = []

    def batch(self, indices):
        self.fetched.append(indices.tolist())
        return choose(self.features, indices)

    def batch_labels(self, indices):
        return {task: labels[torch.as_tensor(indices)] for task, labels in self.labels.items()}


def make_system(name="sfttr", seed=0, **changes):
    small = SMALL | (SMALL_FUSION if name == "sfttr" else {})
    config = configuration(name, **small | changes)
    torch.manual_seed(seed)
    return load_system(name)(config, WIDTHS, LONGEST, small_encoder(config)).train()


def until(system, clips, epoch):
    """Begin the epochs 1 ... epoch, without a training step."""
    for number in range(1, epoch + 1):
        system.begin_epoch(number, clips, TRAIN)
    clips.fetched.clear()


def gradients(system, clips, indices=TRAIN[:4]):
    """Names of the parameters that a training batch gives a gradient."""
    system.zero_grad()
    system.training_loss(clips, indices).backward()
    return {name for name, parameter in system.named_parameters() if parameter.grad is not None and parameter.grad.any()}


def test_first_each_encoder_learns_alone_for_its_own_number_of_epochs():
    system, clips = make_system(), Clips()
    assert system.pretraining_epochs == 2
    until(system, clips, 1)
    assert {name.split(".")[0] for name in gradients(system, clips)} == {"encoder", "frame_encoders", "heads"}
    system.begin_epoch(2, clips, TRAIN)
    assert {".".join(name.split(".")[:2]) for name in gradients(system, clips)} == {
        "frame_encoders.V",
        "frame_encoders.A",
        "heads.V",
        "heads.A",
    }


def test_encoders_learn_their_own_label_and_the_multimodal_one_where_it_is_absent():
    system, clips = make_system().eval(), Clips()
    until(system, clips, 1)
    clips.labels["V"][TRAIN[1]] = torch.nan
    indices = TRAIN[:2]
    expected = 0.0
    for task in "TVA":
        truth = clips.labels[task][torch.as_tensor(indices)].clone()
        if task == "V":
            truth[1] = clips.labels["M"][TRAIN[1]]
        prediction = system.heads[task](system.encode(clips.batch(indices), task)).flatten()
        expected += (prediction - truth).square().mean().item()
    assert system.training_loss(clips, indices).item() == pytest.approx(expected, rel=1e-5)


def test_frozen_encoders_are_computed_once_and_stay():
    system, clips = make_system(), Clips()
    until(system, clips, 3)
    names = gradients(system, clips)
    assert not clips.fetched
    assert not any(name.startswith(("encoder.", "frame_encoders.", "heads.")) for name in names)
    assert names == {n for n, _ in system.named_parameters() if not n.startswith(("encoder.", "frame_encoders.", "heads."))}


def test_of_a_part_of_the_encoders_frozen_the_others_learn():
    system, clips = make_system(frozen_encoders=["text"]), Clips()
    until(system, clips, 3)
    names = gradients(system, clips)
    assert not any(name.startswith("encoder.") for name in names)
    assert {name.split(".")[1] for name in names if name.startswith("frame_encoders.")} == {"A", "V"}


def test_biases_and_normalisations_do_not_decay():
    system = make_system(weight_decay=0.1, encoder_weight_decay=0.1)
    for group in system.parameter_groups():
        assert all((parameter.dim() > 1) == (group["weight_decay"] > 0) for parameter in group["params"])


def test_what_training_sees_of_frozen_encoders_is_what_evaluation_sees():
    system, clips = make_system(contrastive_weight=0.0), Clips()
    until(system, clips, 3)
    indices = TRAIN[[5, 2, 9]]
    system.eval()
    outputs = system(clips.batch(indices))
    assert torch.allclose(system.training_loss(clips, indices), system.loss(outputs, clips.batch_labels(indices)), atol=1e-6)


def test_each_clip_is_encoded_once_though_it_accompanies_several():
    system, clips = make_system(frozen_encoders=[]), Clips()
    until(system, clips, 3)
    assert any(name.startswith("encoder.") for name in gradients(system, clips, TRAIN[:8]))
    assert len(clips.fetched) == 1
    fetched = clips.fetched[0]
    assert len(set(fetched)) == len(fetched)
    assert set(TRAIN[:8]) <= set(fetched) <= set(TRAIN)


def test_companions_are_clips_of_train_with_the_right_label():
    system, clips = make_system(), Clips()
    until(system, clips, 3)
    drawn = system.companions.draw(TRAIN, np.random.default_rng(0))
    assert set(drawn.ravel()) <= set(TRAIN)
    kinds = clips.labels["M"].numpy()
    assert (kinds[drawn[:, :2]] == kinds[TRAIN][:, None]).all()
    assert (kinds[drawn[:, 2:]] != kinds[TRAIN][:, None]).all()
    assert not (drawn == TRAIN[:, None]).any()


def test_the_ranking_is_refreshed_with_the_vectors_of_the_day():
    system, clips = make_system(frozen_encoders=[]), Clips()
    until(system, clips, 3)
    first = system.companions
    for encoder in system.frame_encoders.values():
        torch.nn.init.normal_(encoder.embed.weight, generator=torch.Generator().manual_seed(8))
    system.begin_epoch(4, clips, TRAIN)
    assert system.companions is first
    system.begin_epoch(5, clips, TRAIN)
    assert not np.array_equal(system.companions.similar, first.similar)
    vectors = torch.cat(list(system.corpus_vectors(clips, TRAIN).values()), dim=1)
    kinds = clips.labels["M"].numpy()[TRAIN]
    cosine = torch.nn.functional.cosine_similarity(vectors[0], vectors, dim=1).numpy()
    allowed = np.flatnonzero((kinds == kinds[0]) & (np.arange(len(TRAIN)) != 0))
    assert system.companions.similar[0].tolist() == TRAIN[allowed[np.argsort(-cosine[allowed])[:2]]].tolist()
    assert system.training


def test_without_contrast_no_companion_is_fetched():
    system, clips = make_system(contrastive_weight=0.0, frozen_encoders=[]), Clips()
    until(system, clips, 3)
    system.training_loss(clips, TRAIN[:3])
    assert clips.fetched == [TRAIN[:3].tolist()]
    assert system.companions is None


@pytest.mark.parametrize("name", ["sfttr", "confede"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"contrastive_weight": 0.0}, {"unimodal_weight": 0.0}, {"frozen_encoders": []}, {"frozen_encoders": ["text"]}],
)
def test_every_parameter_learns_in_every_ablation(name, changes):
    system, clips = make_system(name, **changes), Clips()
    learned = set()
    for epoch in range(1, 4):
        system.begin_epoch(epoch, clips, TRAIN)
        learned |= gradients(system, clips, TRAIN)
    assert learned == {name for name, _ in system.named_parameters()}


def test_without_sequential_fusion_the_six_vectors_are_joined_as_in_confede():
    sfttr, confede, clips = make_system(sequential_fusion=False), make_system("confede"), Clips()
    assert not hasattr(sfttr, "vision_audio")
    batch = clips.batch(TRAIN[:3])
    assert torch.equal(sfttr.eval()(batch)["M"], confede.eval()(batch)["M"])


def test_fusion_depends_on_the_order_of_the_far_vectors_but_on_the_sum_of_the_close_ones():
    system = make_system().eval()
    close, far = torch.randn(2, 5, 3, 16, generator=torch.Generator().manual_seed(3))
    prediction = system.fuse(close, far)
    assert prediction.shape == (5,)
    assert torch.allclose(system.fuse(close[:, [2, 0, 1]], far), prediction, atol=1e-6)
    assert not torch.allclose(system.fuse(close, far[:, [2, 0, 1]]), prediction, atol=1e-4)


def test_represent_names_the_six_vectors():
    system, clips = make_system().eval(), Clips()
    vectors = system.represent(clips.batch(TRAIN[:5]))
    assert list(vectors) == ["C_T", "C_V", "C_A", "F_T", "F_V", "F_A"]
    assert all(vector.shape == (5, 16) for vector in vectors.values())
    assert all((vector.abs() <= 1).all() for vector in vectors.values())


def test_unimodal_loss_is_that_of_equation_16_and_leaves_absent_labels_out():
    predictions = torch.tensor([[0.5, 0.5, 0.5, 0.6, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0, 0.1, 0.0]])
    labels = {"M": torch.tensor([1.0, 0.0]), "T": torch.tensor([0.5, 0.2]), "V": torch.tensor([torch.nan, 0.4])}
    labels["A"] = torch.tensor([torch.nan, torch.nan])
    system = make_system(unimodal_weight=1.0)
    loss = system.loss({"M": labels["M"], "unimodal": predictions}, labels)
    assert loss.item() == pytest.approx(3 * 0.25 / 2 + (0.01 + 0.04) / 2 + 0.09)


def test_mean_squared_error_of_an_absent_label_has_no_gradient():
    predictions = torch.tensor([[0.5], [0.1]], requires_grad=True)
    mean_squared_error(predictions, torch.tensor([[torch.nan], [0.0]])).sum().backward()
    assert predictions.grad.flatten().tolist() == pytest.approx([0.0, 0.2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_epochs": {"text": 0, "audio": 1, "vision": 1}}, "frozen_encoders"),
        ({"encoder_epochs": {"text": 1}}, "'encoder_epochs' needs one value for each"),
        ({"frame_heads": 3}, "'frame_width'"),
        ({"fusion_heads": 3}, "'width'"),
        ({"candidates": 1}, "candidates"),
    ],
)
def test_a_wrong_value_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_system(**changes)
