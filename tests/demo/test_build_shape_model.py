"""The committed shape model is the one that its script builds from the demo's heads."""

import numpy as np

from demo.build_shape_model import build
from features.shape_model import load_shape_model


def test_script_builds_the_committed_model():
    built, committed = build(), load_shape_model()
    assert np.allclose(built["mean"], committed.mean, atol=0.01), "run python -m demo.build_shape_model again"
    assert np.allclose(built["deviations"], committed.deviations, rtol=1e-3)
    # Modes of nearly equal variance may swap or mix: the space that they span is compared.
    overlap = built["modes"].reshape(34, -1) @ committed.modes.reshape(34, -1).T
    assert np.linalg.norm(overlap[:20], axis=1).min() > 0.99
