//! The application behind the load balancers: every task answers for its own revision, and the load balancer spreads.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::simulator::ecs::model::{Fitness, Phase, Service, Task};
use crate::simulator::ecs::stages;
use crate::simulator::elb;
use crate::simulator::fault::Fault;
use crate::simulator::wire::{Call, Reply, like};
use crate::simulator::world::State;

/// The answer for whatever host the call names, and how long the application takes over it.
pub(crate) fn answer(state: &mut State, call: &Call) -> (Reply, Duration) {
    let Some(index) = behind(state, &call.host(), &call.path) else {
        return (Reply::new(404, "text/plain; charset=utf-8", "nothing in the simulator answers for this host and path\n"), Duration::ZERO);
    };
    let now = state.platform.now;
    let service = &mut state.services[index];
    service.visits += 1;
    let visit = service.visits;
    let Some(task) = choose(service, visit).cloned() else {
        let page = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n\
            <center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";
        return (Reply::new(503, "text/html", page).with("server", "awselb/2.0"), Duration::ZERO);
    };
    let broken = match task.fault {
        Fault::NeverHealthy => true,
        Fault::Flapping => visit.is_multiple_of(2),
        _ => task.breaks_at.is_some_and(|at| at <= now),
    };
    let takes = if task.fault == Fault::SlowHealth { Duration::from_secs(6) } else { Duration::ZERO };
    (say(service, &task, call, broken), takes)
}

/// The service that answers for a host: by a host rule, a load balancer's own name, or a name given with the seed.
/// Loopback itself means the only service there is.
pub(crate) fn behind(state: &State, host: &str, path: &str) -> Option<usize> {
    let by_group =
        |group: &str| state.services.iter().position(|one| one.target_groups().0 == Some(group) || one.target_groups().1 == Some(group));
    let rules = state.platform.balancers.iter().flat_map(|balancer| &balancer.listeners).flat_map(|listener| &listener.rules);
    let hit = |rule: &&elb::Rule| {
        (rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), host)))
            && (rule.paths.is_empty() || rule.paths.iter().any(|pattern| like(pattern, path)))
            && !(rule.hosts.is_empty() && rule.paths.is_empty())
    };
    let named = |rule: &&elb::Rule| !rule.hosts.is_empty() || state.platform.balancers.iter().any(|one| one.dns == host);
    if let Some(index) = rules.filter(hit).find(named).and_then(|rule| by_group(rule.target_groups.first()?)) {
        return Some(index);
    }
    if let Some(balancer) = state.platform.balancers.iter().find(|balancer| balancer.dns == host) {
        let group = balancer.listeners.iter().find_map(|listener| listener.default.clone().filter(|group| !group.is_empty()));
        return by_group(&group?);
    }
    if let Some(index) = state.services.iter().position(|service| service.hosts.iter().any(|one| one.eq_ignore_ascii_case(host))) {
        return Some(index);
    }
    let loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    (loopback && state.services.len() == 1).then_some(0)
}

/// Round robin over what is healthy; where nothing is, over everything registered, as the load balancer does.
fn choose(service: &Service, visit: u64) -> Option<&Task> {
    let (_, other) = stages::weights(service);
    // 37 is prime to 100: the shares are spread, not in blocks.
    #[allow(clippy::cast_precision_loss, reason = "below 100")]
    let alternate = ((visit * 37) % 100) as f64 + 0.5 < other;
    let inside: Vec<&Task> =
        service.tasks.iter().filter(|task| task.phase == Phase::Running && (!service.shifting() || task.alternate == alternate)).collect();
    let healthy: Vec<&&Task> = inside.iter().filter(|task| matches!(task.fitness, Fitness::Healthy | Fitness::Unchecked)).collect();
    let turn = usize::try_from(visit).unwrap_or(0);
    if healthy.is_empty() {
        return inside.get(turn % inside.len().max(1)).copied();
    }
    healthy.get(turn % healthy.len()).map(|task| **task)
}

fn say(service: &Service, task: &Task, call: &Call, broken: bool) -> Reply {
    let answers = &service.answers;
    let special = answers.replies.iter().find(|reply| reply.method == call.method && reply.path == call.path);
    if special.is_none() && !answers.paths.iter().any(|path| path.split('?').next() == Some(&call.path)) {
        return Reply::new(404, "application/json", json!({ "error": "no such path", "path": call.path }).to_string());
    }
    let hostile = service.hostile.as_deref();
    if broken {
        let error = hostile.unwrap_or("the database does not answer");
        return Reply::new(500, "application/json", json!({ "status": "error", "error": error }).to_string());
    }
    let mut body = Value::Object(Map::new());
    put(&mut body, "/status", json!("ok"));
    put(&mut body, &answers.version_pointer, json!(task.version));
    for (pointer, value) in answers.json.iter().chain(special.iter().flat_map(|reply| &reply.json)) {
        put(&mut body, pointer, value.clone());
    }
    let text = special.map_or(&answers.text, |reply| &reply.text);
    for text in text.iter().map(String::as_str).chain(hostile) {
        put(&mut body, "/note", json!(text));
    }
    let status = special.map_or(answers.status, |reply| reply.status);
    let mut reply = Reply::new(status, "application/json", body.to_string()).with(&answers.version_header, task.version.clone());
    for (name, value) in &answers.headers {
        reply = reply.with(name, value.clone());
    }
    reply
}

/// Puts a value where a JSON pointer says, making objects on the way.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut place = body;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[token];
    }
    *place = value;
}
