//! Traces, sent to an OpenTelemetry collector by OTLP over HTTP. Its address and everything else
//! come from the variables that OpenTelemetry specifies (`OTEL_…`).

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Sends traces; what is left is sent when this is dropped.
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            eprintln!("mapek: the last traces could not be sent: {error}");
        }
    }
}

/// The layer that makes traces; None if no collector is named.
pub fn layer() -> Option<(Box<dyn Layer<Registry> + Send + Sync>, Traces)> {
    let named = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    named.iter().find(|name| std::env::var_os(name).is_some())?;
    let exporter = match SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => {
            eprintln!("mapek: no traces are sent: {error}");
            return None;
        }
    };
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("mapek");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("mapek");
    // Spans have the level debug, to keep log lines short; traces need them.
    let filter = EnvFilter::new("off,mapek=debug");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_filter(filter);
    Some((layer.boxed(), Traces(provider)))
}
