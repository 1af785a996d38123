package state

const nonblock = 0
