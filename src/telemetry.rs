//! Log lines, to standard error; with the feature `otel`, traces to a collector as well.

#[cfg(feature = "otel")]
mod otel;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::LogFormat;

/// To be kept until the program ends: what has not been sent is sent then.
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<otel::Traces>,
}

/// A filter that means nothing, or not what was intended.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log {0:?} is not a filter: {1}; give a level such as info, or targets with theirs such as info,mapek=debug"
)]
pub struct BadFilter(String, String);

/// Parses the filter. A lone word that is no level would be taken as a module's name, and `--log
/// inof` would then log nothing at all.
fn parse(filter: &str) -> Result<EnvFilter, BadFilter> {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    let bad = |problem: String| BadFilter(filter.to_owned(), problem);
    for word in filter.split(',').map(str::trim) {
        let lone = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let level = word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
        if lone && !level && word != "mapek" {
            return Err(bad(format!("{word:?} is not one of {}", LEVELS.join(", "))));
        }
    }
    // Below info, these log whole request bodies, including environment variables with secrets.
    let quiet = format!("bollard=info,hyper=info,hyper_util=info,actix_server=warn,{filter}");
    EnvFilter::try_new(quiet).map_err(|error| bad(error.to_string()))
}

/// Sets logging up for the whole process; a second call is ignored.
///
/// # Errors
///
/// When the filter is not valid.
pub fn init(format: LogFormat, filter: &str) -> Result<Telemetry, BadFilter> {
    let filter = parse(filter)?;
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
    // A second subscriber is refused, which is fine: the first one logs.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(Telemetry {
        #[cfg(feature = "otel")]
        _traces: traces,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused() {
        for good in [
            "info",
            "INFO",
            "off",
            "mapek=debug",
            "warn,mapek::api=trace",
            "mapek",
            "info,",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["inof", "mapek=loud", "info,verbose", "mapek=debug=trace", "a[b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
