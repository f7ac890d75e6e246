package runner

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStartsShareSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := newJournal(t, FsyncGroup)
		disk.takes = 10 * time.Millisecond
		began := time.Now()
		const goroutines, rounds = 100, 5
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for round := range rounds {
					id := fmt.Sprintf("%d-%d", g, round)
					want(t, "intend", j.intend(someStart(id, 1, "")), nil)
					if !disk.isDurable(`"` + id + `"`) {
						t.Errorf("%s counts as written, and the disk does not have it", id)
					}
					want(t, "began", j.began(someStart(id, 1, "t")), nil)
				}
			})
		}
		all.Wait()
		if disk.syncs < rounds || disk.syncs > 2*rounds {
			t.Errorf("%d syncs of %d starts", disk.syncs, goroutines*rounds)
		}
		want(t, "took", time.Since(began), time.Duration(disk.syncs)*disk.takes)
		want(t, "close", j.close(), nil)
		want(t, "live", len(state(t, j.path).Begun), goroutines*rounds)
	})
}

// A start that comes while a sync is going on is not in it.
func TestStartDuringASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := newJournal(t, FsyncGroup)
		disk.takes = 10 * time.Millisecond
		began := time.Now()
		var all sync.WaitGroup
		for i, wanted := range []time.Duration{10, 20, 20, 30} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 4 * time.Millisecond) // at 0, 4, 8, 12
				want(t, "intend", j.intend(someStart(fmt.Sprint(i), 1, "")), nil)
				want(t, fmt.Sprint("on the disk ", i), time.Since(began), wanted*time.Millisecond)
			})
		}
		all.Wait()
		want(t, "syncs", disk.syncs, 3)
	})
}

func TestJournalThatIsNotSynced(t *testing.T) {
	for mode, wanted := range map[Fsync]int{FsyncOff: 0, FsyncGroup: 1, FsyncEach: 1} {
		j, disk := newJournal(t, mode)
		want(t, "intend", j.intend(someStart("a", 1, "")), nil)
		want(t, "began", j.began(someStart("a", 1, "t")), nil)
		want(t, "drop", j.drop("a"), nil)
		want(t, "syncs of "+string(mode), disk.syncs, wanted)
		want(t, "close", j.close(), nil)
		want(t, "syncs in the end", disk.syncs, wanted+1)
		if !disk.isDurable(`"dropped"`) {
			t.Error("the disk does not have all of it")
		}
	}
}

func TestSyncThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := newJournal(t, FsyncGroup)
		disk.takes, disk.syncErr = time.Second, &os.PathError{Op: "sync", Path: "elsewhere", Err: syscall.EIO}
		message := "cannot write results to " + j.path + ": input/output error"
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() { want(t, "intend", fmt.Sprint(j.intend(someStart(fmt.Sprint(i), 1, ""))), message) })
		}
		all.Wait()
		disk.syncErr = nil
		want(t, "later", fmt.Sprint(j.intend(someStart("late", 1, ""))), message)
		want(t, "close", fmt.Sprint(j.close()), message)
		want(t, "syncs", disk.syncs, 1) // what one has lost, the next does not bring back
	})
}

func TestWhatCannotBeSynced(t *testing.T) {
	j, disk := newJournal(t, FsyncGroup)
	disk.syncErr = &os.PathError{Op: "sync", Path: "elsewhere", Err: syscall.EINVAL}
	want(t, "intend", j.intend(someStart("a", 1, "")), nil)
	want(t, "close", j.close(), nil)
}

func TestJournalIsCompleteDuringASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := newJournal(t, FsyncGroup)
		disk.takes = time.Second
		var intends sync.WaitGroup
		intends.Go(func() { want(t, "intend", j.intend(someStart("a", 1, "")), nil) })
		synctest.Wait()
		want(t, "complete", j.complete(completion{ResultsSize: 7}), nil)
		intends.Wait()
		want(t, "complete", state(t, j.path).Complete, &completion{ResultsSize: 7})
	})
}

// The file is written anew while others write and sync: none of them uses a file
// that is closed, and no start is lost.
func TestStartsWhileTheJournalIsCompacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, disk := newJournal(t, FsyncGroup)
		disk.takes = time.Millisecond
		j.most = 10_000
		var all sync.WaitGroup
		live := make([]Begun, 10)
		for g := range live {
			all.Go(func() {
				for i := range 40 {
					b := someStart(fmt.Sprintf("%d-%d", g, i), 1, "")
					want(t, "intend", j.intend(b), nil)
					b.Handle.TaskID = "task"
					want(t, "began", j.began(b), nil)
					if i < 39 {
						want(t, "drop", j.drop(b.ID), nil)
					}
					live[g] = b
				}
			})
		}
		all.Wait()
		want(t, "close", j.close(), nil)
		want(t, "live", state(t, j.path).Begun, byID(live...))
		if disk.opens < 5 {
			t.Errorf("written anew %d times", disk.opens)
		}
		if size := int64(len(contents(t, j.path))); size > j.most {
			t.Errorf("%d bytes", size)
		}
	})
}
