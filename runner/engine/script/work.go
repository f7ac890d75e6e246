package script

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"github.com/dop251/goja"
)

// request is what a worker is sent, after the Limits as the first message.
type request struct {
	Program   int // number of the program
	HasCode   bool
	Code      string // of a program that the worker does not have yet
	Forget    bool   // the programs that it has
	ParseOnly bool

	Name, Function string
	Inputs         []byte // JSON
	Variables, All bool
	Outputs        []string
}

// reply is what it answers.
type reply struct {
	Outputs []byte // JSON
	Err     string
	Mistake *SyntaxError
	Ends    bool // the worker is of no more use
}

// bench is the working half of a worker: what one process has.
type bench struct {
	limits   Limits
	programs map[int]*goja.Program
	mistakes map[int]error // of programs that cannot be run

	mu   sync.Mutex
	out  *gob.Encoder
	busy bool   // with a request that is not answered yet
	base uint64 // bytes of values before the first script
}

// maxStack is how large the stack of native functions may become, which call one
// another as deep as a text is nested.
const maxStack = 64 << 20

// work answers requests until there are no more: until the process that sends
// them ends, or ends this one. It is an error where that process is not one that
// starts workers, as its first message shows.
func work(stdin io.Reader, stdout io.Writer) error {
	// Who wants this process to end closes its input or kills it; an interrupt from
	// the terminal is meant for the other, which may still want answers.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	runtime.GOMAXPROCS(2) // one to run, one to watch
	debug.SetMaxStack(maxStack)
	debug.SetTraceback("none")
	time.Local = time.UTC

	b := &bench{programs: map[int]*goja.Program{}, mistakes: map[int]error{}, out: gob.NewEncoder(stdout)}
	in := gob.NewDecoder(stdin)
	if err := in.Decode(&b.limits); err != nil || b.limits.Time <= 0 || b.limits.Memory <= 0 {
		return errors.New("this process runs scripts for the nightshift that starts it, and cannot be started in another way")
	}
	runtime.GC()
	b.base = used()
	debug.SetMemoryLimit(int64(b.base) + b.limits.Memory)
	limitData(2 * b.limits.Memory)
	watch := time.NewTicker(time.Hour)
	watch.Stop()
	go b.watch(watch.C)
	b.answer(reply{})

	requests := make(chan request)
	go func() {
		for {
			var r request
			if in.Decode(&r) != nil {
				os.Exit(0) // whatever runs: nobody waits for it
			}
			requests <- r
		}
	}()
	for r := range requests {
		b.begin()
		watch.Reset(5 * time.Millisecond)
		outputs, err := b.do(r)
		watch.Stop()
		answer := reply{Outputs: outputs}
		if mistake, ok := errors.AsType[*SyntaxError](err); ok {
			answer.Mistake = mistake
		} else if err != nil {
			answer.Err = err.Error()
		}
		b.answer(answer)
	}
	return nil
}

// answer gives the one answer to a request.
func (b *bench) answer(r reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
	b.send(r)
}

func (b *bench) send(r reply) {
	if b.out.Encode(r) != nil {
		os.Exit(0)
	}
}

// begin says that a request is there to be answered.
func (b *bench) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = true
}

// watch looks how much memory a script has taken. What is too much of it goes
// with the process: a script cannot be interrupted everywhere.
func (b *bench) watch(tick <-chan time.Time) {
	most := b.base + uint64(b.limits.Memory)
	for range tick {
		if used() <= most {
			continue
		}
		runtime.GC()
		b.mu.Lock()
		if b.busy && used() > most {
			b.send(reply{Err: b.limits.errMemory().Error(), Ends: true})
			select {} // until the end, which is near; nothing else may be answered
		}
		b.mu.Unlock()
	}
}

// used is the memory of all values, garbage among them, in bytes.
func used() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// do runs a script, or only looks at its syntax.
func (b *bench) do(r request) (outputs []byte, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = b.limits.fromPanic(x)
		}
	}()
	if r.Forget {
		clear(b.programs)
		clear(b.mistakes)
	}
	if r.HasCode {
		b.programs[r.Program], b.mistakes[r.Program] = parse(r.Name, r.Code)
	}
	if err := b.mistakes[r.Program]; err != nil || r.ParseOnly {
		return nil, err
	}
	program := b.programs[r.Program]
	if program == nil {
		return nil, fmt.Errorf("there is no program %d", r.Program)
	}
	return b.limits.evaluate(program, r)
}
