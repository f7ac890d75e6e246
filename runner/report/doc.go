// Package report is what people look at after a batch: what its results add up
// to, what failed and why, and the results in forms that other programs read.
// However many results there are, it takes the same memory, but for 16 bytes a
// result where they are put in order.
package report
