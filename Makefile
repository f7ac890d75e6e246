# make test     all tests, with the race detector
# make lint     gofmt, go vet, golangci-lint
# make bench    the table of speeds and sizes, held against their bars
# make schema   write the published schema anew from its sources

TOOLS := $(CURDIR)/.tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

.PHONY: build test lint bench schema

build:
	go build -o nightshift .

test:
	go test -race ./...

lint: $(GOLANGCI)
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags bench ./runner/cli
	go mod tidy -diff
	$(GOLANGCI) run ./...

bench:
	go test -tags bench -count 1 -timeout 20m -run '^TestBars$$' -v ./runner/cli

schema:
	go run . schema > schema/.batch.schema.json
	mv schema/.batch.schema.json schema/batch.schema.json

$(GOLANGCI):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@
