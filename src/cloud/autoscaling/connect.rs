//! From a topology's `cloud_driver` to clients of AWS.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;

use super::credentials::{self, FileCredentials};
use super::ec2::Ec2;
use super::errors::{misconfigured, without_credentials};
use super::measure::Measure;
use crate::cloud::CloudError;
use crate::meter::Calls;
use crate::model::topology::AutoScaling;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(4);
/// How long AWS may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a call may take with all its retries.
const CALL: Duration = Duration::from_secs(45);
/// How often a call is made at most when AWS is too busy for it.
const ATTEMPTS: u32 = 5;

/// Clients of the services that are used.
pub struct Clients {
    /// Auto Scaling.
    pub autoscaling: aws_sdk_autoscaling::Client,
    /// EC2.
    pub ec2: Ec2,
    /// Where the group is.
    pub region: String,
}

/// Sets the clients up, and makes sure that there are credentials. It only checks where they come
/// from; AWS is not asked.
pub async fn connect(spec: &AutoScaling, measured: &Calls) -> Result<Clients, CloudError> {
    #[cfg(debug_assertions)]
    refuse_without_loopback(spec)?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let limits = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ANSWER)
        .operation_timeout(CALL)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        // Besides waiting longer, it sends less when AWS says that it sends too much.
        .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS))
        .timeout_config(limits.clone());
    let mut region = spec.region.clone();
    if let Some(path) = &spec.credentials {
        let file = credentials::read(path).map_err(|problem| {
            misconfigured(format!(
                "{problem}; cloud_driver.credentials should name a file with AWS_ACCESS_KEY_ID=… and \
                 AWS_SECRET_ACCESS_KEY=… lines, or be left out to use the SDK's own chain"
            ))
        })?;
        region = region.or(file.region);
        loader = loader.credentials_provider(FileCredentials::new(path.clone()));
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = &spec.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let config = loader.load().await;
    #[cfg(debug_assertions)]
    refuse_what_is_not_loopback(&config)?;
    let Some(region) = config.region().map(ToString::to_string) else {
        return Err(misconfigured(format!(
            "it is not known in which region group '{}' is: give cloud_driver.region, or AWS_REGION",
            spec.group
        )));
    };
    check(config.credentials_provider()).await?;
    let measure = Measure(measured.clone());
    let autoscaling = aws_sdk_autoscaling::config::Builder::from(&config).interceptor(measure.clone());
    Ok(Clients {
        autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling.build()),
        ec2: Ec2::new(&config, ATTEMPTS, &limits, measure).await?,
        region,
    })
}

/// The endpoint of a service if one is set: in the topology, the environment or the profile, for
/// this service or for all.
pub fn written_endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let all = || config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return all();
    }
    let of_service = || {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        config.service_config()?.load_config(key.ok()?)
    };
    of_service().or_else(all)
}

async fn check(provider: Option<SharedCredentialsProvider>) -> Result<(), CloudError> {
    let Some(provider) = provider else {
        return Err(without_credentials("nothing provides any"));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let mut reason: &dyn std::error::Error = &error;
            while let Some(source) = reason.source() {
                reason = source;
            }
            Err(without_credentials(&reason.to_string()))
        }
    }
}

/// A debug build, which tests run, never speaks to AWS itself. This is checked before anything is
/// set up, since setting up may make calls of its own: an endpoint must be set somewhere.
#[cfg(debug_assertions)]
fn refuse_without_loopback(spec: &AutoScaling) -> Result<(), CloudError> {
    let written = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
    let loopback = |name: &str| written(name).is_some_and(|url| is_loopback(&url));
    let fine = match &spec.endpoint_url {
        Some(url) => is_loopback(url),
        None => {
            loopback("AWS_ENDPOINT_URL")
                || (loopback("AWS_ENDPOINT_URL_AUTO_SCALING") && loopback("AWS_ENDPOINT_URL_EC2"))
        }
    };
    if fine { Ok(()) } else { Err(not_loopback()) }
}

/// The same check, on the endpoint that results from all settings.
#[cfg(debug_assertions)]
fn refuse_what_is_not_loopback(config: &SdkConfig) -> Result<(), CloudError> {
    let services = ["Auto Scaling", super::ec2::SERVICE];
    let fine = services
        .iter()
        .all(|service| written_endpoint(config, service).is_some_and(|url| is_loopback(&url)));
    if fine { Ok(()) } else { Err(not_loopback()) }
}

#[cfg(debug_assertions)]
fn not_loopback() -> CloudError {
    misconfigured(
        "a debug build speaks only to an AWS endpoint on the loopback address, so that no test can reach AWS: \
         give cloud_driver.endpoint_url or AWS_ENDPOINT_URL, or build with --release"
            .to_owned(),
    )
}

#[cfg(debug_assertions)]
fn is_loopback(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_the_loopback_address_is_taken_for_it() {
        for url in [
            "http://127.0.0.1:5000",
            "http://[::1]:5000/x",
            "http://localhost",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://autoscaling.eu-west-1.amazonaws.com",
            "http://127.0.0.1.example.com",
            "http://user@127.0.0.1:80",
            "http://10.0.0.1",
            "127.0.0.1",
            "http://127.0.0.1@example.com:5000",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
