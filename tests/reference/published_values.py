"""The values that MMSA lists for its systems, under our names."""

import json
from pathlib import Path

CORPORA = ("sims", "mosi", "mosei")
MODALITIES = {"text": "l", "audio": "a", "vision": "v"}
TASKS = {"M": "fusion", "T": "text", "A": "audio", "V": "video"}
KEYS = {"mag_bert": "bert_mag"}
SYSTEMS = ("ef_lstm", "lf_dnn", "tfn", "lmf", "mfn", "graph_mfn", "mult", "misa", "self_mm", "mag_bert")


def by_modality(values: list) -> dict:
    return dict(zip(MODALITIES, values, strict=True))


def of_all(values: list) -> float:
    """A value that MMSA lists for each modality, and ours has once."""
    (value,) = set(values)
    return value


def parts(values: dict, names: dict[str, str]) -> dict:
    """Hidden width and dropout of small networks."""
    found = {f"{ours}_hidden": values[f"{theirs}Config"]["shapes"] for ours, theirs in names.items()}
    return found | {f"{ours}_dropout": values[f"{theirs}Config"]["drop"] for ours, theirs in names.items()}


def late_fusion(values: dict) -> dict:
    return {
        "hidden": by_modality(values["hidden_dims"]),
        "text_out": values["text_out"],
        "dropout": of_all(values["dropouts"][:3]),
        "fusion_hidden": values["post_fusion_dim"],
        "fusion_dropout": values["dropouts"][3],
    }


def low_rank(values: dict) -> dict:
    return {
        "hidden": by_modality(values["hidden_dims"]),
        "text_out": values["hidden_dims"][0] // 2,
        "dropout": of_all(values["dropouts"][:3]),
        "rank": values["rank"],
        "factor_learning_rate": values["factor_lr"],
    }


def memory(values: dict) -> dict:
    names = {"attention": "NN1", "update": "NN2", "retain": "gamma1", "write": "gamma2", "output": "out"}
    return {"hidden": by_modality(values["hidden_dims"]), "memory": values["memsize"]} | parts(values, names)


def graph(values: dict) -> dict:
    names = {"update": "NN", "retain": "gamma1", "write": "gamma2", "output": "out"}
    sizes = {"memory": values["memsize"], "vertex": values["inner_node_dim"]}
    return {"hidden": by_modality(values["hidden_dims"])} | sizes | parts(values, names)


def transformer(values: dict) -> dict:
    width, heads = values["dst_feature_dim_nheads"]
    attention = {"text": "attn_dropout", "audio": "attn_dropout_a", "vision": "attn_dropout_v"}
    return {
        "width": width,
        "heads": heads,
        "kernel": {name: values[f"conv1d_kernel_size_{letter}"] for name, letter in MODALITIES.items()},
        "layers": values["nlevels"],
        "memory_layers": max(values["nlevels"], 3),
        "attention_dropout": {name: values[key] for name, key in attention.items()},
        "residual_dropout": values["res_dropout"],
        "embedding_dropout": values["embed_dropout"],
        "text_dropout": values["text_dropout"],
        "output_dropout": values["output_dropout"],
        "gradient_clip_value": values["grad_clip"],
    }


def invariant(values: dict) -> dict:
    return {
        "width": values["hidden_size"],
        "output_dropout": values["dropout"],
        "similarity_weight": values["sim_weight"],
        "difference_weight": values["diff_weight"],
        "reconstruction_weight": values["recon_weight"],
        "gradient_clip_value": values["grad_clip"],
        "encoder_learning_rate": values["learning_rate"],
    }


def self_supervised(values: dict) -> dict:
    return {
        "hidden": {"audio": values["a_lstm_hidden_size"], "vision": values["v_lstm_hidden_size"]},
        "out": {"audio": values["audio_out"], "vision": values["video_out"]},
        "lstm_dropout": {"audio": values["a_lstm_dropout"], "vision": values["v_lstm_dropout"]},
        "features": {task: values[f"post_{name}_dim"] for task, name in TASKS.items()},
        "feature_dropout": {task: values[f"post_{name}_dropout"] for task, name in TASKS.items()},
        "learning_rate": values["learning_rate_other"],
        "weight_decay": values["weight_decay_other"],
        "encoder_learning_rate": values["learning_rate_bert"],
        "encoder_weight_decay": values["weight_decay_bert"],
        "subnet_learning_rate": {"audio": values["learning_rate_audio"], "vision": values["learning_rate_video"]},
        "subnet_weight_decay": {"audio": values["weight_decay_audio"], "vision": values["weight_decay_video"]},
    }


OWN = {
    "ef_lstm": lambda values: {"hidden": values["hidden_dims"], "layers": values["num_layers"], "dropout": values["dropout"]},
    "lf_dnn": late_fusion,
    "tfn": late_fusion,
    "lmf": low_rank,
    "mfn": memory,
    "graph_mfn": graph,
    "mult": transformer,
    "misa": invariant,
    "self_mm": self_supervised,
    "mag_bert": lambda values: {
        "beta": values["beta_shift"],
        "gate_dropout": values["dropout_prob"],
        "encoder_learning_rate": values["learning_rate"],
    },
}
# Of these two MMSA lists a weight decay that its trainers never hand to the optimiser: docs/public_code.md.
WITHOUT_DECAY = ("mult", "misa")


def published_values(folder: Path) -> dict[str, dict[str, dict]]:
    """{corpus: {system: values}} of MMSA's config_regression.json."""
    content = json.loads((folder / "MMSA" / "config" / "config_regression.json").read_text(encoding="utf-8"))
    found = {}
    for corpus in CORPORA:
        found[corpus] = {}
        for system in SYSTEMS:
            listed = content[KEYS.get(system, system)]["datasetParams"][corpus]
            shared = ["batch_size", "learning_rate"] + ["weight_decay"] * (system not in WITHOUT_DECAY)
            values = {key: listed[key] for key in shared if key in listed}
            found[corpus][system] = values | OWN[system](listed)
    return found
