// Package localfile reads files of this computer that somebody else has named:
// no more of them than a bound, and nothing that could keep its reader waiting. It
// replaces files as a whole, and has those who write one file do so in turn.
package localfile
