// Local runs all of Bindery on a laptop: every function, the console and a sign-in without a
// password on one port, the sandbox platforms on the next, and the schedule every minute.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"bindery/shared/trigger"
)

func main() {
	log.SetOutput(trigger.StandardLog(os.Stderr))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
