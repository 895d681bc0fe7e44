# Needs Go and make; the tests of the page also need npm and a browser.

# Not ./...: a package of npm may contain Go code.
PACKAGES := ./functions/... ./shared/...
SOURCES  := functions shared
# The folders in which a cloud's tag changes what is compiled.
TAGGED    = $(addprefix ./,$(sort $(dir $(shell \
	grep -rlE '^//go:build .*\b(aws|alibaba)\b' --include='*.go' --exclude='*_live_test.go' \
	$(SOURCES)))))

# The same source gives the same binary on every machine.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w"

# The race detector needs a C compiler.
ifneq ($(shell command -v $(firstword $(shell go env CC)) 2>/dev/null),)
RACE := -race
endif

# More flags for go test, such as -v or -run.
TEST_FLAGS :=

.DEFAULT_GOAL := help
.PHONY: help run test test-contract test-live-aws test-live-alibaba lint build package-aws
.PHONY: package-fc create-table create-table-fc cover bench screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Not with go run, which adds a line of its own after an error.
run: ## all of Bindery on this machine, http://localhost:8080; PORT= for another port
	@echo "Compiling Bindery. The first time takes a minute or two."
	@$(BUILD) -o dist/local/local ./functions/local
	@exec dist/local/local

# The tests' packages of npm. Without them the tests that need them are skipped.
node_modules/.package-lock.json: package-lock.json
	-$(if $(shell command -v npm 2>/dev/null),npm ci --no-audit --no-fund,@echo "There is no npm.")

# Never from the cache, because some tests run binaries that they build.
GO_TEST := $(if $(RACE),CGO_ENABLED=1 )go test -count=1 -timeout 30m $(RACE)

# The tests note here what they are skipped for.
SKIPPED := $(CURDIR)/dist/skipped

# All three builds, also when one fails. The last line says what was skipped.
test: node_modules/.package-lock.json ## every test that this machine can run
	@mkdir -p dist && : >"$(SKIPPED)"
	@export BINDERY_TEST_SKIPPED="$(SKIPPED)"; failed=; \
		run() { echo "$(GO_TEST) $$*"; $(GO_TEST) "$$@" || failed=1; }; \
		run $(TEST_FLAGS) $(PACKAGES); \
		run -tags aws $(TEST_FLAGS) $(TAGGED); \
		run -tags alibaba $(TEST_FLAGS) $(TAGGED); \
		$(call count_skipped,$(SKIPPED)); \
		test -z "$$failed"

# A line of the file is what a test lacks, a tab, and how that is installed.
count_skipped = sort "$(1)" | uniq -c | awk -F '\t' -v race=$(RACE) ' \
	{ n += $$1; sub(/^ */, "", $$1); sub(/ /, " without ", $$1) } \
	{ all = all (all ? ", " : ": ") $$1 " (" $$2 ")" } \
	END { print n + 0 " tests were skipped" all "." (race ? "" : \
		" The race detector was off (apt-get install gcc libc6-dev).") }'

# The vendors' descriptions and clients are nearly a gigabyte, so they are not in node_modules.
CONTRACT := shared/provider/contract
DESCRIPTIONS := dist/contract/node_modules/.package-lock.json

$(DESCRIPTIONS): $(CONTRACT)/package-lock.json
	@mkdir -p dist/contract
	cp $(CONTRACT)/package.json $(CONTRACT)/package-lock.json dist/contract
	cd dist/contract && npm ci --ignore-scripts --no-audit --no-fund

# With -v, which prints how many calls were held against which source.
test-contract: $(DESCRIPTIONS) ## the platforms' calls against the vendors' descriptions; needs npm
	go test -count=1 -timeout 10m -tags contract -v $(TEST_FLAGS) ./$(CONTRACT)

# Not from the cache, and with -v, which prints each test as it runs. The environment has the
# account's variables.
LIVE_TEST := go test -count=1 -timeout 60m -v $(TEST_FLAGS)

test-live-aws: ## the stores' suites in an AWS account; needs rights, costs cents (docs/testing.md)
	$(LIVE_TEST) -tags live,aws ./shared/live

test-live-alibaba: ## the same on Alibaba Cloud, and the registry's list
	$(LIVE_TEST) -tags live,alibaba ./shared/live

lint: ## vet, staticcheck, gofumpt, and the length of lines, files and mains
	go vet $(PACKAGES)
	go tool staticcheck $(PACKAGES)
	go vet -tags aws $(PACKAGES)
	go tool staticcheck -tags aws $(PACKAGES)
	go vet -tags alibaba $(PACKAGES)
	go tool staticcheck -tags alibaba $(PACKAGES)
	go vet -tags contract ./$(CONTRACT)
	go tool staticcheck -tags contract ./$(CONTRACT)
	go vet -tags live,aws ./shared/live
	go tool staticcheck -tags live,aws ./shared/live
	go vet -tags live,alibaba ./shared/live
	go tool staticcheck -tags live,alibaba ./shared/live
	@echo go tool gofumpt -l $(SOURCES)
	@wrong=$$(go tool gofumpt -l $(SOURCES)) && if [ -n "$$wrong" ]; then \
		echo "not formatted (go tool gofumpt -w $(SOURCES)):"; echo "$$wrong"; exit 1; fi
	go test -count=1 -run '^TestStyle' ./shared/e2e

