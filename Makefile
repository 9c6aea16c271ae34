# All that is needed is Python 3.11: each target makes .venv when it is not there, and installs once.
#   make demo     a backfill against a local simulator, no account needed
#   make demo-stream  the same as a stream; needs the Pub/Sub emulator and Prism (make tools)
#   make test     the fast tests, in two processes (JOBS=4: in four); with ARGS="tests/e2e -k name" pytest runs that instead
#   make test-all all tests, the fast ones first, with the coverage of these; the others need the tools
#   make tools    Prism and Envoy's rate limit service into .tools, which tests of test-all need beside the Pub/Sub
#                 emulator and redis-server; needs Go
#   make lint     ruff, codespell, prose         make types    mypy --strict
#   make campaign backfills and streams under many faults, with many seeds; ARGS="--list" shows the plans
#   make fuzz     damaged input for each surface, ARGS="--seconds 600 --only decoding"; with atheris where it installs
#   make bench    ratios of speed                make docs     write the generated pages of docs/ and templates/*.json
#   make site     the pages of docs/ as a site, in site/; fails for a link or an anchor that leads nowhere
#   make pictures the pictures of README.md and the recording of docs/what-you-see.md; needs Chromium
#   make audit    make bandit, then pip-audit on constraints.txt; needs the JSON API of pypi.org
#   make sbom     the packages of a virtual environment as an SBOM; ENVIRONMENT=/tmp/release names another than .venv,
#                 and SBOM=/tmp/sbom.json another file than beam-talonone.cdx.json
#   make lock     renew constraints.txt         make clean    remove everything that make made
# PYTHON=/path/to/python chooses the interpreter that .venv is made with.

VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml setup.py constraints.txt
# Certificates of the machine: a company's proxy has its own. Both names, as uv renamed the setting.
export UV_NATIVE_TLS := 1
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

.PHONY: demo demo-stream test test-all tools lint types bench campaign fuzz bandit audit sbom lock docs site pictures clean venv
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/beam-talonone demo $(ARGS)

demo-stream: $(VENV)/.runtime
	PATH="$(CURDIR)/.tools/bin:$$PATH" $(BIN)/beam-talonone demo --stream --output demo-stream-output $(ARGS)

# worksteal: each process begins with a half of the tests, in the order of the files, which share fixtures.
# The slow tests wait most of the time, for leases and for processes to end: they take one process more.
JOBS := 2
SLOW_JOBS := $(shell expr $(JOBS) + 1)
PYTEST := $(BIN)/python -m pytest
SHARE := --dist worksteal -n
# Coverage nearly doubles the time of the fast tests, so it is measured for test-all only; `make test-all COVERAGE=`
# leaves it out. `make test test-all` runs nothing twice.
COVERAGE := $(if $(filter test-all,$(MAKECMDGOALS)),--cov)

test: $(VENV)/.dev
	$(PYTEST) $(if $(ARGS),$(ARGS),$(SHARE) $(JOBS) -m "not slow" $(COVERAGE))

test-all: test
	$(PYTEST) $(SHARE) $(SLOW_JOBS) -m "slow and not alone"
	$(PYTEST) -m alone

# Prism is of the same version as Beam, the rate limit service has one of its own; a stamp says which is there. The rest
# of what the tests need can only be named.
RATELIMIT := v1.4.1-0.20260122083618-3fb702589d36
tools: $(VENV)/.dev
	@version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("apache-beam"))'); \
	build() { \
	  stamp=.tools/$$1-$$3; \
	  if [ -e $$stamp ] && [ -x .tools/bin/$$1 ]; then return 0; fi; \
	  go=$$(command -v go || command -v /usr/local/go/bin/go) || { \
	    echo "make tools needs Go to build $$1: https://go.dev/doc/install, or apt install golang-go" >&2; return 1; }; \
	  if [ -z "$$HOME" ]; then \
	    export GOPATH="$${GOPATH:-$(CURDIR)/.tools/go}" GOCACHE="$${GOCACHE:-$(CURDIR)/.tools/cache}"; fi; \
	  mkdir -p .tools && rm -f .tools/$$1-* && \
	  GOBIN="$(CURDIR)/.tools/bin" "$$go" install -modcacherw $$2@$$3 && touch $$stamp; \
	}; \
	build prism github.com/apache/beam/sdks/v2/go/cmd/prism v$$version && \
	build service_cmd github.com/envoyproxy/ratelimit/src/service_cmd $(RATELIMIT)
	@$(BIN)/python tests/streams/harness/tools.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python docs/check_prose.py
	$(BIN)/python docs/check_comments.py

