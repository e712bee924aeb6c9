//! Whether somebody else deployed between our look at a service and our update of it, judged from what the update answered. Pure.

use serde_json::Value;

use crate::failure::{Failure, Kind};

use super::release::Release;
use super::shown::{list, primary, short, text};

/// What happened in the moment of our update.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Crossed {
    /// Nothing that shows.
    Nothing,
    /// Theirs, of this revision, began before ours and is replaced by it.
    Replaced(String),
    /// Theirs began after ours and took its place.
    Superseded(Failure),
}

/// UpdateService takes no precondition. `seen`: the service as it was looked at before; `answered`: as the update answered it.
pub(super) fn crossed(release: &Release, seen: &Value, answered: &Value) -> Crossed {
    let Some(now) = primary(answered) else { return Crossed::Nothing };
    let known = |one: &Value| list(seen, "deployments").any(|before| text(before, "id") == text(one, "id"));
    if text(now, "taskDefinition") != release.task_definition {
        // What stood before is nobody's new deployment: ECS only does not show ours yet.
        if known(now) {
            return Crossed::Nothing;
        }
        let by = format!("{} (deployment {})", short(text(now, "taskDefinition")), text(now, "id"));
        return Crossed::Superseded(Failure::new(Kind::Superseded, by).why("it began in the moment of our update"));
    }
    let theirs = |one: &&Value| text(one, "status") != "PRIMARY" && text(one, "taskDefinition") != release.task_definition && !known(one);
    let found = list(answered, "deployments").find(theirs);
    found.map_or(Crossed::Nothing, |theirs| Crossed::Replaced(short(text(theirs, "taskDefinition"))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::release::{Release, Way};
    use super::{Crossed, crossed};
    use crate::clock::Timestamp;
    use crate::failure::Kind;

    fn arn(revision: u32) -> String {
        format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:{revision}")
    }

    fn ours() -> Release {
        Release {
            task_definition: arn(2),
            from: arn(1),
            deployment_before: "ecs-svc/1".into(),
            image: String::new(),
            container: String::new(),
            at: Timestamp(0),
            way: Way::Forward,
            forced: false,
            desired_count: None,
        }
    }

    /// Deployments by number and revision, the PRIMARY one first.
    fn service(deployments: &[(u32, u32)]) -> Value {
        let all = deployments.iter().enumerate().map(|(index, (number, revision))| {
            let status = if index == 0 { "PRIMARY" } else { "ACTIVE" };
            json!({ "id": format!("ecs-svc/{number}"), "status": status, "taskDefinition": arn(*revision) })
        });
        json!({ "deployments": all.collect::<Vec<_>>() })
    }

    #[test]
    fn what_the_update_answers_tells_who_came_between() {
        let seen = service(&[(1, 1)]);
        let told = |answered: &[(u32, u32)]| crossed(&ours(), &seen, &service(answered));
        assert_eq!(told(&[(2, 2), (1, 1)]), Crossed::Nothing, "ours, and the one from before");
        assert_eq!(told(&[(1, 1)]), Crossed::Nothing, "ours is not shown yet");
        assert_eq!(told(&[]), Crossed::Nothing);
        assert_eq!(told(&[(3, 2), (2, 3), (1, 1)]), Crossed::Replaced("web:3".into()), "theirs began before ours");
        let Crossed::Superseded(failure) = told(&[(3, 3), (2, 2), (1, 1)]) else { panic!("theirs took the place of ours") };
        assert_eq!((failure.kind, failure.what.as_str()), (Kind::Superseded, "web:3 (deployment ecs-svc/3)"));
    }
}
