package graphsvg

import "errors"

// rank numbers the ranks from the top: every node stands below all that lead to it,
// and one with more edges down than up as low as it can.
func rank(nodes int, links [][2]int) ([]int, error) {
	down, ups := make([][]int, nodes), make([]int, nodes)
	for _, e := range links {
		down[e[0]] = append(down[e[0]], e[1])
		ups[e[1]]++
	}
	open := append([]int(nil), ups...)
	ranks, order := make([]int, nodes), make([]int, 0, nodes)
	for i := range nodes {
		if open[i] == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		i := order[at]
		for _, to := range down[i] {
			ranks[to] = max(ranks[to], ranks[i]+1)
			if open[to]--; open[to] == 0 {
				order = append(order, to)
			}
		}
	}
	if len(order) < nodes {
		return nil, errors.New("cannot draw the graph: its edges lead in a circle")
	}
	for at := len(order) - 1; at >= 0; at-- {
		i := order[at]
		if len(down[i]) <= ups[i] {
			continue
		}
		lowest := ranks[down[i][0]]
		for _, to := range down[i] {
			lowest = min(lowest, ranks[to])
		}
		ranks[i] = lowest - 1
	}
	return ranks, nil
}
