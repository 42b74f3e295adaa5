// Command tokenrefresh is the Lambda function that keeps a working token for
// every provider in Secrets Manager.
package main

import (
	"hikyaku/internal/boot"
	"hikyaku/internal/boot/bootrefresh"
)

func main() { boot.Main(bootrefresh.New) }
