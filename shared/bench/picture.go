package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// curve is what grows with a number in the names of a benchmark's cases.
type curve struct{ benchmark, parameter, unit, label string }

// curves are those of the picture.
var curves = []curve{
	{"Growth", "bindings=", "start-ms", "start of a laptop, by bindings and instances"},
	{"Growth", "bindings=", "list-ms", "page of 100 bindings, by bindings"},
	{"Growth", "bindings=", "data-MB", "data folder, by bindings"},
	{"Growth", "bindings=", "rss-MB", "memory of a laptop, by bindings"},
	{"Check", "records=", "ms/run", "check, by records (one in 1,000 due)"},
	{"Find", "", "ns/op", "find an instance, by instances"},
}

type point struct{ x, y float64 }

// points returns the curve's points, as multiples of the first one's value.
func (c curve) points(groups []*group) (all []point) {
	for _, g := range groups {
		if g.name != c.benchmark {
			continue
		}
		for _, r := range g.cases {
			text, ok := strings.CutPrefix(r.name, c.parameter)
			x, err := strconv.ParseFloat(text, 64)
			if y := r.values[c.unit]; ok && err == nil && y > 0 {
				all = append(all, point{x, y})
			}
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		all[i].y /= all[0].y
	}
	return all
}

// The picture in its own units: a field with both axes logarithmic, and the names beside it.
const (
	width, height         = 900, 420
	left, right, top, low = 60, 560, 20, 370
	decadesX, decadesY    = 6, 4 // from 1 and from 0.1
)

func place(p point) (x, y float64) {
	x = left + (right-left)*math.Log10(p.x)/decadesX
	y = low - (low-top)*(math.Log10(p.y)+1)/decadesY
	return x, y
}

// draw draws the curves as SVG, dark on light or light on dark as its reader's system is.
func draw(groups []*group) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">
<title>What grows with the number of bindings, records or instances</title>
<style>
text { font: 13px sans-serif; fill: #1a1a1a } .grid { stroke: #ccc }
path { fill: none; stroke-width: 2 } .page { fill: #fff }
.c0 { stroke: #0b5fa5 } .c1 { stroke: #a5380b } .c2 { stroke: #2a7d2e }
.c3 { stroke: #7a2a9c } .c4 { stroke: #8a6a00 } .c5 { stroke: #b0165f }
@media (prefers-color-scheme: dark) {
text { fill: #eee } .grid { stroke: #555 } .page { fill: #16191d }
.c0 { stroke: #6cb6ff } .c1 { stroke: #ff9b73 } .c2 { stroke: #7ee083 }
.c3 { stroke: #d5a0ff } .c4 { stroke: #e8c547 } .c5 { stroke: #ff85bd }
}
</style>
<rect class="page" width="%d" height="%d"/>
`, width, height, width, height)
	grid(&b)
	for i, c := range curves {
		line := ""
		for _, p := range c.points(groups) {
			x, y := place(p)
			line += fmt.Sprintf("%.1f,%.1f ", x, y)
		}
		if line == "" {
			continue
		}
		fmt.Fprintf(&b, `<path class="c%d" d="M%s"/>`+"\n", i, strings.TrimSpace(line))
		y := top + 24*(i+1)
		fmt.Fprintf(&b, `<path class="c%d" d="M%d,%d h24"/>`, i, right+20, y-4)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", right+52, y, c.label)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// grid draws the axes: the number, and the multiple of the value at the smallest number.
func grid(b *strings.Builder) {
	for decade := range decadesX + 1 {
		x, _ := place(point{math.Pow10(decade), 1})
		fmt.Fprintf(b, `<path class="grid" d="M%.1f,%d V%d"/>`, x, top, low)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, low+20,
			short(math.Pow10(decade)))
	}
	for decade := range decadesY + 1 {
		_, y := place(point{1, math.Pow10(decade - 1)})
		fmt.Fprintf(b, `<path class="grid" d="M%d,%.1f H%d"/>`, left, y, right)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">× %s</text>`+"\n", left-8, y+4,
			short(math.Pow10(decade-1)))
	}
}
