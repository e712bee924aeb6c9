//! The mark on the platform: one tag of the service, `touchdown`, that says which run has it open, or what was proven last.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::failure::Result;
use crate::target::{Mark, Marks, Opaque, Undo};
use crate::values::RunId;

use super::Ecs;
use super::release::{Release, Way};
use super::shown::{primary, short, text};

/// The tag.
const KEY: &str = "touchdown";

/// The mark a service carries.
pub(super) fn read(service: &Value) -> Option<Mark> {
    let tag = service["tags"].as_array()?.iter().find(|tag| tag["key"] == KEY)?;
    parse(text(tag, "value"))
}

/// `open run=123 attempt=1 until=1763700000000 back=web:41` or `proven web:42`: letters ECS allows in a tag.
fn parse(value: &str) -> Option<Mark> {
    if let Some(revision) = value.strip_prefix("proven ") {
        return Some(Mark::Proven { revision: revision.to_owned() });
    }
    let fields = value.strip_prefix("open ")?;
    let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    Some(Mark::Open {
        run: RunId { id: field("run")?, attempt: field("attempt")?.parse().ok()? },
        until: Timestamp(field("until")?.parse().ok()?),
        back_to: field("back")?,
    })
}

fn written(mark: &Mark) -> String {
    match mark {
        Mark::Proven { revision } => format!("proven {revision}"),
        Mark::Open { run, until, back_to } => format!("open run={} attempt={} until={} back={back_to}", run.id, run.attempt, until.0),
    }
}

/// Writes and repairs marks of one service.
pub(super) struct Tags(pub(super) Arc<Ecs>);

impl Marks for Tags {
    fn write(&self, mark: Mark) -> BoxFuture<'static, Result<()>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let service = ecs.service().await?;
            let body = json!({ "resourceArn": service["serviceArn"], "tags": [{ "key": KEY, "value": written(&mark) }] });
            let said = ecs.api.tag_resource(body).await?;
            said.map(|_| ()).map_err(|refusal| ecs.refused(refusal, "the service cannot be marked", "ecs:TagResource on the service"))
        })
    }

    fn repair(&self, mark: Mark) -> BoxFuture<'static, Result<Undo<Opaque>>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let Mark::Open { back_to, .. } = mark else { return Ok(Undo::NothingToUndo) };
            let service = ecs.service().await?;
            let Some(present) = primary(&service) else { return Ok(Undo::NothingToUndo) };
            let arn = text(present, "taskDefinition");
            if short(arn) == back_to {
                return Ok(Undo::NothingToUndo);
            }
            let family = |name: &str| name.rsplit_once(':').map(|(family, _)| family.to_owned());
            if family(&short(arn)) != family(&back_to) {
                return Ok(Undo::Superseded { by: short(arn) });
            }
            let release = Release {
                task_definition: arn.replace(&short(arn), &back_to),
                from: arn.to_owned(),
                deployment_before: text(present, "id").to_owned(),
                image: String::new(),
                container: String::new(),
                at: ecs.session.http().clock().now(),
                way: Way::Back,
                forced: false,
                desired_count: None,
            };
            ecs.update(&release, &service).await?;
            Ok(Undo::Begun(serde_json::to_value(release).unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, written};
    use crate::clock::Timestamp;
    use crate::target::Mark;
    use crate::values::RunId;

    #[test]
    fn a_mark_is_read_as_it_was_written_in_letters_a_tag_may_have() {
        let open =
            Mark::Open { run: RunId { id: "123".into(), attempt: 2 }, until: Timestamp(1_763_700_000_000), back_to: "web:41".into() };
        for mark in [open, Mark::Proven { revision: "web:42".into() }] {
            let text = written(&mark);
            assert!(
                text.len() <= 256 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " +-=._:/@".contains(letter)),
                "{text}"
            );
            assert_eq!(parse(&text), Some(mark));
        }
        assert_eq!(parse("somebody's own text"), None);
    }
}
