# What a run that was killed has left behind is cleared up when the next one begins: pipeline/base/crash.py.

import sys

from pipeline.base.crash import ThisRun, check_folders

# A job that is killed can say nothing itself.
KILLED = "error: killed by signal $((status - 128)); 9 is a person, or want of memory: give fewer --cores and run again"
shell.prefix(f"set -euo pipefail; trap 'status=$?; [ $status -le 128 ] || echo \"{KILLED}\" >&2' EXIT; ")

# Snakemake starts itself again for single jobs, which are part of the run.
if workflow.is_main_process:
    own_folders = {"build": "build", "encoders": "build/encoders", "results": "results", "logs": "logs"} | config.get("pathvars", {})
    all_folders = [*own_folders.values(), *([DEMO["folder"]] if DEMO else [])]
    try:
        check_folders([".snakemake", *all_folders])
    except UserError as error:
        raise WorkflowError(str(error))
    this_run = ThisRun(all_folders)
    for line in this_run.clear_up():
        print(line, file=sys.stderr)

    onerror:
        this_run.failed = True
