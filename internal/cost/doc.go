// Package cost says in words what builds cost, whoever knows the prices.
//
//	b := cost.Bill{Items: items, Prices: "2026-11-30"}
//	fmt.Println(b.Text()) // about $0.02, by prices known on 2026-11-30
//
// An amount is known or it is not, with a reason; it is never guessed. A sum in which
// something is not known is a lower bound, and says so; one in which nothing is known is
// unknown. Dollars are US dollars, as floating-point numbers: they are only told.
package cost
