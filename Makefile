# The same words everywhere: here, in the README and in .ci/run.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build check test fuzz bench chaos

build: ## the program, as bin/imgflow
	go build -o bin/imgflow ./cmd/imgflow

check: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'these files need gofmt'; exit 1; }
	go vet ./...
	go mod tidy -diff
	go run $(STATICCHECK) ./...

test: ## every test, with the race detector
	go test -race -timeout 30m ./...

bench: ## what things cost
	go test -run '^$$' -bench . -benchmem ./...

chaos: ## 200 builds, each killed at a random moment; then one at every checkpoint
	go run ./internal/chaos -n 200 -workers 16
	go run ./internal/chaos -boundary -workers 8
