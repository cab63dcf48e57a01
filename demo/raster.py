"""A small software rasteriser: triangles with smooth shading and RGBA textures against a depth buffer.

Points are millimetres in camera axes (x right, y down, z away from the camera); texture coordinates have v upwards.
No fast-math: the same input gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np


@dataclass
class Part:
    """Triangles that share one texture.

    faces : int32 [t, 3], numbers of vertices; uvs : float32 [m, 2] in 0..1; uv_faces : int32 [t, 3], numbers of uvs
    texture : float32 [rows, columns, 4], RGBA in 0..1
    wrap : how far light reaches round the terminator, per channel; gloss : strength of the highlight
    both_sides : draw triangles seen from behind too; bias : millimetres by which the part wins the depth test
    lift : float32 [n, 1] or None, millimetres by which each vertex is pushed out along its normal
    """

    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    texture: np.ndarray
    wrap: tuple[float, float, float] = (0.35, 0.35, 0.35)
    gloss: float = 0.0
    both_sides: bool = False
    bias: float = 0.0
    lift: np.ndarray | None = None


@numba.njit(cache=True)
def bake_positions(vertices: np.ndarray, uvs: np.ndarray, faces: np.ndarray, uv_faces: np.ndarray, size: int):
    """Where on the mesh each texel of a square atlas lies: float32 [size, size, 3], NaN where no triangle covers it."""
    places = np.full((size, size, 3), np.nan, np.float32)
    corners = np.empty((3, 2))
    for face in range(len(faces)):
        for k in range(3):
            corners[k, 0] = uvs[uv_faces[face, k], 0] * size
            corners[k, 1] = (1 - uvs[uv_faces[face, k], 1]) * size
        x0, y0, x1, y1, x2, y2 = corners.ravel()
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        for y in range(max(0, int(min(y0, y1, y2)) - 2), min(size, int(max(y0, y1, y2)) + 3)):
            for x in range(max(0, int(min(x0, x1, x2)) - 2), min(size, int(max(x0, x1, x2)) + 3)):
                w1 = ((x + 0.5 - x0) * (y2 - y0) - (x2 - x0) * (y + 0.5 - y0)) / area
                w2 = ((x1 - x0) * (y + 0.5 - y0) - (x + 0.5 - x0) * (y1 - y0)) / area
                w0 = 1 - w1 - w2
                lowest = min(w0, w1, w2)
                near = lowest * np.sqrt(abs(area)) > -2  # a margin around each seam, for bilinear look-up
                if lowest >= 0 or (near and np.isnan(places[y, x, 0])):
                    for k in range(3):
                        places[y, x, k] = (
                            w0 * vertices[faces[face, 0], k]
                            + w1 * vertices[faces[face, 1], k]
                            + w2 * vertices[faces[face, 2], k]
                        )
    return places


@numba.njit(cache=True)
def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [n, 3] of the vertices, area-weighted over the triangles around them (0 for unused vertices)."""
    normals = np.zeros_like(vertices)
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for i in range(len(normals)):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-9
        for k in range(3):
            normals[i, k] /= length
    return normals


