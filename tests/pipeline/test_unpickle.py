"""What may be in a feature file is read, and nothing else is: a hostile pickle is refused before any of it runs."""

import copyreg
import os
import pickle
import struct

import numpy as np
import pytest

from pipeline.exchange.unpickle import UnsafePickleError, read_pickle

PLAIN = {
    "floats": np.arange(600, dtype=np.float32).reshape(2, 10, 30),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "other byte order": np.arange(400, dtype=">i4"),
    "texts": np.array(["我不想", "b" * 70, ""], dtype=object),
    "fixed": np.array(["video_0001$_$0001", "x"]),
    "bytes": np.array([b"a", b"bc"]),
    "truth values": np.array([True, False]),
    "nothing": np.zeros((0, 4), np.float32),
    "scalar": np.float32(0.2),
    "list": [1, 2.5, "a", None, True, (3, "b")],
}


def written(tmp_path, data: bytes):
    path = tmp_path / "文件 file.pkl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_arrays_lists_and_texts_are_read(tmp_path, protocol, core):
    data = pickle.dumps(PLAIN, protocol)
    if protocol < 4:  # names stand there as lines, not with their length before them
        data = data.replace(b"numpy._core", core)
    read = read_pickle(written(tmp_path, data))
    assert list(read) == list(PLAIN)
    assert read["list"] == PLAIN["list"] and read["scalar"] == PLAIN["scalar"]
    for name, expected in PLAIN.items():
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(np.asarray(read[name]), expected)
            assert read[name].dtype.newbyteorder("=") == expected.dtype.newbyteorder("="), name


def test_a_file_of_python_2_is_read(tmp_path):
    # {'x': array([1, 2], dtype='<f4')} as Python 2 writes it with protocol 2: byte strings everywhere.
    data = (
        b"\x80\x02}U\x01xcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + struct.pack("<2f", 1, -2)
        + b"tbs."
    )
    np.testing.assert_array_equal(read_pickle(written(tmp_path, data))["x"], np.array([1, -2], np.float32))


def test_texts_of_python_2_are_utf_8(tmp_path):
    """{'text': ['我不想', u'caf\u00e9']} as Python 2 writes it: `str` is a byte string, `unicode` a text."""
    word = "我不想".encode()
    data = b"\x80\x02}U\x04text](U" + bytes([len(word)]) + word + b"X\x05\x00\x00\x00caf\xc3\xa9es."
    assert read_pickle(written(tmp_path, data)) == {"text": ["我不想".encode(), "café"]}


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def name(module: str, attribute: str, opcodes: bytes = b"\x93") -> bytes:
    """STACK_GLOBAL of two texts."""
    return b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, attribute)) + opcodes


