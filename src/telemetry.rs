//! Log lines, to standard error; with the feature `otel`, traces to a collector as well.

#[cfg(feature = "otel")]
mod otel;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::LogFormat;

/// To be kept until the program ends: what was not sent yet is sent then.
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<otel::Traces>,
}

/// Sets logging up for the whole process; a second call is ignored.
pub fn init(format: LogFormat, filter: &str) -> Telemetry {
    // Below info, these log whole request bodies, environment variables with secrets among them.
    let quiet = format!("bollard=info,hyper=info,hyper_util=info,actix_server=warn,{filter}");
    let filter = EnvFilter::try_new(quiet).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    #[cfg(feature = "otel")]
    let (layers, traces) = match otel::layer() {
        Some((layer, traces)) => (vec![lines, layer], Some(traces)),
        None => (vec![lines], None),
    };
    #[cfg(not(feature = "otel"))]
    let layers = vec![lines];
    // A second subscriber is refused, which is as good: the first one logs.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Telemetry {
        #[cfg(feature = "otel")]
        _traces: traces,
    }
}
