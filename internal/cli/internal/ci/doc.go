// Package ci talks to servers of CI in their own words, as their jobs are told of by
// lines of standard output: GitHub Actions, GitLab, TeamCity and Azure Pipelines.
//
// A [Job] folds what is printed, marks failures and warnings, and hands on results. What
// machines print can never be a command: [Safe] takes what makes one out of every line
// that is not ours.
//
// # Groups
//
// Lines are folded when a run has one build: what comes before its provisioners, each
// provisioner, and what comes after. The lines of several builds come as they are, in no
// group, since they come in turns and servers know no groups beside one another. A group
// ends before a failure is told, so that it is seen.
package ci
