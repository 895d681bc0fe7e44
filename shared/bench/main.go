// Bench writes the output of go test -bench, read from stdin, as tables in Markdown to stdout, and
// the growth that they show as a picture into the file that its argument names.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, picture string) error {
	groups, err := read(in)
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.write(out)
	}
	return os.WriteFile(picture, draw(groups), 0o644)
}

// group is a benchmark with its cases.
type group struct {
	pkg, name string
	units     []string // of the columns
	cases     []result
}

// result is one case. Its values are by unit.
type result struct {
	name   string
	values map[string]float64
}

// read reads the lines of benchmarks:
//
//	BenchmarkName/case-2   100   12.5 ns/op   3 allocs/op
func read(in io.Reader) (groups []*group, err error) {
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = strings.TrimPrefix(fields[1], "bindery/")
		}
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		full := fields[0]
		if i := strings.LastIndexByte(full, '-'); i > 0 { // the number of processors
			full = full[:i]
		}
		name, of, _ := strings.Cut(strings.TrimPrefix(full, "Benchmark"), "/")
		if n := len(groups); n == 0 || groups[n-1].name != name || groups[n-1].pkg != pkg {
			groups = append(groups, &group{pkg: pkg, name: name})
		}
		if err := groups[len(groups)-1].add(of, fields[2:]); err != nil {
			return nil, err
		}
	}
	return groups, lines.Err()
}

// add adds a case with its values and units.
func (g *group) add(name string, fields []string) error {
	r := result{name, map[string]float64{}}
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		unit := fields[i+1]
		r.values[unit] = value
		if !slices.Contains(g.units, unit) {
			g.units = append(g.units, unit)
		}
	}
	g.cases = append(g.cases, r)
	return nil
}

func (g *group) write(out io.Writer) {
	fmt.Fprintf(out, "\n### %s (%s)\n\n| |", g.name, g.pkg)
	for _, unit := range g.units {
		fmt.Fprintf(out, " %s |", unit)
	}
	fmt.Fprintf(out, "\n| --- |%s\n", strings.Repeat(" ---: |", len(g.units)))
	for _, r := range g.cases {
		fmt.Fprintf(out, "| %s |", strings.ReplaceAll(r.name, "/", ", "))
		for _, unit := range g.units {
			text := ""
			if value, ok := r.values[unit]; ok {
				text = short(value)
			}
			fmt.Fprintf(out, " %s |", text)
		}
		fmt.Fprintln(out)
	}
}

// short writes a number with three digits, and large ones with commas.
func short(value float64) string {
	if value < 999.5 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(value, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
