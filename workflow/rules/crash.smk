# What a run that was killed has left behind is cleared up when the next one begins: pipeline/base/crash.py.

import sys

from pipeline.base.crash import ThisRun

# Snakemake starts itself again for single jobs, which are part of the run.
if workflow.is_main_process:
    own_folders = {"build": "build", "encoders": "build/encoders", "results": "results", "logs": "logs"} | config.get("pathvars", {})
    this_run = ThisRun([*own_folders.values(), *([DEMO["folder"]] if DEMO else [])])
    for line in this_run.clear_up():
        print(line, file=sys.stderr)

    onerror:
        this_run.failed = True
