"""What holds for every system: padding, gradients, batches, learning, reproducibility."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models import SYSTEMS, load_system
from models.estimator import Estimator
from models.system import TASKS, Sequences, build_config
from tests.models.small import CONFIGS, choose, configuration, random_batch, small_encoder

WIDTHS = {"text": 12, "audio": 5, "vision": 9}
LONGEST = {"text": 8, "audio": 14, "vision": 7}
NETWORKS = [name for name in SYSTEMS if not issubclass(load_system(name), Estimator)]
SMALL_TENSOR = {"hidden": {"text": 16, "audio": 8, "vision": 16}, "text_out": 12}
SMALL_CONTRAST = {
    "encoder_epochs": {"text": 1, "audio": 2, "vision": 2},
    "frame_width": 16,
    "frame_heads": 2,
    "frame_feed_forward": 32,
    "frozen_encoders": ["text", "audio", "vision"],
    "width": 16,
    "classifier": [32, 16],
    "unimodal_classifier": [16],
}
SMALL = {
    "confede": SMALL_CONTRAST,
    "sfttr": SMALL_CONTRAST | {"fusion_heads": 2, "fusion_feed_forward": 32},
    "almt": {"width": 16, "heads": 2, "head_width": 8, "hyper_head_width": 4, "feed_forward": 16},
    "text_guided": {"width": 16, "heads": 2},
    "tfn": SMALL_TENSOR,
    "mtfn": SMALL_TENSOR,
    "mult": {"width": 20, "heads": 4},
    "misa": {"hidden": {"audio": 5, "vision": 9}, "width": 32, "feed_forward": 64},
    "ps_mixer": {"hidden": {"audio": 5, "vision": 9}, "width": 32},
}

# ALMT's hyper-modality begins as ones, which a normalisation brings to 0 until the first step: test_almt.py.
SILENT_AT_FIRST = {"almt": ["hyper_updates.0.norms.hyper.weight"]}


def make_config(name, **changes):
    return configuration(name, **SMALL.get(name, {}) | changes)


def make_system(name, seed=0, encoder_dropout=0.1, **changes):
    torch.manual_seed(seed)
    system_class, config = load_system(name), make_config(name, **changes)
    if not system_class.reads_tokens:
        return system_class(config, WIDTHS, LONGEST)
    return system_class(config, WIDTHS, LONGEST, small_encoder(config, encoder_dropout))


def without_dropout(name):
    """The system with every dropout at 0, so that what it can learn is not hidden by noise."""
    config = make_config(name)
    changes = {}
    for key, value in vars(config).items():
        if "dropout" in key:
            changes[key] = dict.fromkeys(value, 0.0) if isinstance(value, dict) else 0.0
    return make_system(name, encoder_dropout=0.0, **changes, weight_decay=0.0)


def make_batch(clips=6, seed=0):
    return random_batch(WIDTHS, LONGEST, clips, seed)


def make_labels(clips=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {task: torch.rand(clips, generator=generator) * 1.8 - 0.9 for task in TASKS}


class SmallCorpus:
    """What a system sees of a corpus while it trains."""

    def __init__(self, clips, seed=0):
        self.all, self.labels, self.count = make_batch(clips, seed), make_labels(clips, seed), clips

    def batch(self, indices):
        return choose(self.all, indices)

    def batch_labels(self, indices):
        return {task: labels[torch.as_tensor(indices)] for task, labels in self.labels.items()}


def test_every_configuration_has_a_system_and_every_system_a_configuration():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(SYSTEMS)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_no_output(name):
    system, batch = make_system(name).eval(), make_batch()
    padded = {}
    for modality, (values, lengths) in batch.items():
        garbage = 1 if modality == "tokens" else 1e3
        longer = torch.cat([values, torch.full_like(values[:, :5], garbage)], dim=1)
        beyond = ~Sequences(longer, lengths).mask
        padded[modality] = Sequences(longer.masked_fill(beyond if longer.ndim == 2 else beyond[..., None], garbage), lengths)
    with torch.no_grad():
        expected, outputs = system(batch), system(padded)
    for task in set(TASKS) & set(outputs):
        assert torch.allclose(outputs[task], expected[task], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_order_and_company_in_a_batch_change_no_output(name):
    system, batch = make_system(name).eval(), make_batch()
    order = [3, 5, 0, 1, 4, 2]
    with torch.no_grad():
        expected, shuffled = system(batch), system(choose(batch, order))
        alone = [system(choose(batch, [index])) for index in range(6)]
    for task in set(TASKS) & set(expected):
        assert torch.allclose(shuffled[task], expected[task][order], atol=1e-5)
        assert torch.allclose(torch.cat([output[task] for output in alone]), expected[task], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient_and_is_in_one_optimiser_group(name):
    system = without_dropout(name)
    # An odd number of clips: the signs that the L1 loss hands to the last bias cannot cancel.
    corpus = SmallCorpus(15)
    for epoch in range(1, system.pretraining_epochs + 4):  # a unit behind a ReLU may be silent for one batch
        system.begin_epoch(epoch, corpus, np.arange(15))
        system.train()
        for chosen in np.array_split(np.random.default_rng(epoch).permutation(15), 3):
            system.training_loss(corpus, chosen).backward()
    trained = {key: parameter for key, parameter in system.named_parameters() if parameter.requires_grad}
    silent = [key for key, parameter in trained.items() if parameter.grad is None or not parameter.grad.any()]
    assert silent == SILENT_AT_FIRST.get(name, [])
    grouped = [id(parameter) for group in system.parameter_groups() for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in trained.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_overfits_16_clips(name):
    system, corpus, clips = without_dropout(name), SmallCorpus(16, seed=1), np.arange(16)
    groups = [{**group, "lr": 0.003, "weight_decay": 0.0} for group in system.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    labels, error = corpus.batch_labels(clips), np.inf
    for epoch in range(1, 601):
        system.begin_epoch(epoch, corpus, clips)
        system.train()
        optimizer.zero_grad()
        system.training_loss(corpus, clips).backward()
        optimizer.step()
        if epoch % 20 == 0:
            with torch.no_grad():
                outputs = system(corpus.batch(clips))  # in training mode: its batch is all there is
            error = max((outputs[task] - labels[task]).abs().mean() for task in system.task_weights)
            if error < 0.1:
                break
    assert error < 0.1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_repeats_bit_for_bit(name):
    def step():
        system, corpus = make_system(name, seed=7), SmallCorpus(12)
        optimizer = torch.optim.Adam(system.parameter_groups(), lr=0.01)
        for epoch in range(1, system.pretraining_epochs + 3):
            system.begin_epoch(epoch, corpus, np.arange(12))
            system.train()
            optimizer.zero_grad()
            system.training_loss(corpus, np.arange(12)).backward()
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


class Numberless(SmallCorpus):
    """A corpus of tensors that have a shape but no numbers: whoever asks for one, as for the length of a clip, fails."""

    def batch(self, indices):
        return {name: Sequences(values.to("meta"), lengths.to("meta")) for name, (values, lengths) in self.all.items()}

    def batch_labels(self, indices):
        return {task: labels.to("meta") for task, labels in self.labels.items()}


@pytest.mark.parametrize("name", [name for name in NETWORKS if load_system(name).repeats_steps])
def test_a_training_step_waits_for_no_number(name):
    """What a step does depends on shapes alone, so that on a GPU nothing is waited for and steps can be replayed."""
    system, corpus = make_system(name).to("meta").train(), Numberless(6)
    for epoch in (1, 2, 3):
        system.begin_epoch(epoch, corpus, np.arange(6))
        system.training_loss(corpus, torch.arange(6)).backward()


@pytest.mark.parametrize("name", [name for name in NETWORKS if not load_system(name).repeats_steps])
def test_a_step_with_contrast_waits_for_no_number(name):
    """How many clips are compared is drawn on the processor; nothing computed is asked for."""
    asked = []

    class Corpus(SmallCorpus):
        def batch(self, indices):
            return {name: Sequences(values[indices], lengths[indices]) for name, (values, lengths) in self.all.items()}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            asked.append(str(function))
            return function(*arguments, **(options or {}))

    system, corpus = make_system(name).train(), Corpus(12)
    for epoch in range(1, system.pretraining_epochs + 2):
        system.begin_epoch(epoch, corpus, np.arange(12))
        with Watch():
            system.training_loss(corpus, np.arange(6)).backward()
    assert "aten.logsumexp.default" in asked
    assert not [name for name in asked if "_local_scalar_dense" in name or "nonzero" in name]
