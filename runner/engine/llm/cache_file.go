package llm

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The format of the file. A change of the tables takes a new number, and code
// that brings files of earlier numbers up to it.
const (
	cacheFormat      = 2
	cacheApplication = 0x4e534143 // marks the file as ours: "NSAC"
	cacheTables      = `
create table if not exists answers (
	id                  integer primary key,
	key                 blob    not null unique,
	provider            text    not null,
	model               text    not null,
	input_tokens        integer not null,
	cached_input_tokens integer not null,
	output_tokens       integer not null,
	kept                integer not null, -- when, in milliseconds since 1970
	checksum            integer not null,
	text                text    not null, -- behind what is counted, which is read without it
	kept_nanos          integer not null default 0 -- nanoseconds past kept
) strict;
create index if not exists answers_by_age on answers (kept);
create table if not exists uses (
	provider text    not null,
	model    text    not null,
	times    integer not null,
	primary key (provider, model)
) strict, without rowid;`

	// Format 1 had no kept_nanos. To add it takes no time, however large the file is.
	addNanos = `alter table answers add column kept_nanos integer not null default 0;`

	getAnswer = `select provider, model, input_tokens, cached_input_tokens, output_tokens, kept, kept_nanos, checksum, text from answers where key = ?`
	putAnswer = `insert into answers (key, provider, model, input_tokens, cached_input_tokens, output_tokens, kept, kept_nanos, checksum, text)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (key) do update set provider = excluded.provider, model = excluded.model,
input_tokens = excluded.input_tokens, cached_input_tokens = excluded.cached_input_tokens, output_tokens = excluded.output_tokens,
kept = excluded.kept, kept_nanos = excluded.kept_nanos, checksum = excluded.checksum, text = excluded.text`
	countUses = `insert into uses values (?, ?, ?) on conflict do update set times = times + excluded.times`
)

const (
	busyTimeout = 5 * time.Second // how long a lock of another process is waited for
	pageCache   = 250             // KB for each connection; in memory they take twice as much
)

// OpenCache opens the cache in a file, and makes the file and its folder where
// they are not there. Answers older than ttl are never given; with ttl 0
// they do not age. They are not removed, as other batch files may use the file
// with another ttl.
func OpenCache(path string, ttl time.Duration) (*Cache, error) {
	return openCache(path, ttl, busyTimeout)
}

func openCache(path string, ttl, busy time.Duration) (*Cache, error) {
	c := &Cache{path: path, ttl: ttl, used: map[source]int64{}, puts: make(chan *put), closing: make(chan struct{}), written: make(chan struct{})}
	c.close = sync.OnceValue(c.end)
	if err := c.open(busy); err != nil {
		for _, db := range []*sql.DB{c.read, c.write} {
			if db != nil {
				db.Close()
			}
		}
		return nil, fmt.Errorf("cannot keep answers in %s: %w", path, explain(err))
	}
	go c.writer()
	return c, nil
}

func (c *Cache) open(busy time.Duration) (err error) {
	if err := createCache(c.path); err != nil {
		return err
	}
	if c.write, err = connect(c.path, busy, "_txlock", "immediate"); err != nil {
		return err
	}
	if c.read, err = connect(c.path, busy, "_query_only", "1"); err != nil {
		return err
	}
	if err := c.prepare(busy); err != nil {
		return err
	}
	ctx := context.Background()
	if c.put, err = c.write.PrepareContext(ctx, putAnswer); err != nil {
		return err
	}
	if c.get, err = c.read.PrepareContext(ctx, getAnswer); err != nil {
		return err
	}
	return nil
}

// creating keeps one goroutine from closing a file that it has just made while
// another has locked it: on some systems that takes the lock away.
var creating sync.Mutex

// createCache makes the file, empty, so that nobody else can ever read it. The
// folder is only for the owner, too, where it has to be made.
func createCache(path string) error {
	creating.Lock()
	defer creating.Unlock()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// connect prepares a connection to the file; it is not made yet.
func connect(path string, busy time.Duration, option, value string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options := url.Values{
		option:          {value},
		"_busy_timeout": {strconv.FormatInt(busy.Milliseconds(), 10)},
		"_synchronous":  {"NORMAL"},
		"_pragma":       {fmt.Sprintf("cache_size(-%d)", pageCache)},
		"_error_rc":     {"1"}, // no errors in the words of earlier ones
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// prepare finds out whether the file is a cache that can be written, and makes
// one of an empty file. A file of somebody else is not touched.
func (c *Cache) prepare(busy time.Duration) error {
	ctx := context.Background()
	var format, application, tables int
	err := c.write.QueryRowContext(ctx, `select (select user_version from pragma_user_version), (select application_id from pragma_application_id),
		(select count(*) from sqlite_schema)`).Scan(&format, &application, &tables)
	empty := format == 0 && application == 0 && tables == 0
	switch {
	case err != nil:
		return err
	case application != cacheApplication && (application != 0 || tables > 0):
		return errors.New("it is a database of another program")
	case format > cacheFormat:
		return fmt.Errorf("it has format %d, and this version of nightshift knows none above %d", format, cacheFormat)
	}
	if err := onlyForOwner(c.path); err != nil {
		return err
	}
	if empty {
		if err := c.setModes(busy); err != nil {
			return err
		}
	}
	tx, err := c.write.BeginTx(ctx, nil) // fails where nothing can be written
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := bringUp(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// bringUp makes the tables where there are none, and brings those of an earlier
// format up to date. Nobody else can have begun to do so since the transaction began.
func bringUp(ctx context.Context, tx *sql.Tx) error {
	var format int
	if err := tx.QueryRowContext(ctx, "pragma user_version").Scan(&format); err != nil || format == cacheFormat {
		return err
	}
	change := cacheTables
	if format > 0 {
		change = addNanos
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("%s\npragma application_id = %d;\npragma user_version = %d", change, cacheApplication, cacheFormat))
	return err
}

// setModes sets what stays with an empty file.
func (c *Cache) setModes(busy time.Duration) error {
	ctx := context.Background()
	// This comes before all that writes: later it has no effect.
	if _, err := c.write.ExecContext(ctx, "pragma auto_vacuum = incremental"); err != nil {
		return err
	}
	// Of several that do this at once all but one fail, whatever the busy timeout.
	for end := time.Now().Add(busy); ; time.Sleep(5 * time.Millisecond) {
		_, err := c.write.ExecContext(ctx, "pragma journal_mode = wal")
		if !isLocked(err) || time.Now().After(end) {
			return err
		}
	}
}

// onlyForOwner takes the rights of others to the database from them, and to the
// files beside it, which are made with its mode.
func onlyForOwner(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err == nil && info.Mode().Perm() != 0o600 {
			err = os.Chmod(name, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func isLocked(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&errorKind == sqlite3.SQLITE_BUSY
}

// errorKind masks the part of an error's code that says what it is; the rest
// are details.
const errorKind = 0xff

// reasons are the database's errors that a user can do something about.
var reasons = map[int]string{
	sqlite3.SQLITE_NOTADB:   "it is not a database: remove it, and it is made anew",
	sqlite3.SQLITE_CORRUPT:  "it is damaged: remove it, and it is made anew",
	sqlite3.SQLITE_BUSY:     "another process has locked it",
	sqlite3.SQLITE_FULL:     "no space is left on the disk",
	sqlite3.SQLITE_READONLY: "it cannot be written",
	sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
	sqlite3.SQLITE_PERM:     "it cannot be opened",
}

// explain says an error in the words of the user, and without the path, which
// the caller says.
func explain(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return errors.New(cmp.Or(reasons[e.Code()&errorKind], e.Error()))
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
