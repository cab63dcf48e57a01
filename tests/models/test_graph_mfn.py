"""Known answers of Graph-MFN: its graph and its steps."""

import pytest
import torch

from models.graph_mfn import (
    EDGES,
    OUTPUT,
    SOURCES,
    DynamicFusionGraph,
    GraphMFN,
    GraphMFNConfig,
    step_before,
)
from models.system import MODALITIES, Sequences

WIDTHS = {"text": 6, "audio": 4, "vision": 5}
LENGTHS = {"text": 4, "audio": 6, "vision": 5}


def make_system(**changes):
    torch.manual_seed(0)
    values = {"hidden": {"text": 6, "audio": 3, "vision": 5}, "memory": 4, "vertex": 7, "update_hidden": 8}
    values |= {"retain_hidden": 3, "write_hidden": 4, "output_hidden": 5}
    dropout = {"update_dropout": 0.0, "retain_dropout": 0.0, "write_dropout": 0.0, "output_dropout": 0.0}
    return GraphMFN(GraphMFNConfig(**values | dropout | changes, batch_size=2, learning_rate=0.01), WIDTHS, LENGTHS)


def test_edges_lead_from_a_subset_to_those_that_hold_it_and_to_the_output():
    assert len(EDGES) == len(set(EDGES)) == 6 + 6 + 7
    assert SOURCES["text", "vision"] == [("text",), ("vision",)]
    assert len(SOURCES[MODALITIES]) == 6
    assert len(SOURCES[OUTPUT]) == 7


def test_closed_edges_pass_nothing():
    torch.manual_seed(0)
    graph = DynamicFusionGraph({"text": 2, "audio": 3, "vision": 4}, vertex=5)
    singles = {"text": torch.randn(7, 2), "audio": torch.randn(7, 3), "vision": torch.randn(7, 4)}
    assert graph(singles).shape == (7, 5)
    assert not torch.allclose(graph(singles)[0], graph(singles)[1])
    with torch.no_grad():
        graph.efficacies[-1].weight.zero_()
        graph.efficacies[-1].bias.zero_()
        expected = graph.maps["output"](torch.zeros(1, 2 + 3 + 4 + 4 * 5))
        assert torch.allclose(graph(singles), expected.expand(7, 5), atol=1e-6)


def test_one_open_path_carries_its_modality_alone():
    torch.manual_seed(0)
    graph = DynamicFusionGraph({"text": 2, "audio": 2, "vision": 2}, vertex=3)
    opened = {(("audio",), ("audio", "vision")), (("audio", "vision"), OUTPUT)}
    with torch.no_grad():
        graph.efficacies[-1].weight.zero_()
        graph.efficacies[-1].bias[:] = torch.tensor([float(edge in opened) for edge in EDGES])
    singles = {modality: torch.randn(1, 2, requires_grad=True) for modality in MODALITIES}
    graph(singles).sum().backward()
    assert singles["audio"].grad.any()
    assert not singles["text"].grad.any()
    assert not singles["vision"].grad.any()


def test_the_step_before_the_first_is_zero():
    assert step_before(torch.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("alignment", ["ctc", "avg_pool"])
def test_both_alignments_serve_and_see_no_padding(alignment):
    system = make_system(alignment=alignment).eval()
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([4, 1])
    batch = {m: Sequences(torch.randn(2, LENGTHS[m], WIDTHS[m], generator=generator), lengths) for m in MODALITIES}
    expected = system(batch)["M"]
    expected.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in system.parameters())
    for sequences in batch.values():
        sequences.values[~sequences.mask] = 100.0
    assert torch.isfinite(expected).all()
    assert torch.allclose(system(batch)["M"], expected, atol=1e-5)


def test_an_unknown_alignment_is_named():
    with pytest.raises(ValueError, match="'alignment'"):
        make_system(alignment="words")
