"""MFN, Memory Fusion Network (Zadeh et al., AAAI 2018), on inputs aligned as in CH-SIMS (ACL 2020, section 5.1)."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import TextAligned, at_true_frames, last_step
from models.system import MODALITIES, Batch, Config, System, require_modalities


@dataclass(frozen=True, kw_only=True)
class GatedMemoryConfig(Config):
    """What MFN and Graph-MFN have in common: an LSTM per modality, a gated memory, an output."""

    hidden: dict[str, int]  # state of each modality's LSTM
    memory: int
    retain_hidden: int
    retain_dropout: float
    write_hidden: int
    write_dropout: float
    output_hidden: int
    output_dropout: float
    alignment: str = "ctc"  # or 'avg_pool'

    def __post_init__(self):
        super().__post_init__()
        require_modalities("hidden", self.hidden)


@dataclass(frozen=True, kw_only=True)
class MFNConfig(GatedMemoryConfig):
    attention_hidden: int
    attention_dropout: float
    update_hidden: int
    update_dropout: float


def network(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """Two linear layers with ReLU and dropout between them: [..., width] -> [..., out]."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, out))


class MFN(System):
    """One LSTM per modality, attention over their cells at two steps in a row, and a gated memory.

    The three parts of the paper's section "Memory Fusion Network": System of LSTMs, Delta-memory Attention Network and
    Multi-view Gated Memory.
    """

    config_class = MFNConfig

    def __init__(self, config: MFNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        self.aligned = TextAligned(config.alignment, widths, lengths["text"])
        self.cells = nn.ModuleDict({m: nn.LSTMCell(widths[m], config.hidden[m]) for m in MODALITIES})
        states = sum(config.hidden.values())
        window = 2 * states  # [c_(t-1); c_t]
        memory = config.memory
        self.attention = network(window, config.attention_hidden, window, config.attention_dropout)
        self.update = network(window, config.update_hidden, memory, config.update_dropout)
        self.retain = network(window + memory, config.retain_hidden, memory, config.retain_dropout)
        self.write = network(window + memory, config.write_hidden, memory, config.write_dropout)
        self.output = network(states + memory, config.output_hidden, 1, config.output_dropout)

    def _run_cells(self, aligned: Batch) -> tuple[Tensor, Tensor]:
        """States and cells of the three LSTMs at every step: two Tensors [shape=(B, L, sum of hidden)].

        They run side by side as one LSTM whose recurrent weight is block-diagonal; what comes from the frames is computed
        for all steps at once.
        """
        inputs, weights = [], []
        for modality, cell in self.cells.items():
            frames, mask = aligned[modality].values.transpose(0, 1), aligned[modality].mask.T
            # The largest product of all.
            project = partial(F.linear, weight=cell.weight_ih, bias=cell.bias_ih + cell.bias_hh)
            projected = at_true_frames(project, frames, mask)
            inputs.append(projected.unflatten(2, (4, -1)))  # input, forget, cell and output gate
            weights.append(cell.weight_hh.unflatten(0, (4, -1)))
        gates_of_frames = torch.cat(inputs, dim=3).flatten(2)
        recurrent = torch.cat([torch.block_diag(*gate) for gate in zip(*weights, strict=True)]).T
        hidden = cells = gates_of_frames.new_zeros(gates_of_frames.shape[1], len(recurrent))
        steps = []
        for gates_of_frame in gates_of_frames:
            take, forget, new, show = torch.addmm(gates_of_frame, hidden, recurrent).chunk(4, dim=1)
            cells = forget.sigmoid() * cells + take.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cells.tanh()
            steps.append((hidden, cells))
        all_hidden, all_cells = zip(*steps, strict=True)
        return torch.stack(all_hidden, dim=1), torch.stack(all_cells, dim=1)

    def _memories(self, attended: Tensor, update: Tensor) -> Tensor:
        """The gated memory at every step: [B, L, 2 * sum of hidden], [B, L, memory] -> [B, L, memory].

        What the gates take from the attended cells is computed for all steps at once.
        """
        window = attended.shape[2]
        gates = []
        for gate in (self.retain, self.write):
            first, _, dropout, second = gate
            attended_part = F.linear(attended, first.weight[:, :window], first.bias)
            gates.append((attended_part.unbind(1), first.weight[:, window:].T, dropout, second))
        memory = torch.zeros_like(update[:, 0])
        memories = []
        for step, update_step in enumerate(update.unbind(1)):
            retain, write = (
                second(dropout(torch.addmm(parts[step], memory, weight).relu())).sigmoid()
                for parts, weight, dropout, second in gates
            )
            memory = torch.addcmul(retain * memory, write, update_step)
            memories.append(memory)
        return torch.stack(memories, dim=1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        aligned = self.aligned(batch)
        hidden, cells = self._run_cells(aligned)
        before = torch.cat([torch.zeros_like(cells[:, :1]), cells[:, :-1]], dim=1)
        # Attention and update depend on the cells only: all steps at once. The memory alone needs a loop.
        window = torch.cat([before, cells], dim=2)
        attended = self.attention(window).softmax(-1) * window
        update = self.update(attended).tanh()
        final = torch.cat([hidden, self._memories(attended, update)], dim=2)
        return {"M": self.output(last_step(final, batch["text"].lengths)).flatten()}
