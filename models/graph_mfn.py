"""Graph-MFN: the Dynamic Fusion Graph (Zadeh et al., CMU-MOSEI, ACL 2018, section 4) in place of MFN's attention.

Input is aligned as in CH-SIMS (ACL 2020, section 5.1). The graph has a vertex for each non-empty subset of the
modalities and one for its output; an edge leads from a subset to every larger subset that holds it, and from every subset
to the output. What passes an edge is multiplied by the edge's efficacy, a number found from the vertices of single modalities.

Where paper and public code (MMSA, with which the row of CH-SIMS was made) part, this follows the code: the vertex of a modality
is made of its LSTM's states, not its cells, at two steps in a row; vertices and efficacies are linear, and an efficacy is not
squashed to (0, 1).
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import TextAligned, at_true_frames, last_step
from models.mfn import GatedMemoryConfig, network
from models.system import MODALITIES, Batch, System

SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size)]
OUTPUT = ("output",)
SOURCES = {subset: [other for other in SUBSETS if set(other) < set(subset)] for subset in SUBSETS if len(subset) > 1}
SOURCES[OUTPUT] = SUBSETS
NARROW = 100  # width between the two linear layers of a vertex
EDGES = [(source, target) for target, sources in SOURCES.items() for source in sources]


@dataclass(frozen=True, kw_only=True)
class GraphMFNConfig(GatedMemoryConfig):
    vertex: int  # width of the vertices of two and three modalities and of the output
    update_hidden: int
    update_dropout: float


def step_before(states: Tensor) -> Tensor:
    """Each step's predecessor, zeros before the first: [B, L, H] -> [B, L, H]."""
    return F.pad(states, (0, 0, 1, 0))[:, :-1]


class DynamicFusionGraph(nn.Module):
    """Seven vertices of subsets and an output vertex, each a linear map of what its sources send it.

    Parameters
    ----------
    widths : dict of str to int
        Width of each single-modality vertex, which is given.
    vertex : int
        Width of all other vertices.
    """

    def __init__(self, widths: dict[str, int], vertex: int):
        super().__init__()
        sizes = {subset: widths[subset[0]] if len(subset) == 1 else vertex for subset in SUBSETS}
        self.maps = nn.ModuleDict(
            {
                "_".join(target): nn.Sequential(
                    nn.Linear(sum(sizes[source] for source in sources), NARROW), nn.Linear(NARROW, vertex)
                )
                for target, sources in SOURCES.items()
            }
        )
        self.efficacies = nn.Sequential(
            nn.Linear(sum(widths.values()), NARROW), nn.Linear(NARROW, vertex), nn.Linear(vertex, len(EDGES))
        )

    def forward(self, singles: dict[str, Tensor]) -> Tensor:
        """{modality: Tensor [shape=(..., width)]} -> Tensor [shape=(..., vertex)]."""
        vertices = {(modality,): singles[modality] for modality in MODALITIES}
        every_efficacy = self.efficacies(torch.cat([singles[m] for m in MODALITIES], dim=-1))
        efficacy = dict(zip(EDGES, every_efficacy.split(1, dim=-1), strict=True))
        for target, sources in SOURCES.items():  # smaller subsets first: their vertices exist when they are read
            sent = [efficacy[source, target] * vertices[source] for source in sources]
            vertices[target] = self.maps["_".join(target)](torch.cat(sent, dim=-1))
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
    """One LSTM per modality, the fusion graph over their states at two steps in a row, and MFN's gated memory."""

    config_class = GraphMFNConfig

    def __init__(self, config: GraphMFNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        hidden = config.hidden
        self.aligned = TextAligned(config.alignment, widths, lengths["text"])
        self.lstms = nn.ModuleDict({m: nn.LSTM(widths[m], hidden[m], batch_first=True) for m in MODALITIES})
        self.windows = nn.ModuleDict({m: nn.Linear(2 * hidden[m], hidden[m]) for m in MODALITIES})  # of [h_(t-1); h_t]
        self.graph = DynamicFusionGraph(hidden, config.vertex)
        self.update = network(config.vertex, config.update_hidden, config.memory, config.update_dropout)
        self.retain = Gate(config.vertex, config.memory, config.retain_hidden, config.retain_dropout)
        self.write = Gate(config.vertex, config.memory, config.write_hidden, config.write_dropout)
        self.output = network(sum(hidden.values()) + config.memory, config.output_hidden, 1, config.output_dropout)

    def _fused(self, windows: Tensor) -> Tensor:
        """The update and what the two gates see, of single steps, joined: [..., 2 * sum of hidden] -> [..., sum of theirs]."""
        parts = windows.split([2 * self.config.hidden[m] for m in self.windows], dim=-1)
        singles = {m: window(part).relu() for (m, window), part in zip(self.windows.items(), parts, strict=True)}
        fused = self.graph(singles)
        return torch.cat([self.update(fused).tanh(), self.retain.seen(fused), self.write.seen(fused)], dim=-1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        aligned = self.aligned(batch)
        hidden = {modality: lstm(aligned[modality].values)[0] for modality, lstm in self.lstms.items()}
        # The graph depends on the states only: all true steps at once. The memory alone needs a loop.
        windows = torch.cat([part for states in hidden.values() for part in (step_before(states), states)], dim=2)
        found = at_true_frames(self._fused, windows, aligned["text"].mask)
        steps = found.split([self.config.memory, self.config.retain_hidden, self.config.write_hidden], dim=2)
        memory = torch.zeros_like(steps[0][:, 0])
        memories = []
        for update, retain, write in zip(*(step.unbind(1) for step in steps), strict=True):
            memory = self.retain(retain, memory) * memory + self.write(write, memory) * update
            memories.append(memory)
        final = torch.cat([*hidden.values(), torch.stack(memories, dim=1)], dim=2)
        return {"M": self.output(last_step(final, batch["text"].lengths)).flatten()}
