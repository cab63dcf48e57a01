"""Known answers of fusion, alignment and attention."""

import pytest
import torch

from models.attention import Attention
from models.layers import CTCAlignment, TextAligned, WindowAlignment, at_true_frames, byte_dropout, last_step, masked_mean
from models.lmf import LMF, LMFConfig
from models.mfn import MFN, MFNConfig
from models.mult import MulT, MulTConfig
from models.system import Sequences
from models.tfn import TensorLinear, _TensorLinear, whole_product

WIDTHS = {"text": 6, "audio": 4, "vision": 5}
LENGTHS = {"text": 4, "audio": 6, "vision": 5}


@pytest.mark.parametrize("dropped", [0, 77])
def test_the_two_ways_to_the_tensor_agree(dropped):
    """By blocks, as on a processor, and as a whole, as on a GPU, with the same random bytes: outputs and all gradients."""
    generator = torch.Generator().manual_seed(3)
    found = {}
    for product in (_TensorLinear.apply, whole_product):
        generator.manual_seed(3)
        inputs = [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((6, 9), (6, 20), (5, 180))]
        torch.manual_seed(4)
        out = product(*inputs, dropped)
        out.square().sum().backward()
        found[product] = [out, *(values.grad for values in inputs)]
    for one, other in zip(*found.values(), strict=True):
        assert (one - other).abs().max() < 1e-6 * one.abs().max()


def make_sequences(lengths, width, seed=0):
    lengths = torch.tensor(lengths)
    values = torch.randn(len(lengths), int(lengths.max()), width, generator=torch.Generator().manual_seed(seed))
    return Sequences(values, lengths)


def fusion_tensor(representations):
    """[1; t] x [1; a] x [1; v] as a whole: [B, (D_t + 1) (D_a + 1) (D_v + 1)]."""
    text, audio, vision = (torch.nn.functional.pad(values, (1, 0), value=1.0) for values in representations.values())
    return torch.einsum("bt,ba,bv->btav", text, audio, vision).flatten(1)


def make_representations(clips=5, dtype=torch.float64):
    widths = {"text": 10, "audio": 2, "vision": 3}  # 11 text entries: not a whole number of blocks
    torch.manual_seed(3)
    return {modality: torch.randn(clips, width, dtype=dtype, requires_grad=True) for modality, width in widths.items()}


def test_tensor_linear_is_a_linear_layer_on_the_fusion_tensor():
    representations = make_representations()
    layer = TensorLinear([10, 2, 3], 4, 0.5).double().eval()
    whole = torch.nn.functional.linear(fusion_tensor(representations), layer.weight, layer.bias)
    blocks = layer(**representations)
    assert torch.allclose(blocks, whole, atol=1e-12)
    inputs = [*representations.values(), layer.weight, layer.bias]
    expected = torch.autograd.grad(whole.square().sum(), inputs)
    gradients = torch.autograd.grad(blocks.square().sum(), inputs)
    for gradient, other in zip(gradients, expected, strict=True):
        assert torch.allclose(gradient, other, atol=1e-12)


def test_tensor_linear_has_the_gradient_of_what_it_computed_with_dropout():
    representations = make_representations(clips=2)
    layer = TensorLinear([10, 2, 3], 4, 0.4).double()

    def same_dropout(text, audio, vision, weight):
        torch.manual_seed(0)
        return layer(text, audio, vision)

    assert torch.autograd.gradcheck(same_dropout, (*representations.values(), layer.weight))


def test_tensor_linear_drops_each_entry_on_its_own_and_keeps_the_mean():
    """Columns of ones show what is left of the tensor's entries: with a weight for each, an output per entry."""
    clips, rate = 2000, 0.4
    layer = TensorLinear([10, 1, 1], 44, rate)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(44))
        layer.bias.zero_()
        torch.manual_seed(0)
        entries = layer(torch.ones(clips, 10), torch.ones(clips, 1), torch.ones(clips, 1))
    left = entries != 0
    assert entries[left].unique().numel() == 1
    assert entries.mean().item() == pytest.approx(1.0, abs=0.02)
    assert left.float().mean().item() == pytest.approx(1 - rate, abs=0.01)
    correlation = torch.corrcoef(left.float().T) - torch.eye(44)
    assert correlation.abs().max() < 0.12


