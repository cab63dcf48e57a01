"""The one rule for names (`video_id`, `clip_id`): what file systems, Snakemake and a command line bear.

Chinese and other letters, digits, inner spaces and most marks are fine, also '-' in front, as YouTube's ids have it.
"""

import re
import unicodedata

import jsonschema

FORMATS = jsonschema.FormatChecker()
# With the longest suffix that a file of this name gets, a temporary one, that is at most 200 bytes.
LONGEST = 170
# The first two separate folders, braces are Snakemake's, the others are no names on Windows and its disks.
MARKS = set('/\\{}<>:"|?*')
# Snakemake takes a name that ends with so many repetitions for a loop of rules.
PERIODIC = re.compile(r"(.+)\1{19}$")


@FORMATS.checks("name", raises=ValueError)
def check_name(name: object) -> bool:
    """Whether a name can be used; raises ValueError that says why not."""
    if not isinstance(name, str):
        return True
    for letter in name:
        if letter in MARKS:
            raise ValueError(f"'{name}' holds '{letter}'")
        kind = unicodedata.category(letter)
        if kind[0] == "C" or kind in ("Zl", "Zp") or (kind == "Zs" and letter != " "):
            raise ValueError(f"{ascii(name)} holds U+{ord(letter):04X}, which cannot be seen or is no letter")
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        raise ValueError(f"'{name}' begins or ends with a space or a dot")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError(f"'{name}' holds letters and accents apart (it is not in Unicode's form NFC)")
    if len(name.encode()) > LONGEST:
        raise ValueError(f"'{name[:20]}...' has {len(name.encode())} bytes, more than {LONGEST}")
    if PERIODIC.search(name):
        raise ValueError(f"'{name[:20]}...' ends with 20 repetitions")
    return True


@FORMATS.checks("text", raises=ValueError)
def check_text(text: object) -> bool:
    """Whether a text can be kept in HDF5; raises ValueError that says why not."""
    if isinstance(text, str) and ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise ValueError("it holds a character that no text has (U+0000 or half a character)")
    return True


@FORMATS.checks("path", raises=ValueError)
def check_path(path: object) -> bool:
    """Whether a path can be used; raises ValueError that says why not."""
    if isinstance(path, str) and any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in path):
        raise ValueError(f"{ascii(path)} holds a line break or another character that cannot be seen")
    return True