build: ## every function, into dist/local
	@mkdir -p dist/local
	$(BUILD) -o dist/local/ ./functions/...

# All functions but the laptop's, one folder each, as a cloud needs them. The same source and the
# same Go give the same bytes. AWS needs no router: its API has a route for each operation.
DEPLOYED := $(filter-out local,$(notdir $(patsubst %/,%,$(wildcard functions/*/))))

# Without what the functions never use: Lambda's old protocol, and HTTP/2, which no cloud's service
# and no platform needs (590 KB of each function).
SMALLER = lambda.norpc$(comma)nethttpomithttp2

# Only what computes is inlined, the cryptography and Go's runtime: the rest of a function waits for
# networks, and inlined it is 590 KB more. That is room within the budget for what comes.
NOT_INLINED := -gcflags=all=-l $(patsubst %,-gcflags=%/...=,runtime internal crypto)

# $(call package,FOLDER OF dist,FUNCTIONS,ARCHITECTURE,TAGS,NAME OF THE BINARY,MOST BYTES OF ONE)
define package
	@rm -rf dist/$(1)
	@for f in $(2); do \
		GOOS=linux GOARCH=$(3) $(BUILD) $(NOT_INLINED) -tags $(4) -o dist/$(1)/$$f/$(5) ./functions/$$f || exit 1; \
		size=$$(wc -c <dist/$(1)/$$f/$(5)); printf '%-14s %9d bytes\n' $$f $$size; \
		if [ $$size -gt $(6) ]; then echo "$$f is larger than $(6) bytes"; exit 1; fi; \
	done
endef

package-aws: ## the functions for AWS, into dist/lambda; shows their sizes
	$(call package,lambda,$(filter-out router,$(DEPLOYED)),arm64,aws$(comma)$(SMALLER),bootstrap,10000000)

package-fc: ## the functions for Function Compute, into dist/fc; shows their sizes
	$(call package,fc,$(DEPLOYED),amd64,alibaba$(comma)$(SMALLER),main,15000000)

comma := ,

TABLE := bindery

create-table: ## a table in DynamoDB, from the AWS_ variables of the environment; TABLE= for its name
	@go run ./shared/table/dynamo/createtable $(TABLE)

create-table-fc: ## the table in Tablestore, from the variables of the environment; TABLE= for its name
	@go run ./shared/table/tablestore/createtable $(TABLE)

cover: ## the tests' coverage, into coverage.out
	go test -count=1 -timeout 20m -coverprofile=coverage.out -coverpkg=./functions/...,./shared/... \
		$(TEST_FLAGS) $(PACKAGES)
	@go tool cover -func=coverage.out | tail -n 1

# One package at a time, so that no benchmark disturbs another. BENCH_TIME is for each. What is above
# the mark in docs/bench.md stays. The picture is docs/growth.svg.
BENCH_TIME := 500ms
BENCHED = $(addprefix ./,$(sort $(dir $(shell \
	grep -rl '^func Benchmark' --include='*_test.go' $(SOURCES)))))

bench: ## the benchmarks, into docs/bench.md, in under ten minutes
	@mkdir -p dist
	go test -run '^$$' -bench . -benchtime $(BENCH_TIME) -p 1 -timeout 10m \
		$(TEST_FLAGS) $(BENCHED) >dist/bench.txt || { cat dist/bench.txt; exit 1; }
	@{ sed '/^<!-- measured -->$$/q' docs/bench.md; \
		printf '\nMeasured on %s by `make bench`: %s, %s, %s processors, %s, commit %s, load %s.\n' \
			"$$(date -u +%F)" "$$(go env GOOS)/$$(go env GOARCH)" \
			"$$(sed -n 's/^cpu: //p' dist/bench.txt | head -n 1)" "$$(getconf _NPROCESSORS_ONLN)" \
			"$$(go env GOVERSION)" "$$(git rev-parse --short HEAD)" \
			"$$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"; \
		printf '\n![What grows](growth.svg)\n'; \
		go run ./shared/bench docs/growth.svg <dist/bench.txt && \
		printf '\n### What a month costs\n\n' && \
		go run ./shared/cost | sed -n 's/^## \(.*\)/\1:\n/p; /^| part/,/^$$/p'; \
	} >dist/bench.md && mv dist/bench.md docs/bench.md

screenshots: node_modules/.package-lock.json ## the READMEs' pictures; fails if axe finds a fault in a screen
	@mkdir -p docs/img
	BINDERY_TEST_REQUIRE=all BINDERY_TEST_SCREENSHOTS=$(CURDIR)/docs/img go test -count=1 \
		-run 'AxeFaults$$' $(TEST_FLAGS) ./shared/e2e

clean: ## remove what was built; keeps the data folder
	rm -rf dist coverage.out
