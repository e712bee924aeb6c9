//! A platform on paper: one that can do what no single cloud can, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use touchdown::failure::{Failure, Kind, Result};
use touchdown::target::{
    Arrival, Before, Captured, Observation, Prepared, RunsTask, Step, Target, TaskHandle, TaskLook, TaskOrder, TaskState, Undo, UndoCost,
};
use touchdown::values::{PinnedImage, Share};

/// What the paper platform holds of one service, and how it misbehaves.
#[derive(Debug, Clone)]
pub struct Paper {
    pub serves: String,
    pub share: u8,
    pub calls: Vec<String>,
    pub mischief: Mischief,
    pub looks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mischief {
    None,
    NeverArrives,
    PanicsInApply,
    LosesTheAnswer,
    SomebodyElse,
    UndoFails,
    JobFails,
    JobRunsOn,
}

pub type World = Arc<Mutex<BTreeMap<String, Paper>>>;

#[derive(Clone)]
pub struct OnPaper {
    pub name: String,
    pub world: World,
    pub steps: Vec<u8>,
    pub undo: UndoCost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revision(pub String);

impl OnPaper {
    fn with<T>(&self, call: &str, act: impl FnOnce(&mut Paper) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let paper = world.get_mut(&self.name).unwrap();
        if !call.is_empty() {
            paper.calls.push(call.to_owned());
        }
        act(paper)
    }
}

impl Target for OnPaper {
    type Snapshot = Revision;
    type Release = Revision;

    async fn snapshot(&self) -> Result<Captured<Revision>> {
        let serves = self.with("snapshot", |paper| paper.serves.clone());
        let revision = Some(serves.clone());
        Ok(Captured {
            before: Before::Running(Revision(serves)),
            revision,
            image: None,
            address: None,
            mark: None,
            runs_on: None,
            reads_zstd: false,
            in_flight: None,
            notes: vec![],
        })
    }

    async fn plan(&self, _: &PinnedImage, _: &Before<Revision>) -> Result<Vec<String>> {
        Ok(vec!["image".into()])
    }

    async fn prepare(&self, _: &PinnedImage, _: &Before<Revision>) -> Result<Prepared<Revision>> {
        self.with("prepare", |_| ());
        Ok(Prepared { release: Revision("new".into()), revision: "new".into(), changes: vec!["image".into()] })
    }

    async fn apply(&self, release: &Revision, _: &Before<Revision>) -> Result<()> {
        let mischief = self.with("apply", |paper| {
            let first = paper.serves != release.0;
            paper.serves.clone_from(&release.0);
            paper.share = if self.steps.is_empty() { 100 } else { 0 };
            if first { paper.mischief } else { Mischief::None }
        });
        match mischief {
            Mischief::PanicsInApply => panic!("a defect"),
            Mischief::LosesTheAnswer => Err(Failure::new(Kind::Transient, "connection reset")),
            _ => Ok(()),
        }
    }

    async fn observe(&self, release: &Revision) -> Result<Observation> {
        Ok(self.with("", |paper| {
            paper.looks += 1;
            match paper.mischief {
                Mischief::SomebodyElse if release.0 == "new" => Observation::Broken(Failure::new(Kind::Superseded, "theirs")),
                Mischief::NeverArrives | Mischief::UndoFails if release.0 == "new" && paper.looks > 2 => {
                    Observation::Broken(Failure::new(Kind::Unhealthy, "exit 1"))
                }
                Mischief::UndoFails if release.0 == "old" => Observation::Broken(Failure::new(Kind::Unhealthy, "old exits 1 too")),
                _ if paper.looks < 2 => Observation::Progressing { note: "starting".into() },
                _ if paper.serves == release.0 => {
                    Observation::Ready(Arrival { facts: vec![format!("{} runs", release.0)], ..Arrival::default() })
                }
                _ => Observation::Progressing { note: "not yet".into() },
            }
        }))
    }

    fn steps(&self, _: &[Share]) -> Vec<Step> {
        self.steps.iter().map(|share| Step { share: Share(*share) }).collect()
    }

    async fn advance(&self, _: &Revision, _: &Before<Revision>, step: &Step) -> Result<()> {
        self.with(&format!("advance {}", step.share.0), |paper| paper.share = step.share.0);
        Ok(())
    }

    async fn rollback(&self, before: &Before<Revision>, release: &Revision) -> Result<Undo<Revision>> {
        let Before::Running(before) = before else { return Ok(Undo::NothingToUndo) };
        Ok(self.with("rollback", |paper| {
            if paper.serves == before.0 {
                return Undo::NothingToUndo;
            }
            if paper.serves != release.0 {
                return Undo::Superseded { by: paper.serves.clone() };
            }
            paper.serves.clone_from(&before.0);
            paper.share = 100;
            Undo::Begun(before.clone())
        }))
    }

    async fn finish(&self, _: &Revision, _: &Before<Revision>) -> Result<()> {
        self.with("finish", |_| ());
        Ok(())
    }

    fn undo_cost(&self) -> UndoCost {
        self.undo
    }

    fn by_hand(&self, _: &Before<Revision>) -> Vec<String> {
        vec![format!("paper point {} old", self.name)]
    }

    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>> {
        Some(self)
    }
}

impl RunsTask for OnPaper {
    fn start(&self, order: TaskOrder) -> futures_util::future::BoxFuture<'static, Result<TaskHandle>> {
        self.with("job", |_| ());
        Box::pin(async move { Ok(TaskHandle(order.token)) })
    }

    fn find(&self, token: String) -> futures_util::future::BoxFuture<'static, Result<Option<TaskHandle>>> {
        let begun = self.with("find job", |paper| paper.calls.contains(&"job".to_owned()));
        Box::pin(async move { Ok(begun.then_some(TaskHandle(token))) })
    }

    fn by_hand(&self, token: &str) -> Vec<String> {
        vec![format!("paper find {token}")]
    }

    fn look(&self, _: TaskHandle, seen: usize) -> futures_util::future::BoxFuture<'static, Result<TaskLook>> {
        let (mischief, looks) = self.with("", |paper| {
            paper.looks += 1;
            (paper.mischief, paper.looks)
        });
        let state = match mischief {
            Mischief::JobFails => TaskState::Failed(Failure::new(Kind::Unhealthy, "migration exit 3")),
            Mischief::JobRunsOn if looks < 50 => TaskState::Running,
            _ => TaskState::Succeeded,
        };
        let lines = if seen == 0 { vec!["migrating".to_owned()] } else { Vec::new() };
        Box::pin(async move { Ok(TaskLook { lines, state }) })
    }

    fn stop(&self, _: TaskHandle, _: String) -> futures_util::future::BoxFuture<'static, Result<()>> {
        self.with("stop job", |_| ());
        Box::pin(async { Ok(()) })
    }
}
