# One command for each thing. A fresh machine needs Python 3.11 or newer and make; the rest is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Of the tests' processes; many tests wait for other processes, so that two cores have room for a third.
JOBS ?= 3
# Tests start hundreds of programs, which are not to be compiled each time, whatever is set outside.
COMPILED := PYTHONDONTWRITEBYTECODE=

.PHONY: setup run demo test test-grpcio check proto simulate planted torture bench lint-deploy lock sbom audit container \
	release-check docs screenshots clean

setup: .venv/.ready

.venv/.ready: pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("stockkeeper needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./client -e '.[dev]'
	@touch $@

run: setup  ## a server on localhost:50053 with a sample stock
	@$(BIN)/stockkeeper serve --sample

demo: setup  ## a day of real orders against a server of its own
	@$(BIN)/python examples/order_service.py --demo

test: setup
	$(COMPILED) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-grpcio: setup  ## the contract of the transports, and the client, with both ends of grpcio's range
	.ci/test_grpcio 1.82.2 1.85.3

check: setup  ## format, lint, types, layers, house rules, contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=examples:proto:docs/site $(BIN)/mypy examples proto hatch_build.py deploy docs/site  # scripts, whose imports begin in their own folder
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house.py
	cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf breaking --against baseline
	$(BIN)/python proto/generate.py --check

proto: setup  ## generate client/stockkeeper_client/v1 and /sync anew
	$(BIN)/python proto/generate.py

simulate: setup
	$(BIN)/stockkeeper simulate --seed $(or $(SEED),7)

planted: setup  ## hunt every planted bug until it is caught; ARGS=--page=docs/planted-bugs.md measures them anew
	$(BIN)/python -m simulation.planted.bugs $(or $(ARGS),--first)

torture: setup  ## kill, stop, fill, cut and attack everything, about two hours; writes docs/torture.md
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.torture

bench: setup  ## the service, its ceiling and its rivals, into bench/results and docs/benchmarks.md; ARGS=--quick
	$(BIN)/python -m bench $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m bench.startup)
	$(if $(ARGS),,$(BIN)/python -m bench.routed)

.venv/.ship: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./client -e '.[dev,ship]'
	@touch $@

lint-deploy: .venv/.ship  ## deploy/ and .github/, by the tools that know them
	deploy/lint

lock: .venv/.ship  ## the container's packages by hash; ARGS=--upgrade takes newer ones
	deploy/lock $(ARGS)

sbom: .venv/.ship  ## dist/stockkeeper.cdx.json
	deploy/sbom

audit: .venv/.ship  ## known weaknesses of the locked packages; needs the network
	deploy/audit

container: setup  ## needs docker, podman or buildah; ARGS are those of its build
	deploy/build_container $(ARGS)

release-check: .venv/.ship docs  ## makes dist/ and tries it; TAG=v0.2.0 when it is to be that version
	TAG=$(TAG) deploy/release_check

.venv/.docs: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./client -e '.[dev,docs]'
	@touch $@

docs: .venv/.docs  ## build/site/site, every link of it checked; REPOSITORY is where links to the code lead
	PYTHONPATH=. $(BIN)/python docs/site/stage.py build/site $(REPOSITORY)
	cd build/site && $(CURDIR)/$(BIN)/zensical build --strict --clean

screenshots: setup  ## docs/pictures, of a real server in a real terminal
	PYTHONPATH=. $(BIN)/python docs/site/screenshots.py docs/pictures

clean:
	rm -rf .venv .grpcio build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .grimp_cache
