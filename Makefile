# make demo    live pipeline on a drawn clip: torch-free environment, annotated video, results, summary
# make test    full developer stack, then lint, types, import contracts and the tests
# make check   lint, types and import contracts alone
# make bench   ours against what one would use instead, ten minutes; rewrites the tables (bench-table: only that)
# make clean   removes what was built and written, not the environments; make distclean removes those too
#
# Needs python3 (>= 3.10, with venv) and make. PYTHON=python3.12 picks another interpreter.

PYTHON ?= python3
LIVE := .venv-live
DEV := .venv
PYTEST_ARGS ?=
BENCH_ARGS ?=
export PYTHON
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench bench-table bench-check lint types contracts system-packages constraints clean distclean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,7p'

# Stamps, so that an environment is made once and again when its inputs change, also under make -j.
$(LIVE)/.made: pyproject.toml constraints.txt scripts/make-env.sh
	@scripts/make-env.sh $(LIVE) cpu,live,video,web
	@touch $@

$(DEV)/.made: pyproject.toml constraints.txt scripts/make-env.sh | system-packages
	@scripts/make-env.sh $(DEV) train,export,cpu,openvino,live,video,web,plots,mqtt,zenoh,dds,zmq,mcap,foxglove,archive,cluster dev
	@touch $@

system-packages:
	@scripts/install-system-packages.sh

demo: $(LIVE)/.made
	@mkdir -p demo-out
	@$(LIVE)/bin/python -m lvs_runtime.drawn --out demo-out/demo.mp4
	@$(LIVE)/bin/lvs-live --camera demo-out/demo.mp4 --headless \
	    --sink demo-out/annotated.mp4 --sink jsonl:demo-out/results.jsonl
	@echo
	@echo "Look:      demo-out/annotated.mp4 (heat, boxes, sound), demo-out/results.jsonl"
	@echo "Live page: $(LIVE)/bin/lvs-live --camera demo-out/demo.mp4 --sink web     then open the address it prints"
	@echo "Your own:  $(LIVE)/bin/lvs-live --camera 0 --mic default --sink web      ($(LIVE)/bin/lvs-doctor tells what is there)"

lint: $(DEV)/.made
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/ruff format --check .

types: $(DEV)/.made
	@$(DEV)/bin/mypy

contracts: $(DEV)/.made
	@$(DEV)/bin/lint-imports --no-logo

check: lint types contracts

test: check
	@$(DEV)/bin/python -m pytest $(PYTEST_ARGS)

bench: $(DEV)/.made
	@$(DEV)/bin/python -m benchmarks.scenarios.performance $(BENCH_ARGS)
	@$(MAKE) --no-print-directory bench-table
	@$(MAKE) --no-print-directory bench-check

bench-table: $(DEV)/.made
	@$(DEV)/bin/python -m benchmarks.scenarios.render

# Fails when README.md or docs/performance.md say something else than benchmarks/results.
bench-check: $(DEV)/.made
	@$(DEV)/bin/python -m benchmarks.scenarios.render --check

# The tested versions: markers for every Python, no index addresses.
constraints: $(DEV)/.made
	@$(DEV)/bin/uv pip compile --universal --python-version 3.10 --no-header --no-annotate --all-extras --group dev \
	    --quiet pyproject.toml -o constraints.txt

clean:
	rm -rf demo-out dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(LIVE) $(DEV)
