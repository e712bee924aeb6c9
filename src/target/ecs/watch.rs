//! Looks at services, those of one cluster ten to a call: who asks while a call is under way shares the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::cloud::aws::signed::Refusal;
use crate::failure::{Failure, Kind, Result};

use super::api::{Api, Said};

/// As many services as one DescribeServices takes.
const TOGETHER: usize = 10;

/// A service as DescribeServices shows it; `None`: `MISSING`.
pub(super) type Shown = Result<Result<Option<Value>, Refusal>>;

/// The clusters of a run; targets of one cluster share its watch.
#[derive(Clone, Default)]
pub struct Clusters(Arc<Mutex<Watches>>);

/// By region and cluster.
type Watches = HashMap<(String, String), Arc<Watch>>;

/// Looks at the services of one cluster.
pub(super) struct Watch {
    api: Api,
    cluster: String,
    waiting: Mutex<Vec<(String, oneshot::Sender<Shown>)>>,
    leader: tokio::sync::Mutex<()>,
}

impl Clusters {
    pub(super) fn watch(&self, api: &Api, region: &str, cluster: &str) -> Arc<Watch> {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            Arc::new(Watch {
                api: api.clone(),
                cluster: cluster.to_owned(),
                waiting: Mutex::default(),
                leader: tokio::sync::Mutex::default(),
            })
        };
        watches.entry((region.to_owned(), cluster.to_owned())).or_insert_with(made).clone()
    }
}

impl Watch {
    /// The service as it is now.
    pub(super) async fn look(&self, service: &str) -> Shown {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push((service.to_owned(), tell));
        let _leading = self.leader.lock().await;
        if let Ok(shown) = told.try_recv() {
            return shown;
        }
        while told.is_empty() && !self.waiting().is_empty() {
            self.look_together().await;
        }
        // Whoever asked for all of us may have given up in the middle: that is no verdict on this service.
        told.try_recv().unwrap_or_else(|_| Err(Failure::new(Kind::Transient, "a look at a service was given up by another")))
    }

    async fn look_together(&self) {
        let together: Vec<_> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(TOGETHER);
            waiting.drain(..count).collect()
        };
        let mut names: Vec<String> = together.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let said = self.describe(&names).await;
        // A permission for one service of several is no permission for the call: then each is asked for by itself.
        let apart = names.len() > 1 && matches!(&said, Ok(Err(refusal)) if refusal.is_denied());
        for (name, tell) in together {
            let own = if apart { Some(self.describe(std::slice::from_ref(&name)).await) } else { None };
            let _ = tell.send(pick(own.as_ref().unwrap_or(&said), &name));
        }
    }

    async fn describe(&self, names: &[String]) -> Said {
        self.api.describe_services(json!({ "cluster": self.cluster, "services": names, "include": ["TAGS"] })).await
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(String, oneshot::Sender<Shown>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pick(said: &Said, name: &str) -> Shown {
    let is = |service: &&Value| service["serviceName"] == *name || service["serviceArn"] == *name;
    match said {
        Err(failure) => Err(failure.clone()),
        Ok(Err(refusal)) => Ok(Err(refusal.clone())),
        Ok(Ok(answer)) => Ok(Ok(answer["services"].as_array().into_iter().flatten().find(is).cloned())),
    }
}
