"""Graph-MFN: the Dynamic Fusion Graph (Zadeh et al., CMU-MOSEI, ACL 2018, section 4) in place of MFN's attention.

Input is aligned as in CH-SIMS (ACL 2020, section 5.1). The graph has a vertex for each non-empty subset of the
modalities and one for its output; an edge leads from a subset to every larger subset that holds it, and from every subset
to the output. What passes an edge is multiplied by the edge's efficacy, a number in (0, 1) found from the LSTMs' cells.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import TextAligned, last_step
from models.mfn import GatedMemoryConfig, network
from models.system import MODALITIES, Batch, System

SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size)]
OUTPUT = ("output",)
SOURCES = {subset: [other for other in SUBSETS if set(other) < set(subset)] for subset in SUBSETS if len(subset) > 1}
SOURCES[OUTPUT] = SUBSETS
EDGES = [(source, target) for target, sources in SOURCES.items() for source in sources]


@dataclass(frozen=True, kw_only=True)
class GraphMFNConfig(GatedMemoryConfig):
    vertex: int  # width of the vertices of two and three modalities and of the output
    graph_hidden: int  # of the networks of vertices and efficacies
    graph_dropout: float


def lstm_gates(lstm: nn.LSTM, values: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """What a one-layer LSTM keeps of its cells, and what it adds to them, at n steps: two Tensors [shape=(n, H)].

    `nn.LSTM` is fast but gives the hidden states alone. With those known, the gates of all steps follow at once from
    each step's input `values` [shape=(n, D)] and the hidden state `before` it [shape=(n, H)]:
    cell[t] = kept[t] * cell[t - 1] + added[t].
    """
    gates = F.linear(values, lstm.weight_ih_l0, lstm.bias_ih_l0) + F.linear(before, lstm.weight_hh_l0, lstm.bias_hh_l0)
    write, keep, new, _ = gates.chunk(4, dim=1)
    return keep.sigmoid(), write.sigmoid() * new.tanh()


def recurrence(kept: Tensor, added: Tensor) -> Tensor:
    """state[t] = kept[t] * state[t - 1] + added[t], from state 0: [B, L, H]."""
    state = torch.zeros_like(added[:, 0])
    states = []
    for kept_step, added_step in zip(kept.unbind(1), added.unbind(1), strict=True):
        state = torch.addcmul(added_step, kept_step, state)
        states.append(state)
    return torch.stack(states, dim=1)


def step_before(states: Tensor) -> Tensor:
    """Each step's predecessor, zeros before the first: [B, L, H] -> [B, L, H]."""
    return F.pad(states, (0, 0, 1, 0))[:, :-1]


def in_place(found: Tensor, mask: Tensor) -> Tensor:
    """What was found for the true steps alone, back in its place among zeros: [n, H] -> [B, L, H]; mask [B, L]."""
    steps = found.new_zeros(*mask.shape, found.shape[1])
    steps[mask] = found
    return steps


class DynamicFusionGraph(nn.Module):
    """Seven vertices of subsets and an output vertex, each the network of what its sources send it.

    Parameters
    ----------
    widths : dict of str to int
        Width of each single-modality vertex, which is given.
    vertex, hidden, dropout
        Width of all other vertices; hidden width and dropout of the networks.
    """

    def __init__(self, widths: dict[str, int], vertex: int, hidden: int, dropout: float):
        super().__init__()
        sizes = {subset: widths[subset[0]] if len(subset) == 1 else vertex for subset in SUBSETS}
        self.networks = nn.ModuleDict(
            {
                "_".join(target): network(sum(sizes[source] for source in sources), hidden, vertex, dropout)
                for target, sources in SOURCES.items()
            }
        )
        self.efficacies = network(sum(widths.values()), hidden, len(EDGES), dropout)

    def forward(self, singles: dict[str, Tensor]) -> Tensor:
        """{modality: Tensor [shape=(..., width)]} -> Tensor [shape=(..., vertex)]."""
        vertices = {(modality,): singles[modality] for modality in MODALITIES}
        every_efficacy = self.efficacies(torch.cat([singles[m] for m in MODALITIES], dim=-1)).sigmoid()
        efficacy = dict(zip(EDGES, every_efficacy.split(1, dim=-1), strict=True))
        for target, sources in SOURCES.items():  # smaller subsets first: their vertices exist when they are read
            sent = [efficacy[source, target] * vertices[source] for source in sources]
            vertices[target] = self.networks["_".join(target)](torch.cat(sent, dim=-1))
        return vertices[OUTPUT]


