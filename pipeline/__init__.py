"""The steps of the pipeline, each a command: `python -m pipeline.<step>` reads files and writes files."""
