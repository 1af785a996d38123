# The same words everywhere: here, in the README and in .ci/run.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build check test fuzz bench chaos

build: ## the program, as bin/imgflow; without C, so that it runs in any guest
	CGO_ENABLED=0 go build -o bin/imgflow ./cmd/imgflow

check: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'these files need gofmt'; exit 1; }
	go vet ./...
	go mod tidy -diff
	go run $(STATICCHECK) ./...

test: ## every test, with the race detector
	go test -race -timeout 30m ./...

# One target after another, since each uses all processors. What it finds is kept
# beside the target, in testdata/fuzz, and is a test from then on.
FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME; CI gives each a few seconds
	@git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed 's,/[^/]*_test.go:func , ,' | while read -r dir target; do \
		echo "$$dir $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x "./$$dir" || exit 1; \
	done

bench: ## what things cost
	go test -run '^$$' -bench . -benchmem ./...

chaos: ## 200 builds, each killed at a random moment; then one at every checkpoint
	go run ./internal/chaos -n 200 -workers 16
	go run ./internal/chaos -boundary -workers 8
