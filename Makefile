# make setup | demo | demo-stream | demo-live | kafka | kafka-cluster | spark | quick | test | soak | lock. Each target sets up .venv from the pinned lock by itself.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
# The files that use tests/sizes.py: the gate runs them smaller.
WHOLE = $(shell grep -l tests.sizes -r tests --include=test_*.py)
# Tests start hundreds of processes, which find the modules compiled.
export PYTHONDONTWRITEBYTECODE =
.PHONY: help setup demo demo-stream demo-live kafka kafka-cluster spark containers quick test soak fuzz lint bench bench-full docs sbom lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/installed ## .venv from the pinned lock

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## make data, train, export, score a dirty CSV file
	@$(BIN)/credit demo

demo-stream: setup ## embedded broker: publish, score, print decisions and dead letters
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh demo-stream.sh

demo-live: setup ## embedded broker: account events and applications in two topics, decisions, and a batch that names what came late
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh demo-live.sh

kafka: ## a real single-node Apache Kafka on 127.0.0.1:9092, in the foreground (Java 17, Maven)
	./stream/kafka/start.sh

kafka-cluster: ## three real brokers on loopback from 19092 on, three copies of everything, in the foreground
	./stream/kafka/cluster.sh

spark: setup ## a standalone Apache Spark on loopback: a master and two workers, in the foreground (Java 17)
	PYTHON=$(BIN)/python ./batch/spark/cluster.sh

soak: setup ## the kill tests of the stream and of the REST log with 200 kills, 200 changes of bundles under load, 10,000 changed bundles and signatures, 30 kills of the history store over 100,000 decisions, ten brokers killed behind a commit, 30 hostile links, what the gate runs smaller (docs/tests.md), 130 kills and 10 freezes on three brokers, far brokers, the containers (as root; about 3 hours)
	CREDIT_KILLS=200 OMP_NUM_THREADS=1 $(BIN)/pytest -s -o faulthandler_timeout=7200 tests/kafka/test_stream_kills.py tests/process/test_rest_log_kills.py
	for i in 1 2 3 4 5 6 7 8 9 10; do OMP_NUM_THREADS=1 $(BIN)/pytest -q tests/kafka/test_stream_faults.py -k bounces || exit 1; done
	CREDIT_HISTORY=30,100000 OMP_NUM_THREADS=1 $(BIN)/pytest -s -o faulthandler_timeout=14400 tests/kafka/test_history_kills.py
	CREDIT_CHAOS=100-129 OMP_NUM_THREADS=1 $(BIN)/pytest -s -o faulthandler_timeout=7200 tests/kafka/test_stream_chaos.py
	CREDIT_CLUSTER=100,30,200000,10 OMP_NUM_THREADS=1 $(BIN)/pytest -s -o faulthandler_timeout=14400 tests/kafka/test_stream_cluster.py -k again
	for far in 0.1 0.2; do CREDIT_FAR=$$far CREDIT_FAR_SECONDS=60 OMP_NUM_THREADS=1 $(BIN)/pytest -s tests/kafka/test_stream_far.py || exit 1; done
	CREDIT_CHANGES=200 OMP_NUM_THREADS=1 $(BIN)/pytest -s -o faulthandler_timeout=7200 tests/process/test_rest_change.py tests/kafka/test_stream_change.py
	CREDIT_MUTATIONS=10000 $(BIN)/pytest tests/process/test_signatures.py -k mutation
	CREDIT_WHOLE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(WHOLE)
	$(MAKE) containers
	CREDIT_WHEEL=1 $(BIN)/pytest -s -o faulthandler_timeout=7200 tests/process/test_wheel.py -k main_job
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.directions synthetic

fuzz: setup ## 20,000 generated requests against the REST door, both frameworks (about 15 minutes)
	CREDIT_FUZZ_CASES=20000 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/process/test_rest_fuzz.py

lint: setup ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

containers: export CREDIT_CONTAINERS ?= /var/tmp/credit-containers
containers: setup ## build the images and run what docker-compose.yml describes, by podman; Linux, root (about 15 minutes)
	deploy/containers/base_images.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/pytest -s tests/process/test_compose_run.py

quick: lint ## lint, types and the tests that start no process, broker or browser and train little: about 5 minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --hypothesis-profile=quick \
		-m "not process and not kafka and not browser and not slow"

test: lint ## lint, types and all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/kafka/test_stream_cluster.py # on two cores; a file stays together, in its order
	OMP_NUM_THREADS=1 $(BIN)/pytest -s tests/kafka/test_stream_cluster.py # three brokers and two workers: alone

bench: setup ## speed and memory against DuckDB, pandas and XGBoost, quality against plain models, at a tenth of the size
	$(BIN)/python -m benchmarks tenth
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.history_speed 100000
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.history_doors 100000
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.against_plain --size 0.1 --folds 3

bench-full: setup ## the same with 1M applications and 40M events; needs 16 GB of memory for the baselines; DATA=FOLDER adds public sets
	$(BIN)/python -m benchmarks full
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.history_speed 1000000
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.history_doors 1000000
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.against_plain $(if $(DATA),--data $(DATA))

docs: setup ## the pages of docs/ as a site with search, in site/, for `python -m http.server -d site`
	$(BIN)/typer cli.main utils docs --name credit --output docs/commands.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

sbom: setup ## sbom.json: what a serving install holds, in CycloneDX form
	$(BIN)/cyclonedx-py requirements requirements-serve.txt --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json

lock: ## resolve requirements.txt anew (needs uv)
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --output-file requirements.txt
	uv pip compile pyproject.toml --extra stream --extra api --extra history --extra sign --python-version 3.11 --generate-hashes -c requirements.txt \
		--no-emit-index-url --no-header --no-annotate --output-file requirements-serve.txt # the image's

clean: ## remove what make made
	rm -rf .venv demo .kafka site sbom.json
