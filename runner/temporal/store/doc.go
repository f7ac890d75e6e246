// Package store keeps what client and workers of backend temporal share: batch
// files, items, results, single runs. It is a folder that all of them see, or an S3
// bucket. An object is there whole or not at all, and is never changed, except by
// writing the same again: so nobody has to lock anything, whoever else is at work.
package store
