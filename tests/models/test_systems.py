"""What holds for every system: padding, gradients, batches, learning, reproducibility."""

from pathlib import Path

import pytest
import torch
import yaml

from models import SYSTEMS, load_system
from models.system import MODALITIES, TASKS, Sequences, build_config

WIDTHS = {"text": 12, "audio": 5, "vision": 9}
LONGEST = {"text": 8, "audio": 14, "vision": 7}
CONFIGS = Path(__file__).parents[2] / "config" / "models"
SMALL_TENSOR = {"hidden": {"text": 16, "audio": 8, "vision": 16}, "text_out": 12}
SMALL = {"tfn": SMALL_TENSOR, "mtfn": SMALL_TENSOR, "mult": {"width": 20, "heads": 4}}


def make_config(name, **changes):
    values = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return build_config(load_system(name).config_class, values | SMALL.get(name, {}) | changes)


def make_system(name, seed=0, **changes):
    torch.manual_seed(seed)
    return load_system(name)(make_config(name, **changes), WIDTHS, LONGEST)


def without_dropout(name):
    """The system with every dropout at 0, so that what it can learn is not hidden by noise."""
    config = make_config(name)
    changes = {}
    for key, value in vars(config).items():
        if "dropout" in key:
            changes[key] = dict.fromkeys(value, 0.0) if isinstance(value, dict) else 0.0
    return make_system(name, **changes, weight_decay=0.0)


