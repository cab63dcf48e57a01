"""Write what the reference gives for weights and inputs by rule: numbers.json.

    python -m tests.reference.make_numbers

with MMSA_FOLDER, ALMT_FOLDER, PS_MIXER_FOLDER, CONFEDE_FOLDER and SFTTR_FOLDER set: docs/public_code.md.
"""

import json
import os
from pathlib import Path

import torch

from tests.reference.contrast import loss_of_confede
from tests.reference.generated_labels import labels_of_mmsa
from tests.reference.published_values import published_values
from tests.reference.sequential_fusion import fusion_of_sfttr
from tests.reference.side_by_side import Reference, ours, part, tasks_of, their_loss, with_weights_of
from tests.reference.systems import REFERENCES

NUMBERS = Path(__file__).with_name("numbers.json")


def numbers_of(name: str, reference: Reference) -> dict:
    """Outputs in evaluation mode, then loss and norm of each gradient of a training step, of the reference's network."""
    folder = Path(os.environ[reference.folder])
    system = ours(name, reference)
    network = reference.build(folder)
    with_weights_of(system, network, reference.weights())
    network.eval()
    with torch.no_grad():
        outputs = reference.run(network)
    tasks = tasks_of(system)
    network.train()
    loss = their_loss(reference, folder, network, tasks)
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    return {
        "source": reference.source,
        "outputs": {task: outputs[task].tolist() for task in tasks},
        "loss": loss.item(),
        "gradient_norms": {name: part(gradients, other).norm().item() for name, other, _ in reference.weights()},
    }


def main() -> None:
    made = labels_of_mmsa(Path(os.environ["MMSA_FOLDER"]))
    content = {
        "systems": {name: numbers_of(name, reference) for name, reference in REFERENCES.items()},
        "values": published_values(Path(os.environ["MMSA_FOLDER"])),
        "sequential_fusion": fusion_of_sfttr(Path(os.environ["SFTTR_FOLDER"])),
        "contrast": loss_of_confede(Path(os.environ["CONFEDE_FOLDER"])),
        "generated_labels": [{name: values.tolist() for name, values in epoch.items()} for epoch in made],
    }
    NUMBERS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
