// What does Go's package flag make of a line of arguments? One line of JSON for each line of input.
//
//	go run flags.go < lines.txt > table.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"strings"
)

type result struct {
	Line  string         `json:"line"`
	Flags map[string]any `json:"flags"`
	Rest  []string       `json:"rest"`
	Error string         `json:"error"`
}

func main() {
	lines, table := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		flags := flag.NewFlagSet("run", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		d := flags.Bool("d", false, "")
		m := flags.Int("m", 0, "")
		name := flags.String("name", "", "")

		found := result{Line: lines.Text()}
		if err := flags.Parse(strings.Fields(lines.Text())); err != nil {
			found.Error = err.Error()
		}
		found.Flags = map[string]any{"d": *d, "m": *m, "name": *name}
		found.Rest = append([]string{}, flags.Args()...)
		if err := table.Encode(found); err != nil {
			panic(err)
		}
	}
}
