//! The boxed twin of [`Target`], implemented once for every target: snapshots and releases become JSON that the engine carries
//! and does not look into. It knows no platform.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};
use crate::values::{PinnedImage, Share};

use super::{Before, Captured, GathersEvidence, Lists, Marks, Observation, Opaque, Prepared, RunsTask, Step, Target, Undo, UndoCost};

/// The boxed twin of [`Target`]: the engine's view. Verbs own what they need, so each is spawned and never dropped half-way.
pub trait AnyTarget: Send + Sync {
    /// See [`Target::snapshot`].
    fn snapshot(self: Arc<Self>) -> BoxFuture<'static, Result<Captured<Opaque>>>;
    /// See [`Target::plan`].
    fn plan(self: Arc<Self>, image: PinnedImage, before: Before<Opaque>) -> BoxFuture<'static, Result<Vec<String>>>;
    /// See [`Target::prepare`].
    fn prepare(self: Arc<Self>, image: PinnedImage, before: Before<Opaque>) -> BoxFuture<'static, Result<Prepared<Opaque>>>;
    /// See [`Target::apply`].
    fn apply(self: Arc<Self>, release: Opaque, before: Before<Opaque>) -> BoxFuture<'static, Result<()>>;
    /// See [`Target::observe`].
    fn observe(self: Arc<Self>, release: Opaque) -> BoxFuture<'static, Result<Observation>>;
    /// See [`Target::steps`].
    fn steps(&self, asked: &[Share]) -> Vec<Step>;
    /// See [`Target::advance`].
    fn advance(self: Arc<Self>, release: Opaque, before: Before<Opaque>, step: Step) -> BoxFuture<'static, Result<()>>;
    /// See [`Target::rollback`].
    fn rollback(self: Arc<Self>, before: Before<Opaque>, release: Opaque) -> BoxFuture<'static, Result<Undo<Opaque>>>;
    /// See [`Target::finish`].
    fn finish(self: Arc<Self>, release: Opaque, before: Before<Opaque>) -> BoxFuture<'static, Result<()>>;
    /// See [`Target::undo_cost`].
    fn undo_cost(&self) -> UndoCost;
    /// See [`Target::by_hand`].
    fn by_hand(&self, before: &Before<Opaque>) -> Vec<String>;
    /// See [`Target::runs_task`].
    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>>;
    /// See [`Target::evidence`].
    fn evidence(self: Arc<Self>) -> Option<Arc<dyn GathersEvidence>>;
    /// See [`Target::marks`].
    fn marks(self: Arc<Self>) -> Option<Arc<dyn Marks>>;
    /// See [`Target::lists`].
    fn lists(self: Arc<Self>) -> Option<Arc<dyn Lists>>;
}

impl<T: Target> AnyTarget for T {
    fn snapshot(self: Arc<Self>) -> BoxFuture<'static, Result<Captured<Opaque>>> {
        Box::pin(async move {
            let found = Target::snapshot(&*self).await?;
            let Captured { before, revision, image, address, mark, runs_on, reads_zstd, in_flight, notes } = found;
            Ok(Captured { before: before.wrap()?, revision, image, address, mark, runs_on, reads_zstd, in_flight, notes })
        })
    }

    fn plan(self: Arc<Self>, image: PinnedImage, before: Before<Opaque>) -> BoxFuture<'static, Result<Vec<String>>> {
        Box::pin(async move { Target::plan(&*self, &image, &before.unwrap()?).await })
    }

    fn prepare(self: Arc<Self>, image: PinnedImage, before: Before<Opaque>) -> BoxFuture<'static, Result<Prepared<Opaque>>> {
        Box::pin(async move {
            let Prepared { release, revision, changes } = Target::prepare(&*self, &image, &before.unwrap()?).await?;
            Ok(Prepared { release: wrap(&release)?, revision, changes })
        })
    }

    fn apply(self: Arc<Self>, release: Opaque, before: Before<Opaque>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { Target::apply(&*self, &unwrap(release)?, &before.unwrap()?).await })
    }

    fn observe(self: Arc<Self>, release: Opaque) -> BoxFuture<'static, Result<Observation>> {
        Box::pin(async move { Target::observe(&*self, &unwrap(release)?).await })
    }

    fn steps(&self, asked: &[Share]) -> Vec<Step> {
        Target::steps(self, asked)
    }

    fn advance(self: Arc<Self>, release: Opaque, before: Before<Opaque>, step: Step) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { Target::advance(&*self, &unwrap(release)?, &before.unwrap()?, &step).await })
    }

    fn rollback(self: Arc<Self>, before: Before<Opaque>, release: Opaque) -> BoxFuture<'static, Result<Undo<Opaque>>> {
        Box::pin(async move {
            Ok(match Target::rollback(&*self, &before.unwrap()?, &unwrap(release)?).await? {
                Undo::Begun(release) => Undo::Begun(wrap(&release)?),
                Undo::NothingToUndo => Undo::NothingToUndo,
                Undo::Superseded { by } => Undo::Superseded { by },
            })
        })
    }

    fn finish(self: Arc<Self>, release: Opaque, before: Before<Opaque>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { Target::finish(&*self, &unwrap(release)?, &before.unwrap()?).await })
    }

    fn undo_cost(&self) -> UndoCost {
        Target::undo_cost(self)
    }

    fn by_hand(&self, before: &Before<Opaque>) -> Vec<String> {
        before.clone().unwrap().map_or_else(|_| Vec::new(), |before| Target::by_hand(self, &before))
    }

    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>> {
        Target::runs_task(self)
    }

    fn evidence(self: Arc<Self>) -> Option<Arc<dyn GathersEvidence>> {
        Target::evidence(self)
    }

    fn marks(self: Arc<Self>) -> Option<Arc<dyn Marks>> {
        Target::marks(self)
    }

    fn lists(self: Arc<Self>) -> Option<Arc<dyn Lists>> {
        Target::lists(self)
    }
}

impl<S: Serialize> Before<S> {
    fn wrap(self) -> Result<Before<Opaque>> {
        Ok(match self {
            Before::Absent => Before::Absent,
            Before::NeverServed(snapshot) => Before::NeverServed(wrap(&snapshot)?),
            Before::Running(snapshot) => Before::Running(wrap(&snapshot)?),
        })
    }
}

impl Before<Opaque> {
    fn unwrap<S: DeserializeOwned>(self) -> Result<Before<S>> {
        Ok(match self {
            Before::Absent => Before::Absent,
            Before::NeverServed(snapshot) => Before::NeverServed(unwrap(snapshot)?),
            Before::Running(snapshot) => Before::Running(unwrap(snapshot)?),
        })
    }
}

fn wrap<T: Serialize>(value: &T) -> Result<Opaque> {
    serde_json::to_value(value).map_err(|error| Failure::bug("a snapshot or release cannot be written").why(error.to_string()))
}

fn unwrap<T: DeserializeOwned>(value: Opaque) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Failure::bug("a snapshot or release in the journal cannot be read")
            .why(error.to_string())
            .fix("the journal was written by another version of Touchdown: run both the step and its post step from the same version")
    })
}