def make_batch(clips=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for modality in MODALITIES:
        lengths = torch.randint(1, LONGEST[modality] + 1, (clips,), generator=generator)
        lengths[0], lengths[-1] = LONGEST[modality], 1
        values = torch.randn(clips, LONGEST[modality], WIDTHS[modality], generator=generator)
        mask = torch.arange(LONGEST[modality]) < lengths[:, None]
        batch[modality] = Sequences(values.masked_fill(~mask[..., None], 0.0), lengths)
    return batch


def make_labels(clips=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {task: torch.rand(clips, generator=generator) * 1.8 - 0.9 for task in TASKS}


def choose(batch, indices):
    """The clips at `indices`, padded to the longest of them."""
    chosen = {}
    for modality, sequences in batch.items():
        lengths = sequences.lengths[indices]
        chosen[modality] = Sequences(sequences.values[indices, : int(lengths.max())], lengths)
    return chosen


def test_every_configuration_has_a_system_and_every_system_a_configuration():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_padding_changes_no_output(name):
    system, batch = make_system(name).eval(), make_batch()
    padded = {}
    for modality, (values, lengths) in batch.items():
        garbage = torch.full((len(lengths), 5, values.shape[2]), 1e3)
        longer = torch.cat([values, garbage], dim=1)
        beyond = torch.arange(longer.shape[1]) >= lengths[:, None]
        padded[modality] = Sequences(longer.masked_fill(beyond[..., None], 1e3), lengths)
    with torch.no_grad():
        expected, outputs = system(batch), system(padded)
    for task in system.task_weights:
        assert torch.allclose(outputs[task], expected[task], atol=1e-5)


@pytest.mark.parametrize("name", SYSTEMS)
def test_order_and_company_in_a_batch_change_no_output(name):
    system, batch = make_system(name).eval(), make_batch()
    order = [3, 5, 0, 1, 4, 2]
    with torch.no_grad():
        expected, shuffled = system(batch), system(choose(batch, order))
        alone = [system(choose(batch, [index])) for index in range(6)]
    for task in system.task_weights:
        assert torch.allclose(shuffled[task], expected[task][order], atol=1e-5)
        assert torch.allclose(torch.cat([output[task] for output in alone]), expected[task], atol=1e-5)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_parameter_gets_a_gradient_and_is_in_one_optimiser_group(name):
    system = without_dropout(name).train()
    for seed in range(3):  # a unit behind a ReLU may be silent for one batch
        # An odd number of clips: the signs that the L1 loss hands to the last bias cannot cancel.
        system.loss(system(make_batch(5, seed)), make_labels(5, seed)).backward()
    silent = [key for key, parameter in system.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert silent == []
    grouped = [id(parameter) for group in system.parameter_groups() for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in system.parameters())


@pytest.mark.parametrize("name", SYSTEMS)
def test_overfits_16_clips(name):
    system = without_dropout(name).train()
    batch, labels = make_batch(16, seed=1), make_labels(16, seed=1)
    groups = [{**group, "lr": 0.003, "weight_decay": 0.0} for group in system.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    for _ in range(600):
        optimizer.zero_grad()
        loss = system.loss(system(batch), labels)
        if loss < 0.1 * sum(system.task_weights.values()):
            break
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * sum(system.task_weights.values())


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_training_step_repeats_bit_for_bit(name):
    def step():
        system = make_system(name, seed=7).train()
        optimizer = torch.optim.Adam(system.parameter_groups(), lr=0.01)
        system.loss(system(make_batch()), make_labels()).backward()
        optimizer.step()
        return system.state_dict()

    first, second = step(), step()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_absent_labels_count_in_no_mean():
    system = make_system("mlf_dnn")
    outputs = {task: torch.tensor([0.5, 0.5]) for task in TASKS}
    labels = {task: torch.tensor([0.0, torch.nan]) for task in TASKS} | {"V": torch.tensor([torch.nan, torch.nan])}
    weights = system.task_weights
    assert system.loss(outputs, labels).item() == pytest.approx(0.5 * (weights["M"] + weights["T"] + weights["A"]))


@pytest.mark.parametrize("alignment", ["ctc", "avg_pool"])
@pytest.mark.parametrize("name", ["ef_lstm", "mfn"])
def test_both_alignments_serve(name, alignment):
    outputs = make_system(name, alignment=alignment).eval()(make_batch())
    assert torch.isfinite(outputs["M"]).all()


def test_padded_mean_divides_by_the_longest_clip_of_the_corpus():
    batch = make_batch()
    means = make_system("lf_dnn").eval()
    padded = make_system("lf_dnn", pooling="padded_mean").eval()
    full = choose(batch, [0])  # as long as the corpus's longest in every modality: both means are the same
    short = choose(batch, [5])
    assert torch.allclose(means(full)["M"], padded(full)["M"], atol=1e-6)
    assert not torch.allclose(means.represent(short)["audio"], padded.represent(short)["audio"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tfn", {"batchsize": 3}, "unknown key 'batchsize'; did you mean 'batch_size'"),
        ("tfn", {"batch_size": "3"}, "key 'batch_size'"),
        ("tfn", {"learning_rate": "5e-4"}, "not 5e-4"),
        ("tfn", {"hidden": {"text": 3, "audio": 3}}, "key 'hidden' needs one value for each of text, audio, vision"),
        ("lf_dnn", {"task_weights": {"M": 1.0, "A": 1.0}}, "each task of 'head_hidden'"),
        ("mult", {"kernel": {"text": 4, "audio": 1, "vision": 1}}, "even kernel"),
        ("mult", {"heads": 3}, "'width'"),
        ("unimodal_text", {"task": "B"}, "'task'"),
        ("lf_dnn", {"pooling": "max"}, "'pooling'"),
    ],
)
def test_a_wrong_value_is_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        make_config(name, **changes)


def test_a_missing_key_is_named():
    with pytest.raises(ValueError, match="missing key 'rank'"):
        values = {key: value for key, value in vars(make_config("lmf")).items() if key != "rank"}
        build_config(load_system("lmf").config_class, values)


def test_a_task_without_weight_is_refused():
    with pytest.raises(ValueError, match="task weight V"):
        make_system("mlf_dnn", task_weights={"M": 1.0, "T": 1.0, "A": 1.0, "V": 0.0})