def make_lmf(rank, hidden):
    config = LMFConfig(
        hidden=hidden,
        text_out=hidden["text"],
        dropout=0.0,
        rank=rank,
        factor_learning_rate=0.01,
        batch_size=2,
        learning_rate=0.01,
    )
    return LMF(config, WIDTHS, LENGTHS)


def test_lmf_equals_the_tensor_its_factors_make():
    torch.manual_seed(0)
    hidden = {"text": 3, "audio": 2, "vision": 4}
    system = make_lmf(5, hidden).double()
    with torch.no_grad():
        system.bias.fill_(0.3)
    text, audio, vision = (system.factors[modality] for modality in hidden)
    weight = torch.einsum("r,tr,ar,vr->tav", system.rank_weights, text, audio, vision).flatten()
    representations = {modality: torch.randn(7, width, dtype=torch.float64) for modality, width in hidden.items()}
    expected = fusion_tensor(representations) @ weight + 0.3
    assert torch.allclose(system.fuse(representations), expected, atol=1e-12)


def test_lmf_of_full_rank_can_be_any_tensor():
    """With a rank for each pair of audio and vision entries, the factors can hold an arbitrary weight tensor."""
    hidden = {"text": 3, "audio": 1, "vision": 2}
    sizes = (4, 2, 3)
    weight = torch.randn(sizes, generator=torch.Generator().manual_seed(1))
    system = make_lmf(sizes[1] * sizes[2], hidden)
    with torch.no_grad():
        system.rank_weights.fill_(1.0)
        system.factors["text"].copy_(weight.reshape(4, 6))
        system.factors["audio"].copy_(torch.eye(2).repeat_interleave(3, dim=1))
        system.factors["vision"].copy_(torch.eye(3).repeat(1, 2))
    representations = {modality: torch.randn(5, width) for modality, width in hidden.items()}
    assert torch.allclose(system.fuse(representations), fusion_tensor(representations) @ weight.flatten(), atol=1e-5)


@pytest.mark.parametrize("alignment", [CTCAlignment(5, 4), WindowAlignment()])
def test_alignment_is_a_convex_combination_of_true_frames(alignment):
    source = make_sequences([7, 2, 1], 5)
    text_lengths = torch.tensor([4, 3, 2])
    weights = alignment.weights(source, 4, text_lengths)
    true_steps = torch.arange(4) < text_lengths[:, None]
    assert weights.shape == (3, 4, 7)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(-1)[true_steps], torch.ones(int(true_steps.sum())), atol=1e-6)
    assert not weights.transpose(1, 2)[~source.mask].any()


def test_alignment_refuses_a_text_longer_than_it_was_made_for():
    batch = {"text": make_sequences([5], 3), "audio": make_sequences([7], 5), "vision": make_sequences([7], 5)}
    with pytest.raises(ValueError, match="a text of 5 tokens, but the system was made for 4"):
        TextAligned("ctc", {"audio": 5, "vision": 5}, 4)(batch)


def test_a_function_of_frames_sees_the_true_ones_alone():
    values, mask = torch.tensor([[[1.0], [torch.nan]], [[2.0], [3.0]]]), torch.tensor([[True, False], [True, True]])
    assert at_true_frames(lambda frames: 10 * frames, values, mask).tolist() == [[[10.0], [0.0]], [[20.0], [30.0]]]


def test_windows_are_local_and_follow_the_true_lengths():
    source = make_sequences([6, 3], 1)
    weights = WindowAlignment().weights(source, 3, torch.tensor([3, 2]))
    pairs = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]])
    assert torch.allclose(weights[0], pairs / 2)
    assert torch.allclose(weights[1, :2, :3], torch.tensor([[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]]))


