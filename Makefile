# make test         all tests, with the race detector
# make lint         gofmt, go vet, golangci-lint, and that workflow code decides the same every time
# make integration  whole batches against real servers of models, and of Temporal, on loopback (needs g++, node, npm; slow the first time)
# make bench        the table of speeds and sizes, held against their bars
# make schema       write the published schema anew from its sources

# Tools carry their version in their names: a new version is a new file, and is installed.
TOOLS := $(CURDIR)/.tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
WORKFLOWCHECK_VERSION := v0.6.0
WORKFLOWCHECK := $(TOOLS)/workflowcheck-$(WORKFLOWCHECK_VERSION)
OLLAMA_VERSION := v0.6.5
OLLAMA := $(TOOLS)/ollama-$(OLLAMA_VERSION)
TEMPORAL_VERSION := v1.5.1
TEMPORAL := $(TOOLS)/temporal-$(TEMPORAL_VERSION)
AIMOCK_VERSION := 1.43.0
LLMOCK := $(TOOLS)/aimock-$(AIMOCK_VERSION)/node_modules/.bin/llmock

.PHONY: build test lint integration bench schema

build:
	go build -o nightshift .

test:
	go test -race ./...

lint: $(GOLANGCI) $(WORKFLOWCHECK)
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags bench ./runner/cli
	go vet -tags integration ./runner/cli ./runner/temporal ./runner/temporal/flow
	go mod tidy -diff
	$(GOLANGCI) run ./...
	$(WORKFLOWCHECK) ./runner/temporal/flow

# One package after the other: they would take each other's time.
integration: $(OLLAMA) $(LLMOCK) $(TEMPORAL)
	OLLAMA=$(OLLAMA) LLMOCK=$(LLMOCK) TEMPORAL=$(TEMPORAL) go test -p 1 -tags integration -count 1 -timeout 30m -run '^TestIntegration' -v ./runner/cli ./runner/temporal/flow
	TEMPORAL=$(TEMPORAL) go test -tags integration -count 1 -timeout 10m ./runner/temporal

bench: $(TEMPORAL)
	TEMPORAL=$(TEMPORAL) go test -tags bench -count 1 -timeout 20m -run '^TestBars$$' -v ./runner/cli

schema:
	go run . schema > schema/.batch.schema.json
	mv schema/.batch.schema.json schema/batch.schema.json

$(GOLANGCI):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

$(WORKFLOWCHECK):
	GOBIN=$(TOOLS) go install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)
	mv $(TOOLS)/workflowcheck $@

$(OLLAMA):
	CGO_ENABLED=1 GOBIN=$(TOOLS) go install github.com/ollama/ollama@$(OLLAMA_VERSION)
	mv $(TOOLS)/ollama $@

$(TEMPORAL):
	GOBIN=$(TOOLS) go install github.com/temporalio/cli/cmd/temporal@$(TEMPORAL_VERSION)
	mv $(TOOLS)/temporal $@

$(LLMOCK):
	npm install --ignore-scripts --no-save --no-audit --no-fund --prefix $(TOOLS)/aimock-$(AIMOCK_VERSION) @copilotkit/aimock@$(AIMOCK_VERSION)