class Gate(nn.Module):
    """sigmoid(network([fused; memory])), its share of the fused input found for all steps at once (`seen`)."""

    def __init__(self, fused: int, memory: int, hidden: int, dropout: float):
        super().__init__()
        self.seen = nn.Linear(fused, hidden)
        self.recalled = nn.Linear(memory, hidden, bias=False)
        self.open = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, memory), nn.Sigmoid())

    def forward(self, seen: Tensor, memory: Tensor) -> Tensor:
        return self.open(seen + self.recalled(memory))


class GraphMFN(System):
    """One LSTM per modality, the fusion graph over their cells at two steps in a row, and MFN's gated memory."""

    config_class = GraphMFNConfig

    def __init__(self, config: GraphMFNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        self.aligned = TextAligned(config.alignment, widths, lengths["text"])
        self.lstms = nn.ModuleDict({m: nn.LSTM(widths[m], config.hidden[m], batch_first=True) for m in MODALITIES})
        windows = {modality: 2 * config.hidden[modality] for modality in MODALITIES}  # [c_(t-1); c_t]
        self.graph = DynamicFusionGraph(windows, config.vertex, config.graph_hidden, config.graph_dropout)
        self.update = nn.Linear(config.vertex, config.memory)
        self.retain = Gate(config.vertex, config.memory, config.retain_hidden, config.retain_dropout)
        self.write = Gate(config.vertex, config.memory, config.write_hidden, config.write_dropout)
        states = sum(config.hidden.values())
        self.output = network(states + config.memory, config.output_hidden, 1, config.output_dropout)

    def _run_lstms(self, aligned: Batch, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states and cells of the three LSTMs side by side: two Tensors [shape=(B, L, sum of hidden)]."""
        hidden = {modality: lstm(aligned[modality].values)[0] for modality, lstm in self.lstms.items()}
        gates = [
            lstm_gates(lstm, aligned[modality].values[mask], step_before(hidden[modality])[mask])
            for modality, lstm in self.lstms.items()
        ]
        kept, added = (in_place(torch.cat(parts, dim=1), mask) for parts in zip(*gates, strict=True))
        return torch.cat(list(hidden.values()), dim=2), recurrence(kept, added)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        aligned = self.aligned(batch)
        mask = aligned["text"].mask
        hidden, cells = self._run_lstms(aligned, mask)
        sizes = [self.config.hidden[modality] for modality in MODALITIES]
        windows = zip(step_before(cells)[mask].split(sizes, dim=1), cells[mask].split(sizes, dim=1), strict=True)
        # The graph depends on the cells only: all true steps at once. The memory alone needs a loop.
        fused = self.graph({m: torch.cat(window, dim=1) for m, window in zip(MODALITIES, windows, strict=True)})
        steps = [
            in_place(found, mask) for found in (self.update(fused).tanh(), self.retain.seen(fused), self.write.seen(fused))
        ]
        memory = torch.zeros_like(steps[0][:, 0])
        memories = []
        for update, retain, write in zip(*(step.unbind(1) for step in steps), strict=True):
            memory = self.retain(retain, memory) * memory + self.write(write, memory) * update
            memories.append(memory)
        final = torch.cat([hidden, torch.stack(memories, dim=1)], dim=2)
        return {"M": self.output(last_step(final, batch["text"].lengths)).flatten()}
