package explain

// Line is a line of a difference.
type Line struct {
	Op   string `json:"op"` // - was there, + is there now
	Text string `json:"text"`
}

// mostCompared bounds the work for one difference: longer texts are shown as a whole
// where they begin to differ.
const mostCompared = 1 << 22

// Diff is what has to be taken out of a text, and put in, for it to become the other: as
// little as there can be, unless both are very long.
func Diff(before, after []string) (out []Line) {
	head := 0
	for head < len(before) && head < len(after) && before[head] == after[head] {
		head++
	}
	a, b := before[head:], after[head:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	i, j := 0, 0
	if len(a)*len(b) <= mostCompared {
		common := longest(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out = append(out, Line{"-", a[i]})
				i++
			default:
				out = append(out, Line{"+", b[j]})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		out = append(out, Line{"-", a[i]})
	}
	for ; j < len(b); j++ {
		out = append(out, Line{"+", b[j]})
	}
	return out
}

// longest is, for the rests of two texts, how many lines they have in common in one
// order.
func longest(a, b []string) [][]int32 {
	n := make([][]int32, len(a)+1)
	for i := range n {
		n[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	return n
}
