//! The AWS SDK's HTTP client is ours: its requests, already signed, go through `Http::send` with our policy, log and fence.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::request::Parts;

use super::{Answer, Http, Intent, NoAnswer};

/// Tells what a request does, from its method and headers (`x-amz-target`).
pub type Classify = fn(&Parts) -> Intent;

/// The client to hand to the SDK's configuration, with the SDK's own retries off.
pub fn connector(http: &Http, intent: Classify) -> SharedHttpClient {
    SharedHttpClient::new(Connector { http: http.clone(), intent })
}

#[derive(Debug, Clone)]
struct Connector {
    http: Http,
    intent: Classify,
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.send(request).await })
    }
}

impl Connector {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body =
            body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| ConnectorError::user("a streamed body is not sent here".into()))?;
        let intent = (self.intent)(&parts);
        let answer = self.http.send(http::Request::from_parts(parts, body), intent, throttled).await.map_err(connector_error)?;
        let mut response = http::Response::new(SdkBody::from(answer.body));
        *response.status_mut() = http::StatusCode::from_u16(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
        *response.headers_mut() = answer.headers;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

/// AWS throttles with 400 and an error type that says so, or with 429 and 503. Only the type counts: a message may say anything.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html> (2026-11)
pub fn throttled(answer: &Answer) -> bool {
    const NAMES: [&str; 9] = [
        "Throttl",
        "EC2Throttled",
        "TooManyRequests",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ProvisionedThroughputExceeded",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "SlowDown",
    ];
    answer.status >= 400 && error_type(answer).is_some_and(|told| NAMES.iter().any(|name| told.starts_with(name)))
}

/// `ThrottlingException` of `com.amazonaws.ecs#ThrottlingException:http://…`, from the header, the JSON or the XML.
fn error_type(answer: &Answer) -> Option<String> {
    let header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let told = header.or_else(|| {
        let body = std::str::from_utf8(&answer.body).ok()?;
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
            return ["__type", "code"].iter().find_map(|key| json.get(key)?.as_str().map(str::to_owned));
        }
        let (_, rest) = body.split_once("<Code>")?;
        rest.split_once("</Code>").map(|(code, _)| code.to_owned())
    })?;
    let named = told.rsplit('#').next().unwrap_or_default();
    Some(named.split(':').next().unwrap_or_default().to_owned())
}

fn connector_error(cause: NoAnswer) -> ConnectorError {
    match cause {
        NoAnswer::NotSent(_) | NoAnswer::Fenced => ConnectorError::other(Box::new(cause), None),
        NoAnswer::Lost(_) => ConnectorError::timeout(Box::new(cause)),
    }
}

/// The cause behind an SDK error, where it is ours.
pub fn no_answer<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a NoAnswer> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref::<NoAnswer>())
}
