//! The one call of EC2 that is needed: `DescribeInstances`.
//!
//! It is put together from the parts that AWS's SDKs are made of: the writer of queries, the
//! signature, the orchestrator with its retries and time limits, the XML reader. The SDK for EC2
//! would do the same, but takes five minutes to compile and two thirds of a gigabyte.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_autoscaling::config::BehaviorVersion;
use aws_sdk_autoscaling::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_autoscaling::error::{BoxError, ErrorMetadata, ProvideErrorMetadata};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_query::QueryWriter;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use super::calls::{self, Call};
use super::connect::written_endpoint;
use super::errors::{misconfigured, told, without_credentials};
use super::group::Addresses;
use super::measure::Measure;
use crate::cloud::CloudError;
use crate::model::About;

/// The name of the service in the SDKs' settings.
pub const SERVICE: &str = "EC2";
/// The version of EC2's API.
const VERSION: &str = "2016-11-15";
const FORM: &str = "application/x-www-form-urlencoded";
const CALL: Call = calls::INSTANCES;

/// A client of EC2.
pub struct Ec2 {
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: String,
    describe: Operation<Signed, Page, Refused>,
}

/// A request that is ready to be sent.
#[derive(Clone)]
struct Signed {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl std::fmt::Debug for Signed {
    /// Without the headers, which may contain a session token.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.body)
    }
}

/// Instances, and where the next page begins.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    found: BTreeMap<String, Addresses>,
    next: Option<String>,
}

/// EC2 refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(ErrorMetadata);

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Ec2 {
    /// From the SDKs' configuration.
    pub async fn new(
        config: &SdkConfig,
        attempts: u32,
        limits: &TimeoutConfig,
        measure: Measure,
    ) -> Result<Self, CloudError> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = match written_endpoint(config, SERVICE) {
            Some(url) => url,
            None => endpoint_in(config, &region).await?,
        };
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let nobody = || without_credentials("nothing provides any");
        let mut operation = Operation::builder()
            .service_name("ec2")
            .operation_name("DescribeInstances")
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            // It is signed beforehand.
            .no_auth()
            .interceptor(measure)
            .standard_retry(&RetryConfig::standard().with_max_attempts(attempts))
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .timeout_config(limits.clone());
        if let Some(http) = config.http_client() {
            operation = operation.http_client(http);
        }
        if let Some(sleep) = config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        Ok(Self {
            credentials: config.credentials_provider().ok_or_else(nobody)?,
            region,
            endpoint,
            describe: operation.serializer(write).deserializer(read).build(),
        })
    }

    /// The addresses of these instances. One that EC2 does not know is left out: the ids are given
    /// as a filter, because an unknown id in the list itself would make the whole call fail.
    pub async fn addresses(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError> {
        let mut found = BTreeMap::new();
        let mut next = None;
        loop {
            let signed = self.sign(query(instances, next.as_deref())).await?;
            let page = self.describe.invoke(signed).await;
            let page = page.map_err(|error| told(CALL, &error))?;
            found.extend(page.found);
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn sign(&self, body: String) -> Result<Signed, CloudError> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| without_credentials(&error.to_string()))?;
        let identity = credentials.into();
        let unsigned = |error: &dyn std::error::Error| misconfigured(format!("{}: {error}", CALL.action));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ec2")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let url = format!("{}/", self.endpoint);
        let headers = [("content-type", FORM)].into_iter();
        let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(body.as_bytes()))
            .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(request, &params)
            .map_err(|error| unsigned(&error))?
            .into_parts();
        let (headers, _) = instructions.into_parts();
        let headers = headers
            .into_iter()
            .map(|header| (header.name(), header.value().to_owned()))
            .collect();
        Ok(Signed { headers, body })
    }
}

/// EC2's endpoint in a region: next to that of Auto Scaling, in the same partition of AWS.
async fn endpoint_in(config: &SdkConfig, region: &str) -> Result<String, CloudError> {
    let unknown = |error: &dyn std::fmt::Display| {
        misconfigured(format!(
            "it is not known where EC2 is in region {region:?}: {error}"
        ))
    };
    let params = Params::builder()
        .region(region)
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default())
        .build()
        .map_err(|error| unknown(&error))?;
    let resolver = DefaultResolver::new();
    let endpoint = ResolveEndpoint::resolve_endpoint(&resolver, &params).await;
    let endpoint = endpoint.map_err(|error| unknown(&error))?;
    Ok(endpoint.url().replacen("://autoscaling", "://ec2", 1))
}

/// The form that asks for these instances.
fn query(instances: &[String], next: Option<&str>) -> String {
    let mut body = String::new();
    let mut writer = QueryWriter::new(&mut body, "DescribeInstances", VERSION);
    writer.prefix("Filter.1.Name").string("instance-id");
    let mut values = writer.prefix("Filter.1.Value").start_list(true, None);
    for instance in instances {
        values.entry().string(instance);
    }
    values.finish();
    if let Some(token) = next {
        writer.prefix("NextToken").string(token);
    }
    writer.finish();
    body
}

fn write(signed: Signed) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(signed.body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", FORM);
    for (name, value) in signed.headers {
        headers.insert(name, value);
    }
    Ok(request)
}

fn read(answer: &HttpResponse) -> Result<Page, OrchestratorError<Refused>> {
    let text = answer
        .body()
        .bytes()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    if answer.status().is_success() {
        return read_page(&text).map_err(|error| OrchestratorError::response(error.into()));
    }
    // A proxy in between may answer with something else.
    let said = read_error(&text).unwrap_or_else(|_| {
        ErrorMetadata::builder()
            .message(format!("status {}", answer.status().as_u16()))
            .build()
    });
    Err(OrchestratorError::operation(Refused(said)))
}

