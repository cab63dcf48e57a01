"""Known answers of the CNN baseline."""

import pytest
import torch

from models.cnn import CNN, CNNConfig, SequenceCNN
from models.layers import masked_max
from models.system import Sequences

WIDTHS = {"text": 6, "audio": 4, "vision": 5}
LENGTHS = {"text": 4, "audio": 6, "vision": 5}


def make_config(**changes):
    values = {"kernels": [3], "filters": 7, "text_out": 5, "output_hidden": 6, "dropout": 0.0}
    return CNNConfig(**values | changes, batch_size=2, learning_rate=0.01)


def make_batch(lengths):
    generator = torch.Generator().manual_seed(0)
    return {
        modality: Sequences(torch.randn(2, LENGTHS[modality], width, generator=generator), torch.tensor(lengths))
        for modality, width in WIDTHS.items()
    }


def test_largest_value_is_of_true_frames():
    values = torch.tensor([[[-3.0], [-1.0], [9.0]], [[-5.0], [2.0], [4.0]]])
    assert masked_max(Sequences(values, torch.tensor([2, 3]))).tolist() == [[-1.0], [4.0]]


def test_convolution_by_hand():
    network = SequenceCNN(width=1, filters=1, kernels=[3])
    with torch.no_grad():
        network.convolutions[0].weight[:] = torch.tensor([[[1.0, 10.0, 100.0]]])
        network.convolutions[0].bias.zero_()
        # Frames 1, 2 and a padded one: 10 + 200 at the first, 1 + 20 at the second.
        padded = network(Sequences(torch.tensor([[[1.0], [2.0], [7.0]]]), torch.tensor([2])))
        alone = network(Sequences(torch.tensor([[[-1.0]]]), torch.tensor([1])))
    assert padded.tolist() == [[210.0]]
    assert alone.tolist() == [[0.0]]


def test_of_the_text_only_the_first_token_counts():
    torch.manual_seed(0)
    system, batch = CNN(make_config(), WIDTHS, LENGTHS).eval(), make_batch([3, 4])
    expected = system(batch)["M"]
    values = batch["text"].values.clone()
    values[:, 1:] += 1.0
    assert torch.equal(system(batch | {"text": Sequences(values, batch["text"].lengths)})["M"], expected)
    values[:, 0] += 1.0
    assert not torch.equal(system(batch | {"text": Sequences(values, batch["text"].lengths)})["M"], expected)


def test_clips_shorter_than_a_kernel_pass():
    system = CNN(make_config(kernels=[3, 7]), WIDTHS, LENGTHS).eval()
    assert torch.isfinite(system(make_batch([1, 1]))["M"]).all()


@pytest.mark.parametrize("kernels", [[], [4], [3, -1]])
def test_kernels_are_odd(kernels):
    with pytest.raises(ValueError, match="'kernels'"):
        make_config(kernels=kernels)
