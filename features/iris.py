"""Where an eyeball is turned, judged by the picture between the lids.

A dark iris with a darker pupil turns with a bright eyeball.  For each of many directions the disc of the iris and that
of the pupil are laid over the pixels between the lids, as the eyeball would show them there, and brightness is explained
by least squares as white + iris + pupil; the share of explained variance says how well the direction fits.  It is the
region form of Daugman's search for the iris ("High confidence visual recognition of persons", PAMI 1993), done on the
eyeball instead of in the picture, so that foreshortening and hidden parts of the disc are accounted for.
"""

from dataclasses import dataclass

import cv2
import numba
import numpy as np

# The patch of an eye: places in mm, x to the right and y down from the middle of the corners of the eye.
STEP, WIDE, TALL = 1.05, 35, 19
X, Y = (axis.ravel() for axis in np.meshgrid(STEP * (np.arange(WIDE) - WIDE // 2), STEP * (np.arange(TALL) - TALL // 2)))
PLACES = np.stack([X, Y, np.zeros(len(X))], 1).astype(np.float32)
SAMPLING = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
FINEST = 16  # parts of a place that a large face is cut into
FEWEST = 8  # places between the lids, to say anything
UPPER_INSET = LOWER_INSET = 1.3  # mm of the rim between the lids that may be skin or lashes
REACH = 3  # places beside a highlight within which both sides are dark
# Half the opening angles of iris and pupil, seen from the centre of the eyeball, and the width of their edges, radians.
IRIS, PUPIL, EDGE = 0.57, 0.27, 0.1
GAMMA = 1.9  # contrast between white and iris counts for more than shades of the iris
EVIDENCE = 0.25  # independent pixels in a mm^2
# Directions in the head, (yaw, pitch): yaw to the right of the image, pitch down, (0, 0) straight out of the face.
YAWS, PITCHES = np.radians(np.arange(-44, 45, 4)), np.radians(np.arange(-36, 37, 4))
YAW, PITCH = (angle.ravel() for angle in np.meshgrid(YAWS, PITCHES))


@dataclass(frozen=True)
class EyePatch:
    """What is seen between the lids of one eye.

    places : np.ndarray [shape=(n, 3), float32]
        mm from the middle of the corners, in the plane of the face; highlights are left out.
    brightness : np.ndarray [shape=(n,), float32]
    view : np.ndarray [shape=(3,)], unit vector from the camera, head axes
    """

    places: np.ndarray
    brightness: np.ndarray
    view: np.ndarray


def eye_patch(frame: np.ndarray, to_frame: np.ndarray, lids: np.ndarray, view: np.ndarray) -> EyePatch:
    """Cut an eye out of the frame.

    Parameters
    ----------
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB
    to_frame : np.ndarray [shape=(2, 3)], from mm in the plane of the face to pixels of the frame
    lids : np.ndarray [shape=(12, 2)], mm, in the order of `features.landmarks.MESH_LIDS`
    view : np.ndarray [shape=(3,)], unit vector from the camera, head axes
    """
    # A large face is cut out finer and shrunk by whole pixels, so that nothing is skipped.
    fine = int(np.clip(round(STEP * np.sqrt(abs(np.linalg.det(to_frame[:, :2])))), 1, FINEST))
    first = np.array([X[0], Y[0]]) - STEP * (fine - 1) / (2 * fine)
    to_index = np.column_stack([to_frame[:, :2] * STEP / fine, to_frame[:, :2] @ first + to_frame[:, 2] - 0.5])
    cut = cv2.warpAffine(frame, to_index, (WIDE * fine, TALL * fine), flags=SAMPLING, borderMode=cv2.BORDER_REPLICATE)
    # The darkest colour: an iris is dark in at least one, whatever its tone, the white in none.
    dark = cv2.resize(cut, (WIDE, TALL), interpolation=cv2.INTER_AREA).min(2)
    seen = between(lids)
    chosen = (seen & ~highlights(dark, seen)).ravel()
    brightness = (dark.ravel()[chosen] / np.float32(255)) ** np.float32(GAMMA)
    return EyePatch(PLACES[chosen], brightness, view)


def between(lids: np.ndarray) -> np.ndarray:
    """Places of the patch between the lids [shape=(12, 2)], mm, less their insets [shape=(TALL, WIDE), bool]."""
    inner = np.clip(lids, -WIDE, WIDE)  # a profile's lids lie anywhere
    inner[1:6, 1] += UPPER_INSET
    inner[:6:-1, 1] = np.maximum(inner[:6:-1, 1] - LOWER_INSET, inner[1:6, 1])
    filled = np.zeros((TALL, WIDE), np.uint8)
    if (inner[:6:-1, 1] - inner[1:6, 1]).mean() > STEP:  # a line would be drawn even between closed lids
        cv2.fillPoly(filled, [np.round((inner - [X[0], Y[0]]) / STEP * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return filled > 0


def highlights(dark: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Where a lamp is mirrored [shape=(h, w), bool]: bright places of `seen` with dark ones close by on both sides."""
    if not seen.any():
        return seen
    values = np.sort(dark[seen])
    level = values[int(0.4 * len(values))]
    window = np.ones((1, REACH + 1), np.uint8)
    left, right = cv2.erode(dark, window, anchor=(REACH, 0)), cv2.erode(dark, window, anchor=(0, 0))
    spots = (np.maximum(left, right) <= level) & (dark > level + 30)
    return (cv2.dilate(spots.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & (dark > level)


def evidence(eye: EyePatch, centre: np.ndarray, radius: float, directions: np.ndarray) -> np.ndarray:
    """Log likelihood [shape=(d,)] of each of the `directions` of an eyeball, up to a constant.

    Parameters
    ----------
    eye : EyePatch
    centre : np.ndarray [shape=(3,)], of the eyeball from the middle of the corners, mm, head axes
    radius : float, of the eyeball, mm
    directions : np.ndarray [shape=(d, 3), float32], unit vectors, head axes
    """
    count = len(eye.brightness)
    if count < FEWEST:
        return np.zeros(len(directions))
    normals = surface(eye.places - centre, eye.view, radius).astype(np.float32)
    explained = explained_variance(normals, eye.brightness - eye.brightness.mean(), directions)
    return -EVIDENCE * STEP**2 * count / 2 * np.log(1 - np.minimum(explained, 0.999))


@numba.njit(cache=True)
def surface(places: np.ndarray, view: np.ndarray, radius: float) -> np.ndarray:
    """Unit vectors [shape=(3, n)] from an eyeball's centre to where it is seen at `places` [shape=(n, 3)], mm from it.

    Beside the eyeball it is the nearest point of its outline.
    """
    normals = np.empty((3, len(places)))
    for i in range(len(places)):
        x, y, z = places[i]
        along = x * view[0] + y * view[1] + z * view[2]
        across = x * x + y * y + z * z - along * along
        back = along + np.sqrt(max(radius * radius - across, 0.0))
        x, y, z = x - back * view[0], y - back * view[1], z - back * view[2]
        length = np.sqrt(x * x + y * y + z * z)
        normals[0, i], normals[1, i], normals[2, i] = x / length, y / length, z / length
    return normals


@numba.njit(fastmath=True, cache=True)
def explained_variance(normals: np.ndarray, brightness: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Share of the variance [shape=(d,)] that a dark iris (and a darker pupil in it) explains, per direction.

    Parameters
    ----------
    normals : np.ndarray [shape=(3, n), float32]; brightness : np.ndarray [shape=(n,), float32], of mean 0
    directions : np.ndarray [shape=(d, 3), float32]
    """
    iris, pupil = np.float32(np.cos(IRIS)), np.float32(np.cos(PUPIL))
    iris_slope, pupil_slope = np.float32(1 / (EDGE * np.sin(IRIS))), np.float32(1 / (EDGE * np.sin(PUPIL)))
    zero, half, one, tiny = np.float32(0), np.float32(0.5), np.float32(1), np.float32(1e-4)
    count = brightness.size
    total = tiny * tiny
    for i in range(count):
        total += brightness[i] * brightness[i]
    result = np.zeros(len(directions), np.float32)
    for k in range(len(directions)):
        x, y, z = directions[k]
        m = q = mm = qq = mq = mb = qb = zero
        for i in range(count):
            cosine = x * normals[0, i] + y * normals[1, i] + z * normals[2, i]
            a = min(max((cosine - iris) * iris_slope + half, zero), one)
            b = min(max((cosine - pupil) * pupil_slope + half, zero), one)
            m += a
            q += b
            mm += a * a
            qq += b * b
            mq += a * b
            mb += a * brightness[i]
            qb += b * brightness[i]
        mm, qq, mq = mm - m * m / count + tiny, qq - q * q / count + tiny, mq - m * q / count
        if mb < 0 and mm > count / np.float32(50):
            result[k] = mb * mb / (mm * total)
        determinant = mm * qq - mq * mq + tiny
        darker, darkest = (qq * mb - mq * qb) / determinant, (mm * qb - mq * mb) / determinant
        if darker < 0 and darkest < 0:
            result[k] = max(result[k], (darker * mb + darkest * qb) / total)
    return result


def best_direction(likelihood: np.ndarray) -> tuple[float, float]:
    """(yaw, pitch) of the peak of a log likelihood over `YAW` and `PITCH`, between the grid's points by parabolas."""
    table = likelihood.reshape(len(PITCHES), len(YAWS))
    row, column = np.unravel_index(table.argmax(), table.shape)
    return (
        YAWS[column] + (YAWS[1] - YAWS[0]) * vertex(table[row], column),
        PITCHES[row] + (PITCHES[1] - PITCHES[0]) * vertex(table[:, column], row),
    )


def vertex(values: np.ndarray, peak: int) -> float:
    """Where the parabola through a peak and its neighbours culminates, from the peak, in steps."""
    if peak in (0, len(values) - 1):
        return 0.0
    before, at, after = values[peak - 1 : peak + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if bend < 0 else 0.0
