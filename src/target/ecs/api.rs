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

/// What ECS says to a call: its answer, or its refusal. A failure is a call without an answer.
pub(super) type Said = Result<Result<Value, Refusal>>;

/// The operations.
#[derive(Clone, Debug)]
pub(super) struct Api {
    client: Client,
}

macro_rules! operations {
    ($($name:ident = $operation:literal,)*) => {
        $(
            #[doc = concat!("`", $operation, "`")]
            pub(super) async fn $name(&self, body: Value) -> Said {
                let wire = Wire::new(&body);
                let sent = self.client.$name().customize().interceptor(wire.clone()).send().await;
                wire.said($operation, sent.map(|_| ()))
            }
        )*
    };
}

impl Api {
    pub(super) fn new(session: &Session) -> Self {
        Self { client: session.ecs() }
    }

    operations! {
        describe_services = "DescribeServices",
        describe_task_definition = "DescribeTaskDefinition",
        register_task_definition = "RegisterTaskDefinition",
        update_service = "UpdateService",
        list_service_deployments = "ListServiceDeployments",
        describe_service_deployments = "DescribeServiceDeployments",
        describe_service_revisions = "DescribeServiceRevisions",
        stop_service_deployment = "StopServiceDeployment",
        list_tasks = "ListTasks",
        describe_tasks = "DescribeTasks",
        run_task = "RunTask",
        stop_task = "StopTask",
        tag_resource = "TagResource",
    }
}

/// Puts our own body on the wire before it is signed, and takes the answer's bytes off it.
#[derive(Debug, Clone)]
struct Wire {
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
    fn new(body: &Value) -> Self {
        Self { body: Bytes::from(body.to_string()), answer: Arc::default() }
    }

    fn said<E>(&self, operation: &str, sent: Result<(), SdkError<E, HttpResponse>>) -> Said
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let bytes = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
