//! The mark on the platform: one tag of the service, `touchdown`, that says which run has it open, or what was proven last.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::failure::Result;
use crate::target::{Before, Holder, Leavings, Mark, Marks, Opaque, Undo};
use crate::values::RunId;

use super::release::{Release, Snapshot, Way};
use super::shown::{number, primary, short, text};
use super::{Ecs, past};

/// The tag.
const KEY: &str = "touchdown";
/// When a lost release was made is not known: before every service deployment that ECS still lists.
const LONG_AGO: Timestamp = Timestamp(600_000);

/// The mark a service carries.
pub(super) fn read(service: &Value) -> Option<Mark> {
    let tag = service["tags"].as_array()?.iter().find(|tag| tag["key"] == KEY)?;
    parse(text(tag, "value"))
}

/// `open run=123 attempt=1 step=0a1b2c3d4e until=1763700000000 back=web:41 to=:42`, `closed run=123 attempt=1 step=0a1b2c3d4e` or
/// `proven web:42`: letters ECS allows in a tag. The family is not said twice: a tag holds 256 letters, and a family may have as many.
fn parse(value: &str) -> Option<Mark> {
    if let Some(revision) = value.strip_prefix("proven ") {
        return Some(Mark::Proven { revision: revision.to_owned() });
    }
    let (kind, fields) = value.split_once(' ').filter(|(kind, _)| matches!(*kind, "open" | "closed"))?;
    let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    let run = RunId { id: field("run")?, attempt: field("attempt")?.parse().ok()? };
    let by = Holder { run, step: field("step")? };
    if kind == "closed" {
        return Some(Mark::Closed { by });
    }
    let (back_to, to) = (field("back")?, field("to")?);
    Some(Mark::Open {
        by,
        until: Timestamp(field("until")?.parse().ok()?),
        to: if to.starts_with(':') { format!("{}{to}", family(&back_to)) } else { to },
        back_to,
    })
}

fn written(mark: &Mark) -> String {
    match mark {
        Mark::Proven { revision } => format!("proven {revision}"),
        Mark::Closed { by } => format!("closed {}", fields(by)),
        Mark::Open { by, until, back_to, to } => {
            let to = to.strip_prefix(family(back_to)).filter(|rest| rest.starts_with(':')).unwrap_or(to);
            format!("open {} until={} back={back_to} to={to}", fields(by), until.0)
        }
    }
}

fn fields(by: &Holder) -> String {
    format!("run={} attempt={} step={}", by.run.id, by.run.attempt, by.step)
}

/// `web` of `web:41`.
fn family(revision: &str) -> &str {
    revision.rsplit_once(':').map_or(revision, |(family, _)| family)
}

/// Writes and repairs marks of one service.
pub(super) struct Tags(pub(super) Arc<Ecs>);

impl Marks for Tags {
    fn write(&self, mark: Mark) -> BoxFuture<'static, Result<()>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let service = ecs.service().await?;
            tag(&ecs, &service, &written(&mark)).await
        })
    }

    fn read(&self) -> BoxFuture<'static, Result<Option<Mark>>> {
        let ecs = self.0.clone();
        Box::pin(async move { Ok(read(&ecs.service().await?)) })
    }

    fn close(&self, holder: Holder) -> BoxFuture<'static, Result<()>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let service = ecs.service().await?;
            match read(&service) {
                Some(Mark::Open { by, .. }) if by == holder => tag(&ecs, &service, &written(&Mark::Closed { by })).await,
                _ => Ok(()),
            }
        })
    }

    fn leavings(&self, mark: Mark) -> BoxFuture<'static, Result<Leavings>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let Mark::Open { back_to, to, .. } = mark else { return Ok(Leavings::Nothing) };
            let service = ecs.service().await?;
            let runs = primary(&service).map(|primary| short(text(primary, "taskDefinition")));
            Ok(if to != back_to && runs.as_ref() == Some(&to) { Leavings::Release } else { Leavings::Nothing })
        })
    }

    /// As the lost run would have put it back: a deployment under way is stopped, one that is complete is replaced.
    fn repair(&self, mark: Mark) -> BoxFuture<'static, Result<Undo<Opaque>>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let Mark::Open { back_to, to, .. } = mark else { return Ok(Undo::NothingToUndo) };
            let service = ecs.service().await?;
            let Some(present) = primary(&service) else { return Ok(Undo::NothingToUndo) };
            let place = text(present, "taskDefinition").rsplit_once('/').map(|(place, _)| place).unwrap_or_default();
            let arn = |revision: &str| format!("{place}/{revision}");
            let snapshot = Snapshot {
                service_arn: text(&service, "serviceArn").to_owned(),
                task_definition: arn(&back_to),
                deployment: String::new(),
                desired_count: number(&service, "desiredCount"),
            };
            let lost = Release {
                task_definition: arn(&to),
                from: snapshot.task_definition.clone(),
                deployment_before: String::new(),
                image: String::new(),
                container: String::new(),
                at: LONG_AGO,
                way: Way::Forward,
                forced: false,
                desired_count: None,
            };
            Ok(match past::rollback(&ecs, &Before::Running(snapshot), &lost).await? {
                Undo::Begun(release) => Undo::Begun(serde_json::to_value(release).unwrap_or_default()),
                Undo::NothingToUndo => Undo::NothingToUndo,
                Undo::Superseded { by } => Undo::Superseded { by },
            })
        })
    }
}

async fn tag(ecs: &Ecs, service: &Value, value: &str) -> Result<()> {
    let body = json!({ "resourceArn": service["serviceArn"], "tags": [{ "key": KEY, "value": value }] });
    let said = ecs.api.tag_resource(body).await?;
    said.map(|_| ()).map_err(|refusal| ecs.refused(refusal, "the service cannot be marked", "ecs:TagResource on the service"))
}

#[cfg(test)]
mod tests {
    use super::{parse, written};
    use crate::clock::Timestamp;
    use crate::target::{Holder, Mark};
    use crate::values::RunId;

    #[test]
    fn a_mark_is_read_as_it_was_written_in_letters_a_tag_may_have() {
        let holder = || Holder { run: RunId { id: "12345678901".into(), attempt: 2 }, step: "0a1b2c3d4e".into() };
        let open = |back_to: &str, to: &str| Mark::Open {
            by: holder(),
            until: Timestamp(1_763_700_000_000),
            back_to: back_to.into(),
            to: to.into(),
        };
        let marks = [
            open("web:41", "web:42"),
            open("web:41", "web2:1"),
            open("a-b_c:1", "a-b:1"),
            open(&format!("{}:41", "x".repeat(160)), &format!("{}:42", "x".repeat(160))),
            Mark::Proven { revision: "web:42".into() },
            Mark::Closed { by: holder() },
        ];
        for mark in marks {
            let text = written(&mark);
            assert!(
                text.len() <= 256 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " +-=._:/@".contains(letter)),
                "{text}"
            );
            assert_eq!(parse(&text), Some(mark));
        }
        for other in ["somebody's own text", "closed run=123 attempt=2", "open run=123", ""] {
            assert_eq!(parse(other), None);
        }
    }
}
