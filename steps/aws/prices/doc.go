// Package prices has a dated table of what AWS asks for EC2 on demand: instances with
// Linux or Windows on shared hardware, EBS volumes, snapshots. All are US dollars without
// taxes, of public price lists; docs/cost.md names the sources.
//
//	usd, known := prices.Hour("eu-west-1", "m5.large", prices.Linux)
//
// What is not in the table is not known: no region stands for another one, and no family
// for its successor. Within a family AWS's prices grow with the size, which table.txt
// makes use of: it has one price for each family and region.
package prices
