# Everything a person or a machine does with this repository. `make` alone lists the targets.

HOSTS ?= 3

.DEFAULT_GOAL := help
.PHONY: help build release test check bench demo lab lab-down fmt lint audit snapshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build for development: target/debug/kk
	cargo build

release: ## build what is shipped: target/release/kk
	cargo build --release --locked

demo: ## a registry on three throw-away hosts on this machine, from nothing to push and pull
	@tests/demo $(HOSTS)

test: ## every test there is, lab included; installs what is missing
	@tests/run

check: ## what is fast: format, lints, tests that need no lab
	@tests/run install fmt clippy scripts cargo

bench: ## measure against OpenSSH, ansible-core and pyinfra, and write docs/benchmarks.md; on a machine with nothing else to do
	@tests/bench/run

lab: ## hosts to play with: make lab HOSTS=3
	@tests/lab/lab up $(HOSTS)

lab-down: ## remove the hosts
	@tests/lab/lab down

fmt: ## format the code
	cargo fmt --all

lint: ## clippy, warnings are errors
	cargo clippy --locked --workspace --all-targets --test lab --test ansible -- -D warnings

audit: ## licences, bans, sources and advisories of every dependency (installs cargo-deny once; needs a network)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --locked check

snapshots: ## write snapshots and made pages anew; read `git diff` afterwards
	KK_WRITE_DOCS=1 INSTA_UPDATE=always cargo test --locked --quiet