types: $(VENV)/.dev
	$(BIN)/mypy

# In an environment without pandas, which `dev` needs for Beam YAML: Beam imports it wherever it is installed, and each
# start takes 0.2 s longer.
BENCH := $(VENV)/bench
bench: $(BENCH)/.installed
	$(BENCH)/bin/python bench/speed.py $(ARGS)

campaign: $(VENV)/.dev
	PATH="$(CURDIR)/.tools/bin:$$PATH" PYTHONPATH=tests:. $(BIN)/python -m campaign $(ARGS)

# atheris is in a folder of its own, so that it is no dependency of `dev`. It is built for some platforms only.
ATHERIS := 3.0.0
fuzz: $(VENV)/.fuzz
	PYTHONPATH=$(VENV)/fuzz:tests:. $(BIN)/python -m fuzz $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/generate_options.py
	$(BIN)/python docs/generate_reference.py
	$(BIN)/python docs/generate_schemas.py

site: $(VENV)/.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

pictures: $(VENV)/.dev
	$(BIN)/python docs/make_pictures.py

# In environments of their own, so that their dependencies are not among those of `dev`. bandit warns on stderr of each
# line of a statement whose other line has the finding that `nosec` accepts, so stderr is shown if it fails.
# --strict: without it, pip-audit succeeds where it could look up nothing.
RUN := $(BIN)/uv tool run --quiet --from
BANDIT := $(RUN) bandit==1.9.4 bandit
PIP_AUDIT := $(RUN) pip-audit==2.10.1 pip-audit
CYCLONEDX := $(RUN) cyclonedx-bom==7.5.0 cyclonedx-py

bandit: $(VENV)/.uv
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	$(BANDIT) --quiet --configfile pyproject.toml --recursive schemas talonone transforms pipelines simulator 2>"$$log" || \
	  { cat "$$log" >&2; exit 1; }

audit: bandit
	$(PIP_AUDIT) --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

# A package that was installed from a file, as the wheel of a release, is listed with the path of that file on this
# machine. The path is taken out.
ENVIRONMENT := $(VENV)
SBOM := beam-talonone.cdx.json
sbom: $(VENV)/.uv
	@version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' beam_talonone/__init__.py); \
	project=$$(mktemp); trap 'rm -f "$$project"' EXIT; \
	sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml >"$$project"; \
	$(CYCLONEDX) environment --pyproject "$$project" --mc-type library --output-reproducible \
	  --output-file $(SBOM) $(ENVIRONMENT)/bin/python
	@$(BIN)/python -c 'import json, sys; bom = json.load(open(sys.argv[1])); key = "externalReferences"; \
	  [part.update({key: [ref for ref in part[key] if not ref["url"].startswith("file:")]}) \
	    for part in bom["components"] if key in part]; \
	  json.dump(bom, open(sys.argv[1], "w"), indent=2)' $(SBOM)
	@echo "$(SBOM)"

# --upgrade: without it, uv keeps the versions that it finds in the file.
lock: $(VENV)/.uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra site --python-version 3.11 --upgrade --quiet \
	  --no-annotate --no-header --strip-extras --output-file constraints.txt

venv: $(VENV)/.dev

clean:
	rm -rf $(VENV) .tools .coverage* *.cdx.json build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-output demo-stream-output bench/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what is installed; it is older than its inputs when something has to be installed again.
$(VENV)/.uv:
	@found=; for candidate in $(PYTHON) python3.11 python3 python; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then found=$$candidate; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "beam-talonone needs Python 3.11 or newer, and python3.11, python3 and python are not:" >&2; \
	  echo "install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	rm -rf $(VENV); \
	if ! $$found -m venv $(VENV); then \
	  rm -rf $(VENV); \
	  echo "$$found cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; fi; \
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	@touch $@

$(VENV)/.runtime: $(VENV)/.uv $(INPUTS)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.uv $(INPUTS)
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.fuzz: $(VENV)/.dev
	$(INSTALL) --target $(VENV)/fuzz atheris==$(ATHERIS) || \
	  echo "atheris does not install here: make fuzz chooses its examples at random" >&2
	@touch $@

$(BENCH)/.installed: $(VENV)/.uv $(INPUTS)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(BENCH)
	$(subst --python $(BIN)/python,--python $(BENCH)/bin/python,$(INSTALL)) --editable '.[bench]'
	@touch $@

$(VENV)/.site: $(VENV)/.dev
	$(INSTALL) --editable '.[dev,site]'
	@touch $@
