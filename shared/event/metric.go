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
	metrics := []map[string]string{}
	attrs := []slog.Attr{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		unit := "Count"
		if name == "DurationMs" {
			unit = "Milliseconds"
		}
		metrics = append(metrics, map[string]string{"Name": name, "Unit": unit})
		attrs = append(attrs, slog.Float64(name, values[name]))
	}
	for _, name := range names {
		attrs = append(attrs, slog.String(name, labels[name]))
	}
	attrs = append(attrs, slog.Any("_aws", map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{{
			"Namespace":  namespace,
			"Dimensions": [][]string{names},
			"Metrics":    metrics,
		}},
	}))
	log.LogAttrs(ctx, slog.LevelInfo, "metric", attrs...)
}
