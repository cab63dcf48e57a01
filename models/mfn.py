"""MFN, Memory Fusion Network (Zadeh et al., AAAI 2018), on inputs aligned as in CH-SIMS (ACL 2020, section 5.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import TextAligned, last_step
from models.system import MODALITIES, Batch, Config, System, require_modalities


@dataclass(frozen=True, kw_only=True)
class MFNConfig(Config):
    hidden: dict[str, int]  # state of each modality's LSTM
    memory: int
    attention_hidden: int
    attention_dropout: float
    update_hidden: int
    update_dropout: float
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


def _network(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
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
        self.attention = _network(window, config.attention_hidden, window, config.attention_dropout)
        self.update = _network(window, config.update_hidden, memory, config.update_dropout)
        self.retain = _network(window + memory, config.retain_hidden, memory, config.retain_dropout)
        self.write = _network(window + memory, config.write_hidden, memory, config.write_dropout)
        self.output = _network(states + memory, config.output_hidden, 1, config.output_dropout)

    def _run_cells(self, values: Tensor, cell: nn.LSTMCell) -> tuple[Tensor, Tensor]:
        """States and cells of one modality at every step: two Tensors [shape=(B, L, H)]."""
        state = values.new_zeros(2, len(values), cell.hidden_size)
        steps = []
        for frame in values.unbind(1):
            state = cell(frame, (state[0], state[1]))
            steps.append(torch.stack(state))
        hidden, cells = torch.stack(steps, dim=2)
        return hidden, cells

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        aligned = self.aligned(batch)
        runs = [self._run_cells(aligned[modality].values, cell) for modality, cell in self.cells.items()]
        hidden = torch.cat([run[0] for run in runs], dim=2)
        cells = torch.cat([run[1] for run in runs], dim=2)
        before = torch.cat([torch.zeros_like(cells[:, :1]), cells[:, :-1]], dim=1)
        # Attention and update depend on the cells only: all steps at once. The memory alone needs a loop.
        window = torch.cat([before, cells], dim=2)
        attended = self.attention(window).softmax(-1) * window
        update = self.update(attended).tanh()
        memory = torch.zeros_like(update[:, 0])
        memories = []
        for attended_step, update_step in zip(attended.unbind(1), update.unbind(1), strict=True):
            both = torch.cat([attended_step, memory], dim=1)
            memory = self.retain(both).sigmoid() * memory + self.write(both).sigmoid() * update_step
            memories.append(memory)
        final = torch.cat([hidden, torch.stack(memories, dim=1)], dim=2)
        return {"M": self.output(last_step(final, batch["text"].lengths)).flatten()}
