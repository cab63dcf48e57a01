"""Hand-set points are read with their conventions, halved by photograph, and compared with what is measured."""

import numpy as np
import pytest

from benchmarks.real_faces import HandSet, hand_set_faces, table
from features.landmarks import landmarks_68, shape_points
from features.shape_model import load_shape_model

POINTS = np.random.default_rng(0).uniform(10, 90, (68, 2)).round(2)


def write_pts(path, points, header=True):
    rows = "\n".join(f"{x} {y}" for x, y in points)
    path.write_text(f"version: 1\nn_points: {len(points)}\n{{\n{rows}\n}}\n" if header else rows)
    path.with_suffix(".jpg").touch()


def test_pixels_count_from_the_corner_of_the_first(tmp_path):
    write_pts(tmp_path / "照片 one_1.pts", POINTS + 0.5)  # counted from 1 in the middle of a pixel
    write_pts(tmp_path / "two.pts", POINTS + 0.5, header=False)
    parts = "".join(f'<part name="{i:02}" x="{x - 0.5}" y="{y - 0.5}"/>' for i, (x, y) in enumerate(POINTS))  # from 0
    (tmp_path / "set.xml").write_text(f"<images><image file='a/b.jpg'><box>{parts}</box><box/></image></images>")
    faces = hand_set_faces(tmp_path)
    assert [face.path.relative_to(tmp_path).as_posix() for face in faces] == ["two.jpg", "照片 one_1.jpg", "a/b.jpg"]
    assert all(np.allclose(face.points, POINTS) for face in faces)


def test_other_points_and_missing_photographs_are_passed_over(tmp_path):
    write_pts(tmp_path / "five.pts", POINTS[:5])
    write_pts(tmp_path / "alone.pts", POINTS)
    (tmp_path / "alone.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="no photograph with 68 points"):
        hand_set_faces(tmp_path)


def test_faces_of_one_photograph_are_in_one_half(tmp_path):
    for name in ("group_1", "group_2", *(f"photo{i}a" for i in range(30))):
        write_pts(tmp_path / f"{name}.pts", POINTS)
    halves = [hand_set_faces(tmp_path, half) for half in (0, 1)]
    names = [{face.path.stem for face in half} for half in halves]
    assert min(map(len, names)) > 5 and not names[0] & names[1] and sum(map(len, names)) == 32
    assert ("group_1" in names[0]) == ("group_2" in names[0])


def test_table_tells_small_faces_apart_and_counts_the_lost(tmp_path):
    model = load_shape_model()
    mesh = np.random.default_rng(1).normal(0, 1, (478, 3)) + np.resize(model.mean, (478, 3))
    points = landmarks_68(mesh[:, :2])
    off = points.copy()
    off[:17] += [0, 0.1 * np.linalg.norm(points[45] - points[36])]  # the jaw alone is 10 % off
    small = HandSet(tmp_path / "b.jpg", 0.05 * points)
    text = table([HandSet(tmp_path / "a.jpg", off), small, small], [mesh, 0.05 * mesh, None])
    large_row, small_row = (next(line for line in text.splitlines() if line.startswith(f"| {n}, all")) for n in NAMES)
    assert large_row.split(" | ")[1:4] == ["1", "10.0 (10.0)", "0.0 (0.0)"] and large_row.endswith("0.0 (0.0) |")
    assert small_row.split(" | ")[1:3] == ["1", "0.0 (0.0)"]
    assert "1 of 3 faces were not found" in text
    assert not np.allclose(points, shape_points(mesh[:, :2]))


NAMES = ("from 30 pixels", "smaller")
