//! ECS's operations through aws-sdk-ecs, with the JSON of request and answer kept as it is on the wire:
//! a key the SDK has never heard of survives both ways.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::SdkError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use serde_json::Value;

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::{Refusal, refusal_of_json};
use crate::failure::{Failure, Kind, Result};
use crate::http::aws::no_answer;
use crate::http::{Answer, NoAnswer};

/// What stands before the operation in `x-amz-target`.
const PREFIX: &str = "AmazonEC2ContainerServiceV20141113";

/// What ECS says to a call: its answer, or its refusal. A failure is a call without an answer.
pub(super) type Said = Result<Result<Value, Refusal>>;

/// The operations.
#[derive(Clone, Debug)]
pub(super) struct Api {
    client: Client,
}

impl Api {
    pub(super) fn new(session: &Session) -> Self {
        Self { client: session.ecs() }
    }

    /// `DescribeServices`
    pub(super) async fn describe_services(&self, body: Value) -> Said {
        self.call("DescribeServices", body).await
    }

    /// `DescribeTaskDefinition`
    pub(super) async fn describe_task_definition(&self, body: Value) -> Said {
        self.call("DescribeTaskDefinition", body).await
    }

    /// `RegisterTaskDefinition`
    pub(super) async fn register_task_definition(&self, body: Value) -> Said {
        self.call("RegisterTaskDefinition", body).await
    }

    /// `UpdateService`
    pub(super) async fn update_service(&self, body: Value) -> Said {
        self.call("UpdateService", body).await
    }

    /// `ListServiceDeployments`
    pub(super) async fn list_service_deployments(&self, body: Value) -> Said {
        self.call("ListServiceDeployments", body).await
    }

    /// `DescribeServiceDeployments`
    pub(super) async fn describe_service_deployments(&self, body: Value) -> Said {
        self.call("DescribeServiceDeployments", body).await
    }

    /// `DescribeServiceRevisions`
    pub(super) async fn describe_service_revisions(&self, body: Value) -> Said {
        self.call("DescribeServiceRevisions", body).await
    }

    /// `StopServiceDeployment`
    pub(super) async fn stop_service_deployment(&self, body: Value) -> Said {
        self.call("StopServiceDeployment", body).await
    }

    /// `ListTasks`
    pub(super) async fn list_tasks(&self, body: Value) -> Said {
        self.call("ListTasks", body).await
    }

    /// `DescribeTasks`
    pub(super) async fn describe_tasks(&self, body: Value) -> Said {
        self.call("DescribeTasks", body).await
    }

    /// `RunTask`
    pub(super) async fn run_task(&self, body: Value) -> Said {
        self.call("RunTask", body).await
    }

    /// `StopTask`
    pub(super) async fn stop_task(&self, body: Value) -> Said {
        self.call("StopTask", body).await
    }

    /// `TagResource`
    pub(super) async fn tag_resource(&self, body: Value) -> Said {
        self.call("TagResource", body).await
    }

    /// The SDK resolves the endpoint, signs and sends; both bodies are ours, so one of its operations carries every one: the header names
    /// which it is (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/making-api-requests.html>, 2026-11), and the SDK's shapes of
    /// the others, a tenth of the binary, are never linked.
    async fn call(&self, operation: &'static str, body: Value) -> Said {
        let wire = Wire::new(operation, &body);
        let sent = self.client.list_clusters().customize().interceptor(wire.clone()).send().await;
        wire.said(sent.map(|_| ()))
    }
}

/// Puts our own operation and body on the wire before it is signed, and takes the answer's bytes off it.
#[derive(Debug, Clone)]
struct Wire {
    operation: &'static str,
    body: Bytes,
    answer: Arc<Mutex<Option<Bytes>>>,
}

#[dyn_dispatch_hint]
impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        *request.body_mut() = SdkBody::from(self.body.clone());
        request.headers_mut().insert("content-length", self.body.len().to_string());
        request.headers_mut().insert("x-amz-target", format!("{PREFIX}.{}", self.operation));
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().map(Bytes::copy_from_slice);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(())
    }
}

impl Wire {
    fn new(operation: &'static str, body: &Value) -> Self {
        Self { operation, body: Bytes::from(body.to_string()), answer: Arc::default() }
    }

    fn said<E>(&self, sent: Result<(), SdkError<E, HttpResponse>>) -> Said
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let (operation, bytes) = (self.operation, self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let error = match (sent, bytes) {
            (Ok(()), Some(bytes)) => {
                let read = serde_json::from_slice(&bytes);
                return read.map(Ok).map_err(|error| unreadable(operation, &error.to_string()));
            }
            (Ok(()), None) => return Err(Failure::bug(format!("the answer to {operation} was not kept"))),
            (Err(error), _) => error,
        };
        if let Some(cause) = no_answer(&error) {
            return Err(unanswered(operation, cause.clone()));
        }
        match error.raw_response() {
            Some(response) => Ok(Err(refusal(response))),
            None => Err(own_failure(operation, &error)),
        }
    }
}

fn refusal(response: &HttpResponse) -> Refusal {
    let body = response.body().bytes().map(Bytes::copy_from_slice).unwrap_or_default();
    refusal_of_json(&Answer { status: response.status().as_u16(), headers: http::HeaderMap::new(), body })
}

fn unanswered(operation: &str, cause: NoAnswer) -> Failure {
    cause.into_failure(format!("ECS did not answer {operation}"))
}

/// A failure of ours on the way (signing in again), or of the SDK.
fn own_failure(operation: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let own = causes.clone().find_map(|cause| cause.downcast_ref::<Failure>()).cloned();
    own.unwrap_or_else(|| {
        let words: Vec<String> = causes.map(ToString::to_string).collect();
        Failure::new(Kind::Transient, format!("{operation} could not be sent")).why(words.join(": "))
    })
}

fn unreadable(operation: &str, why: &str) -> Failure {
    Failure::new(Kind::Transient, format!("the answer to {operation} cannot be read")).why(why)
}
