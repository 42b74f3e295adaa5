// Command export is the Lambda function that writes the providers' customers
// and orders to S3 as JSON lines.
package main

import (
	"hikyaku/internal/boot"
	"hikyaku/internal/boot/bootexport"
)

func main() { boot.Main(bootexport.New) }
