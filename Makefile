# What one does with Bindery. It takes Go and make; the tests of the page take npm and a browser too.

# Not ./...: a package of npm may bring Go code of its own.
PACKAGES := ./functions/... ./shared/...
SOURCES  := functions shared

# The same source gives the same binary, wherever it is built.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w"

# The race detector is written in C.
ifneq ($(shell command -v $(firstword $(shell go env CC)) 2>/dev/null),)
RACE := -race
endif

# More flags for go test, such as -v or -run.
TEST_FLAGS :=

.DEFAULT_GOAL := help
.PHONY: help run test lint build cover bench clean

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Not by go run, which puts a line of its own below an error.
run: ## all of Bindery on this machine, http://localhost:8080; PORT= for another port
	@$(BUILD) -o dist/local/local ./functions/local
	@exec dist/local/local

# Never from the cache, for some tests run binaries that they build.
test: ## every test that this machine can run
	@$(if $(RACE),,echo "There is no C compiler here: the tests run without the race detector.")
	$(if $(RACE),CGO_ENABLED=1 )go test -count=1 -timeout 10m $(RACE) $(TEST_FLAGS) $(PACKAGES)

lint: ## vet, staticcheck, gofumpt, and the length of lines, files and mains
	go vet $(PACKAGES)
	go tool staticcheck $(PACKAGES)
	@echo go tool gofumpt -l $(SOURCES)
	@wrong=$$(go tool gofumpt -l $(SOURCES)) && if [ -n "$$wrong" ]; then \
		echo "not formatted (go tool gofumpt -w $(SOURCES)):"; echo "$$wrong"; exit 1; fi
	go test -count=1 -run '^TestStyle' ./shared/story

build: ## every function, into dist/local
	@mkdir -p dist/local
	$(BUILD) -o dist/local/ ./functions/...

cover: ## how much of the code the tests run, into coverage.out
	go test -count=1 -timeout 10m -coverprofile=coverage.out -coverpkg=./functions/...,./shared/... \
		$(TEST_FLAGS) $(PACKAGES)
	@go tool cover -func=coverage.out | tail -n 1

bench: ## the benchmarks
	go test -run '^$$' -bench . -benchmem -timeout 30m $(TEST_FLAGS) $(PACKAGES)

clean: ## remove what was made; the data folder stays
	rm -rf dist coverage.out
