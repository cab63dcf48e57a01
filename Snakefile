# From raw videos and a manifest to the tables of the papers.
#   snakemake --cores 2 results/sims_table2.csv
#   snakemake --cores 2 results/ch_sims/sims_table2.csv --configfile config/ch_sims.yaml
from snakemake.utils import min_version, validate

min_version("9.20")

pathvars:
    build="build",
    encoders="build/encoders",

report: "workflow/report/workflow.rst"

# A config file of the user's stands alone; only without one the demo corpus is run.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"

validate(config, "workflow/schemas/config.schema.yaml")

include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/crash.smk"
include: "workflow/rules/encoder.smk"
# A published feature file takes the place of all that is done with raw videos.
if not FEATURES_FILE:

    include: "workflow/rules/demo.smk"
    include: "workflow/rules/clips.smk"
    include: "workflow/rules/features.smk"
    include: "workflow/rules/dataset.smk"

include: "workflow/rules/feature_files.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/figures.smk"
if not FEATURES_FILE:

    include: "workflow/rules/qc.smk"
    include: "workflow/rules/predict.smk"

include: "workflow/rules/tune.smk"

rule all:
    """Every table and figure"""
    default_target: True
    input:
        RESULTS,

include: "workflow/rules/report.smk"
