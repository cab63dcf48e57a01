"""The 709 columns of OpenFace 2 (its CSV without the first five), in order, with their units.

Source: Baltrusaitis, Zadeh, Lim & Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018, and the
description of its output format.  Camera axes: x right, y down, z away from the camera.
"""

import numpy as np

N_EYE_LANDMARKS = 56
N_LANDMARKS = 68
N_MODES = 34
AU_INTENSITIES = (
    "AU01",
    "AU02",
    "AU04",
    "AU05",
    "AU06",
    "AU07",
    "AU09",
    "AU10",
    "AU12",
    "AU14",
    "AU15",
    "AU17",
    "AU20",
    "AU23",
    "AU25",
    "AU26",
    "AU45",
)
AU_PRESENCES = (*AU_INTENSITIES[:-1], "AU28", "AU45")


def _numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}_{number}" for number in range(count)]


# block name -> (column names, unit); the order of this table is the order of the columns
BLOCKS: dict[str, tuple[list[str], str]] = {
    "gaze_0": (["gaze_0_x", "gaze_0_y", "gaze_0_z"], "unit vector"),
    "gaze_1": (["gaze_1_x", "gaze_1_y", "gaze_1_z"], "unit vector"),
    "gaze_angle": (["gaze_angle_x", "gaze_angle_y"], "radian"),
    **{f"eye_lmk_{axis}": (_numbered(f"eye_lmk_{axis}", N_EYE_LANDMARKS), "pixel") for axis in "xy"},
    **{f"eye_lmk_{axis}": (_numbered(f"eye_lmk_{axis}", N_EYE_LANDMARKS), "millimetre") for axis in "XYZ"},
    "pose_T": (["pose_Tx", "pose_Ty", "pose_Tz"], "millimetre"),
    "pose_R": (["pose_Rx", "pose_Ry", "pose_Rz"], "radian"),
    **{axis: (_numbered(axis, N_LANDMARKS), "pixel") for axis in "xy"},
    **{axis: (_numbered(axis, N_LANDMARKS), "millimetre") for axis in "XYZ"},
    "p_scale": (["p_scale"], "pixel per millimetre"),
    "p_r": (["p_rx", "p_ry", "p_rz"], "radian"),
    "p_t": (["p_tx", "p_ty"], "pixel"),
    "p": (_numbered("p", N_MODES), "millimetre"),
    "AU_r": ([f"{name}_r" for name in AU_INTENSITIES], "intensity 0-5"),
    "AU_c": ([f"{name}_c" for name in AU_PRESENCES], "presence 0/1"),
}
COLUMNS: list[str] = [name for names, _ in BLOCKS.values() for name in names]
UNITS: list[str] = [unit for names, unit in BLOCKS.values() for _ in names]


def block_slice(name: str) -> slice:
    """Where the columns of a block lie."""
    start = COLUMNS.index(BLOCKS[name][0][0])
    return slice(start, start + len(BLOCKS[name][0]))


def assemble(blocks: dict[str, np.ndarray]) -> np.ndarray:
    """Lay the blocks of one frame out in the order of `COLUMNS`.

    Parameters
    ----------
    blocks : dict of block name (a key of `BLOCKS`) to numbers, as many as the block has columns.

    Returns
    -------
    np.ndarray [shape=(709,), float32]

    Raises
    ------
    ValueError
        If a block is missing, unknown, or has another number of values than columns.
    """
    if set(blocks) != set(BLOCKS):
        raise ValueError(f"Blocks differ from the OpenFace columns: {sorted(set(blocks) ^ set(BLOCKS))}.")
    parts = [np.asarray(blocks[name], np.float32).ravel() for name in BLOCKS]
    for part, (name, (names, _)) in zip(parts, BLOCKS.items(), strict=True):
        if len(part) != len(names):
            raise ValueError(f"Block {name} has {len(part)} values for {len(names)} columns.")
    return np.concatenate(parts)
