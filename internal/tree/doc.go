// Package tree walks local directories as they are copied elsewhere.
//
// What is copied must make sense where it arrives, so a symbolic link is kept
// only if it leads to something inside of the directory, by a way that stays
// inside. Of any other the file or directory that it leads to is taken in its
// place, as Packer takes it, and inside of such a directory the same holds again.
// Where the copy cannot have links, all of them are followed.
//
// What cannot be copied is left out, and the caller hears of it: a link that leads
// out and to nothing, a link that leads back to a directory that it lies in,
// devices, sockets and pipes. A link that stays inside and leads to nothing is
// kept, for it may find its end where it arrives; the caller hears of that, too.
// What is there and cannot be read is an error, never left out.
package tree
