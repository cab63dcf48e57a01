"""What the picture between the lids tells: how large the iris is, and where an eyeball is turned.

A dark iris with a darker pupil turns with a bright eyeball.  For each of many directions the disc of the iris and that
of the pupil are laid over the pixels between the lids, as the eyeball would show them there, and brightness is explained
by least squares as white + iris + pupil; the share of explained variance says how well the direction fits.  It is the
region form of Daugman's search for the iris ("High confidence visual recognition of persons", PAMI 1993), done on the
eyeball instead of in the picture, so that foreshortening and hidden parts of the disc are accounted for.

Where sizes of the iris are compared, the shadow under the lids and the corners of the eye, darker than the white, are
taken out first: a large iris, or one at the upper lid, would explain them, too.
"""

from dataclasses import dataclass
from functools import cached_property

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
SHADOW = 1.5  # mm from a lid in which its shadow falls to 1/e
REACH = 3  # places beside a highlight within which both sides are dark
# Half the opening angles of iris and pupil, seen from the centre of the eyeball, and the width of their edges, radians.
IRIS, PUPIL, EDGE = 0.57, 0.27, 0.1
GAMMA = 1.9  # contrast between white and iris counts for more than shades of the iris
EVIDENCE = 0.25  # independent pixels in a mm^2
# Directions in the head, (yaw, pitch): yaw to the right of the image, pitch down, (0, 0) straight out of the face.
TURNS = np.radians(np.stack(np.meshgrid(np.arange(-44, 45, 4), np.arange(-36, 37, 4)), -1).reshape(-1, 2))


@dataclass(frozen=True)
class EyePatch:
    """What is seen between the lids of one eye.

    places : np.ndarray [shape=(n, 3), float32]
        mm from the middle of the corners, in the plane of the face; highlights are left out.
    brightness : np.ndarray [shape=(n,), float32]
    lids : np.ndarray [shape=(12, 2)], mm, in the order of `features.landmarks.MESH_LIDS`
    view : np.ndarray [shape=(3,)], unit vector from the camera, head axes
    """

    places: np.ndarray
    brightness: np.ndarray
    lids: np.ndarray
    view: np.ndarray

    @cached_property
    def shading(self) -> np.ndarray:
        """Orthonormal shadings [shape=(4, n)] of an eye without iris: even, under either lid, towards the corners."""
        x, y = self.places[:, 0], self.places[:, 1]
        upper, lower = self.lids[:7], self.lids[[0, *range(11, 5, -1)]]
        below, above = y - np.interp(x, *upper.T), np.interp(x, *lower.T) - y
        lids = [np.exp(-np.maximum(distance, 0) / SHADOW) for distance in (below, above)]
        shadings = np.stack([np.ones(len(x)), *lids, x**2], 1)
        return np.ascontiguousarray(np.linalg.qr(shadings)[0].T.astype(np.float32))


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
    return EyePatch(PLACES[chosen], brightness, lids, view)


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
    level = int(values[int(0.4 * len(values))])  # not a uint8, which would overflow below
    window = np.ones((1, REACH + 1), np.uint8)
    left, right = cv2.erode(dark, window, anchor=(REACH, 0)), cv2.erode(dark, window, anchor=(0, 0))
    spots = (np.maximum(left, right) <= level) & (dark > level + 30)
    return (cv2.dilate(spots.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & (dark > level)


def evidence(
    eye: EyePatch,
    centre: np.ndarray,
    radius: float,
    directions: np.ndarray,
    angles: tuple[float, float] = (IRIS, PUPIL),
    shading: np.ndarray | None = None,
) -> np.ndarray:
    """Log likelihood [shape=(d,)] of each of the `directions` of an eyeball, up to a constant of the eye and its shading.

    Parameters
    ----------
    eye : EyePatch
    centre : np.ndarray [shape=(3,)], of the eyeball from the middle of the corners, mm, head axes
    radius : float, of the eyeball, mm
    directions : np.ndarray [shape=(d, 3), float32], unit vectors, head axes
    angles : half the opening angles of iris and pupil, seen from the centre, radians
    shading : np.ndarray [shape=(k, n), float32], orthonormal, optional
        What else brightness may be made of: `EyePatch.shading`, or by default evenly bright.
    """
    count = len(eye.brightness)
    if count < FEWEST:
        return np.zeros(len(directions))
    if shading is None:
        shading = np.full((1, count), count**-0.5, np.float32)
    normals = surface(eye.places - centre, eye.view, radius).astype(np.float32)
    left = eye.brightness - (shading @ eye.brightness) @ shading
    explained = explained_variance(normals, left, shading, directions, *angles)
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
def explained_variance(
    normals: np.ndarray, brightness: np.ndarray, shading: np.ndarray, directions: np.ndarray, iris: float, pupil: float
) -> np.ndarray:
    """Share of the variance [shape=(d,)] that a dark iris (and a darker pupil in it) explains, per direction.

    Parameters
    ----------
    normals : np.ndarray [shape=(3, n), float32]
    brightness : np.ndarray [shape=(n,), float32], less its part in the shading
    shading : np.ndarray [shape=(k, n), float32], orthonormal; left out of the discs, too
    directions : np.ndarray [shape=(d, 3), float32]
    iris, pupil : half their opening angles, radians
    """
    iris_slope, pupil_slope = np.float32(1 / (EDGE * np.sin(iris))), np.float32(1 / (EDGE * np.sin(pupil)))
    iris_rim, pupil_rim = np.float32(np.cos(iris)), np.float32(np.cos(pupil))
    zero, half, one, tiny = np.float32(0), np.float32(0.5), np.float32(1), np.float32(1e-4)
    count = brightness.size
    irises, pupils = np.empty(count, np.float32), np.empty(count, np.float32)
    total = tiny * tiny
    for i in range(count):
        total += brightness[i] * brightness[i]
    result = np.zeros(len(directions), np.float32)
    for k in range(len(directions)):
        x, y, z = directions[k]
        mm = qq = mq = mb = qb = zero
        for i in range(count):
            cosine = x * normals[0, i] + y * normals[1, i] + z * normals[2, i]
            a = min(max((cosine - iris_rim) * iris_slope + half, zero), one)
            b = min(max((cosine - pupil_rim) * pupil_slope + half, zero), one)
            irises[i], pupils[i] = a, b
            mm += a * a
            qq += b * b
            mq += a * b
            mb += a * brightness[i]
            qb += b * brightness[i]
        for row in range(len(shading)):
            m = q = zero
            for i in range(count):
                m += irises[i] * shading[row, i]
                q += pupils[i] * shading[row, i]
            mm -= m * m
            qq -= q * q
            mq -= m * q
        mm, qq = mm + tiny, qq + tiny
        if mb < 0 and mm > count / np.float32(50):
            result[k] = mb * mb / (mm * total)
        determinant = mm * qq - mq * mq + tiny
        darker, darkest = (qq * mb - mq * qb) / determinant, (mm * qb - mq * mb) / determinant
        if darker < 0 and darkest < 0:
            result[k] = max(result[k], (darker * mb + darkest * qb) / total)
    return result


def mean_turn(turns: np.ndarray, likelihood: np.ndarray) -> np.ndarray:
    """Mean of turns [shape=(d, 2)] under their log likelihood: nearer to the truth in the mean than the peak."""
    weights = np.exp(likelihood - likelihood.max())
    return weights @ turns / weights.sum()
