# The developers' commands. Each sets up what it needs on a fresh machine (Debian or Ubuntu, Rust) and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help demo test lint bench image pictures setup clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: ## one good deploy and one bad one that is rolled back, on the built-in simulator
	@tests/setup/setup.sh rust
	cargo run --locked --quiet -- demo

test: ## every test; what cannot be had on this machine is named as skipped
	tests/setup/setup.sh rust test
	@tests/setup/with_engine.sh tests/setup/run_tests.sh

lint: ## formatting, clippy, licences and bans, workflows
	tests/setup/setup.sh rust lint
	cargo fmt --check
	cargo clippy --locked --all-targets --quiet -- -D warnings
	tests/setup/lint_dependencies.sh
	tests/setup/lint_workflows.sh

bench: ## the figures we promise, as a table and in target/bench.json
	tests/setup/setup.sh rust static servers
	tests/setup/static_binary.sh release $${CARGO_TARGET_DIR:-target}/bench/root
	@# What an engine of ours writes on the way lies in memory, as the registries' files do.
	DOCKER_TMPDIR=$$(mktemp -d /dev/shm/touchdown-XXXXXX) tests/setup/with_engine.sh cargo bench --locked --quiet --bench figures

image: ## the image as users get it, from a static release binary in dist/
	tests/setup/setup.sh rust static
	tests/setup/with_engine.sh tests/setup/image.sh release touchdown:local .

pictures: ## every kind of job summary as GitHub shows it, in target/pictures; the README's own in docs/
	tests/setup/setup.sh rust pictures
	@tests/render/pictures.sh

setup: ## only the setting-up for lint and test
	tests/setup/setup.sh rust lint test

clean: ## everything that was built, fetched or set up
	cargo clean
	rm -rf dist
