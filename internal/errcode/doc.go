// Package errcode gives failures a code: a short word that stays, whatever becomes of
// the message beside it. Programs look at codes, people at messages, and `imgflow
// explain CODE` tells people more.
//
// A failure has a code by its type, which has a method ErrCode, or by [With] where it
// is made. [Of] finds it. Where one failure wraps another, the outer one decides if it
// has a code: a script that was cut off since its time was up has timed out, however
// it ended.
//
// [Table] says what each code means and what to do. A code is never given another
// meaning, and never taken away.
package errcode
