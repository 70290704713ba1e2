# The commands of daily work. Each is a script in scripts/.

.DEFAULT_GOAL := help
.PHONY: help deb image run clean-run test test-lab fuzz fuzz-api fuzz-solver fmt lint doc openapi bench-execute bench-http bench-nodes bench-rollout bench-solver simulate

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## set up, start the service, carry out plan.json on this machine (TOPOLOGY=…, PLAN=… for other files)
	@scripts/run

deb: ## build a Debian package, in target/debian of the cache
	@scripts/setup build
	@scripts/deb

image: deb ## build a Docker image from that package
	@scripts/image

clean-run: ## remove what `make run` left: containers, state, our Docker engine
	@scripts/clean-run

test: ## set up and run every test, those of the lab included
	@scripts/setup test
	@scripts/test

test-lab: ## run only the lab's tests (TEST=name for some of them)
	@scripts/setup test
	@scripts/test --test lab -- $(TEST)

fuzz-api: ## make up many requests from openapi.json and check the answers (CASES=200, SEED=1)
	@scripts/setup test
	@MAPEK_FUZZ_CASES=$${CASES:-200} MAPEK_FUZZ_SEED=$${SEED:-$$RANDOM} MAPEK_FUZZ_SECONDS=7200 \
		scripts/test --test lab -- made_up_requests --nocapture

fmt: ## format the code
	@cargo fmt

lint: ## run all linters: Rust, and the scripts if shellcheck is there
	@scripts/lint

doc: ## build the API documentation of the crate
	@scripts/doc

fuzz: ## try a million made-up topologies, plans and allocations (CASES=… for another count)
	@MAPEK_FUZZ_CASES=$(or $(CASES),1000000) scripts/test --test fuzz

fuzz-solver: ## ask the service made-up placement questions and check every answer (CASES=100000, SEED=1)
	@CASES=$(CASES) SEED=$(SEED) scripts/fuzz-solver

simulate: ## play many stories of a simulated world (SEEDS=200000), or one (SEED=17), and check every promise
	@scripts/setup test
	@SEEDS=$(SEEDS) SEED=$(SEED) FROM=$(FROM) scripts/simulate

bench-http: ## measure the service's requests per second, compared with nginx
	@scripts/setup bench
	@scripts/bench-http

openapi: ## write openapi.json, docs/errors.md and the table of options again, from the code
	@scripts/openapi

bench-execute: ## measure executions, compared with a bare Docker client
	@scripts/setup test
	@scripts/bench-execute

bench-nodes: ## measure what 1,000 registered nodes cost
	@scripts/bench-nodes

bench-rollout: ## roll a change out beside Swarm and Kamal's procedure
	@scripts/setup test
	@scripts/bench-rollout

bench-solver: ## measure the solver
	@scripts/bench-solver
