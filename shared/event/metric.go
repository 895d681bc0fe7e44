package event

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// namespace is the metrics' namespace in CloudWatch.
const namespace = "Bindery"

// Metric writes one line in CloudWatch's embedded metric format: CloudWatch reads the metric from
// the log, and no call is made. On Function Compute the log service stores the same line as plain
// fields. Labels are the dimensions; use few values for them, because each set of values is a
// metric of its own.
func Metric(
	ctx context.Context, log *slog.Logger, now time.Time,
	labels map[string]string, values map[string]float64,
) {
	names := slices.Sorted(maps.Keys(labels))
	line := embedded{Timestamp: now.UnixMilli()}
	line.CloudWatchMetrics[0] = directive{Namespace: namespace, Dimensions: [1][]string{names}}
	attrs := make([]slog.Attr, 0, len(values)+len(names)+1)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		unit := "Count"
		if name == "DurationMs" {
			unit = "Milliseconds"
		}
		line.CloudWatchMetrics[0].Metrics = append(line.CloudWatchMetrics[0].Metrics,
			metric{name, unit})
		attrs = append(attrs, slog.Float64(name, values[name]))
	}
	for _, name := range names {
		attrs = append(attrs, slog.String(name, labels[name]))
	}
	attrs = append(attrs, slog.Any("_aws", &line))
	log.LogAttrs(ctx, slog.LevelInfo, "metric", attrs...)
}

// embedded is the member _aws of the format. It is a struct and not a map because each credential
// writes a metric.
type embedded struct {
	CloudWatchMetrics [1]directive
	Timestamp         int64
}

type directive struct {
	Dimensions [1][]string
	Metrics    []metric
	Namespace  string
}

type metric struct{ Name, Unit string }
