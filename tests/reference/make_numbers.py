"""Write what the reference gives for weights and inputs by rule: numbers.json.

MMSA_FOLDER=/path/to/unpacked/MMSA-2.2.1 python -m tests.reference.make_numbers
"""

import json
import os
from pathlib import Path

import torch

from tests.reference.mmsa import REFERENCES, build, loss_of, ours, part, run, with_weights_of
from tests.reference.rule import fill, frames, labels

NUMBERS = Path(__file__).with_name("numbers.json")


def numbers_of(name: str, folder: Path) -> dict:
    """Outputs in evaluation mode, then loss and norm of each gradient of a training step, of MMSA's network."""
    reference = REFERENCES[name]
    system = ours(name)
    fill(system)
    network = build(folder, reference)
    with_weights_of(system, network, reference.weights())
    network.eval()
    with torch.no_grad():
        outputs = run(network, reference.pooled, frames())
    tasks = list(system.task_weights)
    network.train()
    loss = loss_of(run(network, reference.pooled, frames()), labels(), tasks)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    return {
        "outputs": {task: outputs[task].tolist() for task in tasks},
        "loss": loss.item(),
        "gradient_norms": {name: part(gradients, other).norm().item() for name, other, _ in reference.weights()},
    }


def main() -> None:
    folder = Path(os.environ["MMSA_FOLDER"])
    content = {name: numbers_of(name, folder) for name in REFERENCES}
    NUMBERS.write_text(json.dumps({"source": "MMSA 2.2.1", "systems": content}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
