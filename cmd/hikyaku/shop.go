package main

import "github.com/spf13/cobra"

// shopCommands are those with which a shop looks after its people and its data.
func shopCommands() []*cobra.Command {
	return []*cobra.Command{newCompare(), newCost(), newRecords(), newUsers(), newOrders(), newCustomers(), newLoginLink(), newCheckHandover()}
}