def test_masked_mean_and_last_step_see_true_frames_only():
    sequences = Sequences(torch.tensor([[[1.0], [3.0], [99.0]], [[2.0], [99.0], [99.0]]]), torch.tensor([2, 1]))
    assert masked_mean(sequences).tolist() == [[2.0], [2.0]]
    assert last_step(sequences.values, sequences.lengths).tolist() == [[3.0], [2.0]]


def test_mfn_is_the_recurrence_of_the_paper():
    """The same network one step at a time: cells, attention over two cells in a row, gated memory."""
    torch.manual_seed(0)
    names = ("attention", "update", "retain", "write", "output")
    values = {f"{name}_hidden": 7 for name in names} | {f"{name}_dropout": 0.0 for name in names}
    hidden = {"text": 3, "audio": 2, "vision": 4}
    config = MFNConfig(hidden=hidden, memory=5, alignment="avg_pool", batch_size=1, learning_rate=0.01, **values)
    system = MFN(config, WIDTHS, LENGTHS).eval()
    batch = {modality: make_sequences([4], width, seed=3) for modality, width in WIDTHS.items()}  # already aligned
    states = {modality: (torch.zeros(1, width), torch.zeros(1, width)) for modality, width in hidden.items()}
    memory = torch.zeros(1, 5)
    with torch.no_grad():
        for step in range(4):
            before = [states[modality][1] for modality in hidden]
            for modality in hidden:
                states[modality] = system.cells[modality](batch[modality].values[:, step], states[modality])
            cells = torch.cat([*before, *(states[modality][1] for modality in hidden)], dim=1)
            attended = system.attention(cells).softmax(1) * cells
            both = torch.cat([attended, memory], dim=1)
            retained, written = system.retain(both).sigmoid(), system.write(both).sigmoid()
            memory = retained * memory + written * system.update(attended).tanh()
        expected = system.output(torch.cat([*(states[modality][0] for modality in hidden), memory], dim=1))
        assert torch.allclose(system(batch)["M"], expected.flatten(), atol=1e-6)


def test_attention_gives_padded_frames_no_weight():
    attention = Attention(8, 2, 0.0)
    source = make_sequences([5, 2], 8).values.requires_grad_()
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    attention(torch.randn(2, 3, 8), source, mask).sum().backward()
    assert not source.grad[1, 2:].any()
    assert source.grad[1, :2].any() and source.grad[0].any()


def test_attention_is_the_textbook_formula():
    torch.manual_seed(0)
    attention = Attention(6, 1, 0.0)
    target, source = torch.randn(1, 3, 6), torch.randn(1, 4, 6)
    scores = attention.query(target) @ attention.key(source).transpose(1, 2) / 6**0.5
    expected = attention.output(scores.softmax(-1) @ attention.value(source))
    assert torch.allclose(attention(target, source, torch.ones(1, 4, dtype=torch.bool)), expected, atol=1e-6)


def test_mult_attends_to_no_padded_frame():
    system = MulT(
        MulTConfig(
            width=8,
            heads=2,
            kernel={"text": 3, "audio": 3, "vision": 1},
            layers=2,
            memory_layers=2,
            attention_dropout=dict.fromkeys(WIDTHS, 0.0),
            residual_dropout=0.0,
            embedding_dropout=0.0,
            text_dropout=0.0,
            output_dropout=0.0,
            batch_size=2,
            learning_rate=0.01,
        ),
        WIDTHS,
        LENGTHS,
    ).eval()
    batch = {modality: make_sequences([4, 2], width) for modality, width in WIDTHS.items()}
    for sequences in batch.values():
        sequences.values.requires_grad_()
    system(batch)["M"].sum().backward()
    for sequences in batch.values():
        assert not sequences.values.grad[1, 2:].any()
        assert sequences.values.grad[1, :2].any(dim=-1).all()


def test_byte_dropout_drops_at_its_rate_keeps_the_mean_and_hands_back_the_same_mask():
    torch.manual_seed(0)
    values = torch.ones(300, 301, requires_grad=True)
    left = byte_dropout(values, 0.2)
    left.sum().backward()
    assert (left == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    assert left.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(values.grad, left)
    assert torch.equal(byte_dropout(values, 0.0), values)
