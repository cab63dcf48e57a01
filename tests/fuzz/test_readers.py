"""What a search has found stays found, and small changes of good files are taken or refused, never anything else."""

import random

import pytest

from tests.fuzz.readers import CASES, READERS, check, good_files

CHANGES = {"manifest": 300, "pickle": 600, "openface": 60}


@pytest.mark.parametrize("reader", READERS)
def test_good_files_are_taken(reader):
    taken = [check(reader, data) for data in good_files()[reader]]
    assert taken == [True, True, True, False][: len(taken)]  # the last manifest is in GBK


FOUND = [path for path in sorted(CASES.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name[-12:]}")
def test_what_was_found_is_read_or_refused(path):
    check(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("reader", READERS)
def test_changed_files_are_read_or_refused(reader):
    """Bytes of good files flipped, cut, doubled and moved, by rule."""
    rng, good = random.Random(0), good_files()[reader]
    taken = 0
    for _ in range(CHANGES[reader]):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            place, length = rng.randrange(len(data)), rng.randint(1, 20)
            kind = rng.randrange(4)
            if kind == 0:
                data[place] = rng.randrange(256)
            elif kind == 1:
                del data[place : place + length]
            elif kind == 2:
                data[place:place] = data[place : place + length]
            else:
                data[place:place] = bytes(rng.choice([0, 34, 44, 10, 13, 255, 46, 128]) for _ in range(length))
            data = data or bytearray(b"x")
        taken += check(reader, bytes(data))
    print(f"{reader}: {CHANGES[reader]} changed files, {taken} taken")
