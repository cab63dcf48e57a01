"""Write what the reference gives for weights and inputs by rule: numbers.json.

MMSA_FOLDER=/path/to/unpacked/MMSA-2.2.1 python -m tests.reference.make_numbers
"""

import json
import os
from pathlib import Path

import torch

from tests.reference.generated_labels import labels_of_mmsa
from tests.reference.mmsa import REFERENCES, build, ours, run, tasks_of, their_loss, with_weights_of
from tests.reference.mmsa_weights import part

NUMBERS = Path(__file__).with_name("numbers.json")


def numbers_of(name: str, folder: Path) -> dict:
    """Outputs in evaluation mode, then loss and norm of each gradient of a training step, of MMSA's network."""
    reference = REFERENCES[name]
    system = ours(name)
    network = build(folder, reference)
    with_weights_of(system, network, reference.weights())
    network.eval()
    with torch.no_grad():
        outputs = run(network, reference)
    tasks = tasks_of(system)
    network.train()
    loss = their_loss(folder, network, name, tasks)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    return {
        "outputs": {task: outputs[task].tolist() for task in tasks},
        "loss": loss.item(),
        "gradient_norms": {name: part(gradients, other).norm().item() for name, other, _ in reference.weights()},
    }


def main() -> None:
    folder = Path(os.environ["MMSA_FOLDER"])
    content = {
        "source": "MMSA 2.2.1",
        "systems": {name: numbers_of(name, folder) for name in REFERENCES},
        "generated_labels": [{name: values.tolist() for name, values in epoch.items()} for epoch in labels_of_mmsa(folder)],
    }
    NUMBERS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
