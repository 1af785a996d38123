# The same words everywhere: here, in the README and in .ci/run.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM = gotest.tools/gotestsum@v1.13.0

.PHONY: build check cross same vuln test fuzz bench chaos temporal temporal-dev pictures vendor-ui

build: ## the program, as bin/imgflow; without C, so that it runs in any guest
	CGO_ENABLED=0 go build -o bin/imgflow ./cmd/imgflow

check: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'these files need gofmt'; exit 1; }
	go vet ./...
	cd bench && go vet .
	cd internal/pluginpeer && go vet .
	go mod tidy -diff
	cd bench && go mod tidy -diff
	go run $(STATICCHECK) ./...

# All systems that there are releases for. Types are checked and nothing is compiled:
# 6 s of a processor each instead of some 100.
TARGETS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
cross: ## whether it is Go on all of TARGETS, without building it
	go run ./internal/crosscheck $(TARGETS)

# With -trimpath all is compiled anew, which CI need not do each time: the release does.
same: ## whether two builds in two directories are the same bytes
	go test ./internal/cli -run TestBuildsAreTheSame -twice

# The database of vulnerabilities is on the network: no part of .ci/run.
vuln: ## what is known to be wrong with what the program calls
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

# Check has vetted everything, which go test would do again, with all that it depends on.
# Tests wait a good part of their time, so that three packages fill two processors.
# The race detector is on where goroutines share memory: the engine, its records, the
# steps, sessions, the embedded EC2. All else starts other processes or computes, which
# would take some three times as long; what measures how cost grows does without, too.
# Thousands of tests meet real processes, servers and clocks: up to three that fail are
# run once more, and named at the end. A data race is never run again.
RACE = dag engine state steps/aws steps/comm internal/app internal/ec2local$$ internal/cli/internal/web
TEST = go run $(GOTESTSUM) --format pkgname --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race
inRace = grep $(1) -E "^$$(go list -m)/($$(echo $(RACE) | tr ' ' '|'))"
test: ## every test, with the race detector where memory is shared
	$(TEST) --packages "$$(go list ./... | $(call inRace) | tr '\n' ' ')" -- -race -vet=off -p 3 -timeout 30m
	$(TEST) --packages "$$(go list ./... | $(call inRace,-v) | tr '\n' ' ')" -- -vet=off -p 3 -timeout 30m
	$(TEST) --packages "./dag ./internal/app/drive ./internal/app/files ./steps/comm" -- -vet=off -run 'Linear|TestCost'
	cd bench && go test .
	cd internal/pluginpeer && go test .

# One target after another, since each uses all processors. What it finds is kept
# beside the target, in testdata/fuzz, and is a test from then on. A target that
# fails without a find is run once more: before Go 1.27 the end of the time itself
# may read as a failure, "context deadline exceeded" (go.dev/issue/75804).
FUZZTIME ?= 60s
FUZZ ?= .
fuzz: ## every fuzz target whose directory and name match FUZZ, for FUZZTIME; CI gives some a few seconds
	@git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed 's,/[^/]*_test.go:func , ,' | grep -E '$(FUZZ)' | while read -r dir target; do \
		echo "$$dir $$target"; \
		run() { go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x "./$$dir"; }; \
		run || { test -z "$$(git status --porcelain -- "$$dir/testdata/fuzz" 2>/dev/null)" && run; } || exit 1; \
	done

bench: ## what things cost; then builds beside Packer and transfers beside OpenSSH, for half an hour
	go test -run '^$$' -bench . -benchmem ./...
	cd bench && go test -run '^$$' -bench . -benchmem .
	cd bench && go run . transfer && go run . build

chaos: ## 200 builds, each killed at a random moment; then one at every checkpoint, every call cut in every way, and every example without each statement of its policy
	go run ./internal/chaos -n 200 -workers 16
	go run ./internal/chaos -n 60 -runner process -workers 16
	go run ./internal/chaos -n 60 -state postgres -workers 16
	go run ./internal/chaos -boundary -workers 8
	go test -run 'TestEveryCallCut|TestDeathAtEveryWrite' ./steps/aws -every
	go test -run TestPolicyOfEachExample ./internal/cli -statements

temporal: ## the Temporal server that tests start; some ten minutes of a processor, once
	go run ./internal/temporaltest/try -build

temporal-dev: ## a Temporal server and PostgreSQL to try fleets by hand, until Ctrl-C
	go run ./internal/temporaltest/try

pictures: ## what docs/images shows of a terminal and a browser, recorded anew over the embedded EC2
	go run ./internal/pictures docs/images
	go test ./internal/cli -count=1 -run TestBrowser -pictures $(CURDIR)/docs/images

vendor-ui: ## what the page of imgflow ui has of others, from npm
	internal/cli/internal/web/vendor.sh