HOSTILE = {
    "os.system": lambda mark: (pickle.dumps(Call(os.system, f"touch '{mark}'")), "posix.system"),
    "protocol 0": lambda mark: (b"cos\nsystem\n(S'touch " + mark.encode() + b"'\ntR.", "os.system"),
    "inst": lambda mark: (b"(S'touch " + mark.encode() + b"'\nios\nsystem\n.", "os.system"),
    "eval": lambda mark: (pickle.dumps(Call(eval, f"open({mark!r}, 'w')")), "builtins.eval"),
    "eval of Python 2": lambda mark: (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
    "getattr": lambda mark: (pickle.dumps(Call(getattr, np.ndarray, "tofile")), "builtins.getattr"),
    "importlib": lambda mark: (pickle.dumps(Call(__import__("importlib").import_module, "this")), "importlib.import_module"),
    "numpy.load": lambda mark: (name("numpy", "load", b"\x93.").join([b"\x80\x04", b""]), "numpy.load"),
    "a runner in numpy": lambda mark: (b"\x80\x04" + name("numpy.testing._private.utils", "runstring") + b".", "runstring"),
    "dotted name": lambda mark: (b"\x80\x04" + name("numpy", "ndarray.__class__") + b".", "numpy.ndarray.__class__"),
    "dotted dtype": lambda mark: (b"\x80\x04" + name("numpy", "dtype.__reduce__") + b".", "numpy.dtype.__reduce__"),
    "module in module": lambda mark: (b"\x80\x04" + name("numpy.core.multiarray", "os.system") + b".", "os.system"),
    "in an object array": lambda mark: (pickle.dumps(np.array([Call(os.system, f"touch '{mark}'")])), "posix.system"),
    "behind good data": lambda mark: (pickle.dumps({**PLAIN, "x": [Call(os.system, f"touch '{mark}'")]}), "posix.system"),
    "as a key": lambda mark: (pickle.dumps({Call(os.system, f"touch '{mark}'"): 1}), "posix.system"),
    "persistent id": lambda mark: (b"Pabc\n.", "persistent id"),
    "unknown extension": lambda mark: (b"\x80\x02\x82\xf0.", "extension code"),
    "ndarray called": lambda mark: (b"cnumpy\nndarray\n(K\x02tR.", "call of numpy.ndarray"),
    "state of a function": lambda mark: (b"cnumpy\ndtype\n}S'make'\nK\x01sb.", "state for a function"),
    "slots of a function": lambda mark: (b"cnumpy\ndtype\nN}S'make'\nK\x01s\x86b.", "state for a function"),
    "encoding": lambda mark: (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.", "encoding 'hex'"),
    "record": lambda mark: (pickle.dumps(np.zeros(2, [("a", "i4")])), "dtype 'V4'"),
    "date": lambda mark: (pickle.dumps(np.zeros(2, "M8[s]")), "dtype 'M8'"),
    "damaged": lambda mark: (pickle.dumps(PLAIN)[:-60], "not a readable pickle"),
    "no pickle": lambda mark: (b"video_id,clip_id\n", "not a readable pickle"),
    "empty": lambda mark: (b"", "not a readable pickle"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_anything_else_is_refused_by_name_and_nothing_runs(tmp_path, kind):
    mark = tmp_path / "mark"
    data, word = HOSTILE[kind](str(mark))
    with pytest.raises(UnsafePickleError) as error:
        read_pickle(written(tmp_path, data))
    assert word in str(error.value)
    assert not mark.exists()


def test_the_hostile_pickles_would_work_elsewhere(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(HOSTILE["in an object array"](str(mark))[0])
    assert mark.exists()


def test_a_registered_extension_is_refused_even_after_another_reader_used_it(tmp_path):
    copyreg.add_extension("posix", "system", 240)
    try:
        assert pickle.loads(b"\x80\x02\x82\xf0.") is os.system
        with pytest.raises(UnsafePickleError, match=r"posix\.system"):
            read_pickle(written(tmp_path, b"\x80\x02\x82\xf0."))
    finally:
        copyreg.remove_extension("posix", "system", 240)


def array_of(dtype: bytes, shape: bytes, data: bytes, flags: bytes = b"K\x00") -> bytes:
    """An array as protocol 2 writes it, with any dtype, shape, data and flags of the dtype."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01" + shape
        + b"cnumpy\ndtype\n(U" + bytes([len(dtype)]) + dtype + b"K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        + flags + b"tb\x89U" + bytes([len(data)]) + data + b"tb."
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        array_of(b"O8", b"K\x01\x85", b"AAAAAAAA"),  # objects that deny to be objects: 8 bytes would be an address
        array_of(b"f4", b"K\x05\x85", b"AAAA"),
        array_of(b"f4", b"J\xff\xff\xff\xff\x85", b"AAAA"),
        array_of(b"U0", b"J\xff\xff\xff\x7f\x85", b""),  # two thousand million texts of no length
        array_of(b"f4,O8", b"K\x01\x85", b"AAAAAAAAAAAA"),
        array_of(b"U1", b"K\x01\x85", b"\xff\xff\xff\x7f"),  # no character has this number
    ],
)
def test_an_array_whose_data_do_not_fit_is_refused(tmp_path, data):
    with pytest.raises(UnsafePickleError, match="do not fit|whole numbers|dtype|no Unicode"):
        read_pickle(written(tmp_path, data))
    good = array_of(b"f4", b"K\x01\x85", b"AAAA")
    assert read_pickle(written(tmp_path, good)).shape == (1,)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_pickle(tmp_path / "none.pkl")