@numba.njit(cache=True)
def draw(points, normals, faces, uvs, uv_faces, texture, camera, light, ambient, wrap, gloss, both_sides, bias, image, depth):
    """Draw the triangles of one part into `image` [H, W, 3] against `depth` [H, W], both changed in place.

    points : float32 [n, 3], millimetres; camera : (fx, fy, cx, cy) in pixels of `image`
    light : unit vector [3] towards the light; ambient : its share of ambient light, 0..1
    """
    height, width = depth.shape
    rows, columns = texture.shape[:2]
    fx, fy, cx, cy = camera
    half = np.sqrt(light[0] ** 2 + light[1] ** 2 + (light[2] - 1) ** 2)  # half way between light and viewer
    half_x, half_y, half_z = light[0] / half, light[1] / half, (light[2] - 1) / half
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        z0, z1, z2 = points[a, 2], points[b, 2], points[c, 2]
        x0, y0 = fx * points[a, 0] / z0 + cx, fy * points[a, 1] / z0 + cy
        x1, y1 = fx * points[b, 0] / z1 + cx, fy * points[b, 1] / z1 + cy
        x2, y2 = fx * points[c, 0] / z2 + cx, fy * points[c, 1] / z2 + cy
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0 or (area > 0 and not both_sides):
            continue
        side = 1.0 if area < 0 else -1.0
        ta, tb, tc = uv_faces[face, 0], uv_faces[face, 1], uv_faces[face, 2]
        left, right = max(0, int(min(x0, x1, x2))), min(width - 1, int(max(x0, x1, x2)) + 1)
        # barycentric weights change by a constant from pixel to pixel
        dx1, dx2 = (y2 - y0) / area, (y0 - y1) / area
        for y in range(max(0, int(min(y0, y1, y2))), min(height - 1, int(max(y0, y1, y2)) + 1) + 1):
            start1 = ((left + 0.5 - x0) * (y2 - y0) - (x2 - x0) * (y + 0.5 - y0)) / area
            start2 = ((x1 - x0) * (y + 0.5 - y0) - (left + 0.5 - x0) * (y1 - y0)) / area
            for x in range(left, right + 1):
                w1, w2 = start1 + dx1 * (x - left), start2 + dx2 * (x - left)
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * z0 + w1 * z1 + w2 * z2 - bias
                if z >= depth[y, x]:
                    continue
                u = (w0 * uvs[ta, 0] + w1 * uvs[tb, 0] + w2 * uvs[tc, 0]) * columns - 0.5
                v = (1 - w0 * uvs[ta, 1] - w1 * uvs[tb, 1] - w2 * uvs[tc, 1]) * rows - 0.5
                u, v = min(max(u, 0.0), columns - 1.001), min(max(v, 0.0), rows - 1.001)
                i, j = int(v), int(u)
                p, q = v - i, u - j
                k00, k01, k10, k11 = (1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q
                alpha = (
                    k00 * texture[i, j, 3]
                    + k01 * texture[i, j + 1, 3]
                    + k10 * texture[i + 1, j, 3]
                    + k11 * texture[i + 1, j + 1, 3]
                )
                if alpha < 0.02:
                    continue
                nx = side * (w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0])
                ny = side * (w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1])
                nz = side * (w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2])
                length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
                facing = (nx * light[0] + ny * light[1] + nz * light[2]) / length
                shine = 0.0
                if gloss > 0:
                    mirror = max(0.0, (nx * half_x + ny * half_y + nz * half_z) / length)
                    mirror *= mirror
                    mirror *= mirror
                    mirror *= mirror
                    shine = gloss * mirror * mirror  # the 16th power
                sky = ambient * (0.85 - 0.15 * ny / length)
                for k in range(3):
                    colour = (
                        k00 * texture[i, j, k]
                        + k01 * texture[i, j + 1, k]
                        + k10 * texture[i + 1, j, k]
                        + k11 * texture[i + 1, j + 1, k]
                    )
                    diffuse = max(0.0, (facing + wrap[k]) / (1 + wrap[k]))
                    colour = colour * (sky + (1 - ambient) * 1.25 * diffuse) + shine
                    image[y, x, k] += alpha * (colour - image[y, x, k])
                if alpha > 0.5:
                    depth[y, x] = z


@numba.njit(cache=True)
def shrink(image: np.ndarray, scale: int, noise: np.ndarray) -> np.ndarray:
    """Average blocks of `scale` x `scale` pixels, add noise [h, w, 3] and round to uint8 [h, w, 3]."""
    height, width = noise.shape[:2]
    small = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            for k in range(3):
                total = np.float32(0)
                for i in range(scale):
                    for j in range(scale):
                        total += image[y * scale + i, x * scale + j, k]
                value = total / (scale * scale) + noise[y, x, k]
                small[y, x, k] = np.uint8(min(max(value, 0.0), 1.0) * 255 + 0.5)
    return small
