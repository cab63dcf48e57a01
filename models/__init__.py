"""The systems: one paper per file, one line here. Nothing in this package knows of files.

A line names the class, `module:class`; it is imported when it is used, so that looking up a name costs no time.
"""

import importlib

SYSTEMS = {
    "ef_lstm": "models.ef_lstm:EFLSTM",
    "mfn": "models.mfn:MFN",
    "mult": "models.mult:MulT",
    "lf_dnn": "models.lf_dnn:LFDNN",
    "mlf_dnn": "models.lf_dnn:LFDNN",
    "lmf": "models.lmf:LMF",
    "mlmf": "models.lmf:LMF",
    "tfn": "models.tfn:TFN",
    "mtfn": "models.tfn:TFN",
    "graph_mfn": "models.graph_mfn:GraphMFN",
    "self_mm": "models.self_mm:SelfMM",
    "misa": "models.misa:MISA",
    "mag_bert": "models.mag_bert:MAGBERT",
    "almt": "models.almt:ALMT",
    "confede": "models.confede:ConFEDE",
    "sfttr": "models.sfttr:SFTTR",
    "ps_mixer": "models.ps_mixer:PSMixer",
    "pmr": "models.pmr:PMR",
    "fdmer": "models.fdmer:FDMER",
    "text_guided": "models.text_guided:TextGuided",
    "cnn": "models.cnn:CNN",
    "svm": "models.baselines:SVM",
    "svm_classification": "models.baselines:SVM",
    "ridge": "models.baselines:Ridge",
    "constant": "models.baselines:Constant",
    "unimodal_text": "models.unimodal:Unimodal",
    "unimodal_audio": "models.unimodal:Unimodal",
    "unimodal_vision": "models.unimodal:Unimodal",
}


def load_system(name: str) -> type:
    """The class of a system (a `models.system.System`); its `config_class` is that of its hyper-parameters.

    Raises
    ------
    KeyError
        If there is no system of this name.
    """
    module, _, class_name = SYSTEMS[name].partition(":")
    return getattr(importlib.import_module(module), class_name)
