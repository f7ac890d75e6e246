# make test         all tests, with the race detector
# make lint         gofmt, go vet, golangci-lint
# make integration  whole batches against real model servers on loopback (needs g++, node, npm; slow the first time)
# make bench        the table of speeds and sizes, held against their bars
# make schema       write the published schema anew from its sources

# Tools carry their version in their names: a new version is a new file, and is installed.
TOOLS := $(CURDIR)/.tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
OLLAMA_VERSION := v0.6.5
OLLAMA := $(TOOLS)/ollama-$(OLLAMA_VERSION)
AIMOCK_VERSION := 1.43.0
LLMOCK := $(TOOLS)/aimock-$(AIMOCK_VERSION)/node_modules/.bin/llmock

.PHONY: build test lint integration bench schema

build:
	go build -o nightshift .

test:
	go test -race ./...

lint: $(GOLANGCI)
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags bench ./runner/cli
	go vet -tags integration ./runner/cli
	go mod tidy -diff
	$(GOLANGCI) run ./...

integration: $(OLLAMA) $(LLMOCK)
	OLLAMA=$(OLLAMA) LLMOCK=$(LLMOCK) go test -tags integration -count 1 -timeout 30m -run '^TestIntegration' -v ./runner/cli

bench:
	go test -tags bench -count 1 -timeout 20m -run '^TestBars$$' -v ./runner/cli

schema:
	go run . schema > schema/.batch.schema.json
	mv schema/.batch.schema.json schema/batch.schema.json

$(GOLANGCI):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

$(OLLAMA):
	CGO_ENABLED=1 GOBIN=$(TOOLS) go install github.com/ollama/ollama@$(OLLAMA_VERSION)
	mv $(TOOLS)/ollama $@

$(LLMOCK):
	npm install --ignore-scripts --no-save --no-audit --no-fund --prefix $(TOOLS)/aimock-$(AIMOCK_VERSION) @copilotkit/aimock@$(AIMOCK_VERSION)
