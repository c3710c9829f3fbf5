package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/authwright/authwright"
)

// telemetry turns the server's events into OpenTelemetry: each is counted, and becomes an
// event of the span of its request.
type telemetry struct {
	events  metric.Int64Counter
	meters  *sdkmetric.MeterProvider
	tracers *sdktrace.TracerProvider
}

func newTelemetry(ctx context.Context, target string) (*telemetry, error) {
	var meterOptions []sdkmetric.Option
	var traceOptions []sdktrace.TracerProviderOption
	if target != "" {
		spans, metrics, err := exporters(ctx, target)
		if err != nil {
			return nil, err
		}
		traceOptions = append(traceOptions, sdktrace.WithBatcher(spans))
		meterOptions = append(meterOptions, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	}
	return withProviders(sdkmetric.NewMeterProvider(meterOptions...), sdktrace.NewTracerProvider(traceOptions...))
}

func withProviders(meters *sdkmetric.MeterProvider, tracers *sdktrace.TracerProvider) (*telemetry, error) {
	events, err := meters.Meter("authwright").Int64Counter("authwright.events",
		metric.WithDescription("What the authorization server did, by type"))
	return &telemetry{events, meters, tracers}, err
}

func exporters(ctx context.Context, target string) (sdktrace.SpanExporter, sdkmetric.Exporter, error) {
	if target == "stdout" {
		spans, err1 := stdouttrace.New()
		metrics, err2 := stdoutmetric.New()
		return spans, metrics, errors.Join(err1, err2)
	}
	spans, err1 := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target+"/v1/traces"))
	metrics, err2 := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(target+"/v1/metrics"))
	return spans, metrics, errors.Join(err1, err2)
}

// event is the server's hook. Clients are few and so may be a label; users are not.
func (t *telemetry) event(ctx context.Context, e authwright.Event) {
	kind := attribute.String("type", string(e.Type))
	t.events.Add(ctx, 1, metric.WithAttributes(kind))
	trace.SpanFromContext(ctx).AddEvent("authwright."+string(e.Type),
		trace.WithAttributes(attribute.String("client_id", e.ClientID), attribute.String("grant_id", e.GrantID)))
}

// middleware makes a span of each request, without its query, which holds codes and state.
func (t *telemetry) middleware(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "http",
		otelhttp.WithTracerProvider(t.tracers), otelhttp.WithMeterProvider(t.meters),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }))
}

func (t *telemetry) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx))
}