fn read_page(text: &str) -> Result<Page, XmlDecodeError> {
    let mut document = Document::new(text);
    let mut root = document.root_element()?;
    let mut page = Page::default();
    while let Some(mut part) = root.next_tag() {
        match part.start_el().local() {
            "nextToken" => {
                page.next = Some(try_data(&mut part)?.into_owned()).filter(|token| !token.is_empty())
            }
            "reservationSet" => {
                while let Some(mut reservation) = part.next_tag() {
                    while let Some(mut part) = reservation.next_tag() {
                        if part.start_el().local() != "instancesSet" {
                            continue;
                        }
                        while let Some(mut instance) = part.next_tag() {
                            let (mut id, mut addresses) = (None, Addresses::default());
                            while let Some(mut field) = instance.next_tag() {
                                if read_about(&mut field, &mut addresses.about)? {
                                    continue;
                                }
                                let place = match field.start_el().local() {
                                    "instanceId" => &mut id,
                                    "privateIpAddress" => &mut addresses.private_ip,
                                    "ipAddress" => &mut addresses.public_ip,
                                    "privateDnsName" => &mut addresses.private_dns,
                                    _ => continue,
                                };
                                *place =
                                    Some(try_data(&mut field)?.into_owned()).filter(|text| !text.is_empty());
                            }
                            page.found.extend(id.map(|id| (id, addresses)));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(page)
}

/// Takes a field that describes an instance; false for any other field.
fn read_about(field: &mut ScopedDecoder<'_, '_>, about: &mut About) -> Result<bool, XmlDecodeError> {
    let capabilities = &mut about.capabilities;
    match field.start_el().local() {
        "instanceType" => {
            let kind = try_data(field)?.into_owned();
            capabilities.insert("instance_type".to_owned(), kind.into());
        }
        "placement" => {
            while let Some(mut part) = field.next_tag() {
                if part.start_el().local() == "availabilityZone" {
                    let zone = try_data(&mut part)?.into_owned();
                    capabilities.insert("zone".to_owned(), zone.into());
                }
            }
        }
        "tagSet" => {
            while let Some(mut item) = field.next_tag() {
                let (mut name, mut value) = (String::new(), String::new());
                while let Some(mut part) = item.next_tag() {
                    match part.start_el().local() {
                        "key" => name = try_data(&mut part)?.into_owned(),
                        "value" => value = try_data(&mut part)?.into_owned(),
                        _ => {}
                    }
                }
                about.labels.insert(name, value);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `<Response><Errors><Error><Code>…</Code><Message>…</Message></Error></Errors></Response>`.
fn read_error(text: &str) -> Result<ErrorMetadata, XmlDecodeError> {
    let mut document = Document::new(text);
    let mut root = document.root_element()?;
    let mut said = ErrorMetadata::builder();
    while let Some(mut errors) = root.next_tag() {
        if errors.start_el().local() != "Errors" {
            continue;
        }
        while let Some(mut error) = errors.next_tag() {
            while let Some(mut field) = error.next_tag() {
                said = match field.start_el().local() {
                    "Code" => said.code(try_data(&mut field)?),
                    "Message" => said.message(try_data(&mut field)?),
                    _ => said,
                };
            }
        }
    }
    Ok(said.build())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_instances_and_the_place_to_go_on() {
        let body = query(&["i-1".to_owned(), "i-2".to_owned()], Some("a+b/c="));
        assert_eq!(
            body,
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id&Filter.1.Value.1=i-1&\
             Filter.1.Value.2=i-2&NextToken=a%2Bb%2Fc%3D"
        );
    }

    #[test]
    fn addresses_are_read_wherever_they_are() {
        let text = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
            <reservationSet><item><groupSet/><instancesSet><item><instanceId>i-1</instanceId>\
            <privateDnsName>ip-10-0-0-1.internal</privateDnsName><networkInterfaceSet><item>\
            <privateIpAddress>10.0.0.9</privateIpAddress></item></networkInterfaceSet>\
            <privateIpAddress>10.0.0.1</privateIpAddress></item></instancesSet></item>\
            <item><instancesSet><item><instanceId>i-2</instanceId><privateDnsName/><ipAddress>192.0.2.1</ipAddress>\
            <instanceType>m5.large</instanceType><placement><tenancy>default</tenancy>\
            <availabilityZone>eu-west-1a</availabilityZone></placement><tagSet><item><key>team</key><value>shop</value>\
            </item></tagSet></item></instancesSet></item></reservationSet><nextToken>more</nextToken></DescribeInstancesResponse>";
        let page = read_page(text).unwrap();
        assert_eq!(page.next.as_deref(), Some("more"));
        assert_eq!(page.found["i-1"].private_ip.as_deref(), Some("10.0.0.1"));
        assert_eq!(
            page.found["i-1"].private_dns.as_deref(),
            Some("ip-10-0-0-1.internal")
        );
        assert_eq!(page.found["i-2"].public_ip.as_deref(), Some("192.0.2.1"));
        assert_eq!(page.found["i-2"].private_dns, None);
        let about = &page.found["i-2"].about;
        assert_eq!(about.capabilities["instance_type"], "m5.large");
        assert_eq!(about.capabilities["zone"], "eu-west-1a");
        assert_eq!(about.labels["team"], "shop");
        assert!(read_page("no XML").is_err());
    }

    #[test]
    fn an_error_is_read_with_its_code() {
        let said = read_error(
            "<?xml version=\"1.0\"?><Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error>\
             </Errors><RequestID>r</RequestID></Response>",
        );
        let said = said.unwrap();
        assert_eq!((said.code(), said.message()), (Some("AuthFailure"), Some("no")));
    }
}
