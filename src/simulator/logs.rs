//! CloudWatch Logs: what the tasks' containers wrote.

use serde_json::{Value, json};

use crate::simulator::wire::{Outcome, Refusal, text, texts};
use crate::simulator::world::State;

/// Carries out one operation.
pub(crate) fn answer(state: &State, region: &str, operation: &str, body: &Value) -> Outcome {
    match operation {
        "GetLogEvents" => get(state, region, body),
        "FilterLogEvents" => filter(state, region, body),
        "DescribeLogStreams" => streams(state, region, body),
        other => Err(Refusal::new("UnknownOperationException", format!("the simulator does not model {other}"))),
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", format!("The specified log {what} does not exist."))
}

fn limit(body: &Value) -> usize {
    body.get("limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10_000)
}

fn group(body: &Value) -> &str {
    let name = text(body, "logGroupName");
    if name.is_empty() { text(body, "logGroupIdentifier") } else { name }
}

fn get(state: &State, region: &str, body: &Value) -> Outcome {
    let stream = text(body, "logStreamName");
    let key = (region.to_owned(), group(body).to_owned(), stream.to_owned());
    let lines = state.platform.logs.get(&key).ok_or_else(|| missing("stream"))?;
    let limit = limit(body);
    let from_head = body.get("startFromHead").and_then(Value::as_bool) == Some(true);
    // A token of ours is the number of lines already given.
    let given = text(body, "nextToken").rsplit('/').next().and_then(|count| count.parse::<usize>().ok());
    let from = match given {
        Some(given) => given.min(lines.len()),
        None if from_head => 0,
        None => lines.len().saturating_sub(limit),
    };
    let chosen = lines.iter().skip(from).take(limit);
    let events: Vec<Value> = chosen.map(|(at, line)| json!({ "timestamp": at.0, "ingestionTime": at.0, "message": line })).collect();
    let next = from + events.len();
    Ok(json!({ "events": events, "nextForwardToken": format!("f/{next}"), "nextBackwardToken": format!("b/{from}") }))
}

fn filter(state: &State, region: &str, body: &Value) -> Outcome {
    let (names, pattern) = (texts(body, "logStreamNames"), text(body, "filterPattern").trim_matches('"').to_owned());
    let start = body.get("startTime").and_then(Value::as_u64).unwrap_or(0);
    let prefix = text(body, "logStreamNamePrefix");
    let of_group = state.platform.logs.iter().filter(|((place, name, _), _)| place == region && name == group(body));
    let mut events = Vec::new();
    let mut known = false;
    for ((_, _, stream), lines) in of_group {
        known = true;
        if !(names.is_empty() || names.contains(stream)) || !stream.starts_with(prefix) {
            continue;
        }
        for (at, line) in lines.iter().filter(|(at, line)| at.0 >= start && line.contains(&pattern)) {
            events.push(
                json!({ "logStreamName": stream, "timestamp": at.0, "ingestionTime": at.0, "message": line, "eventId": at.0.to_string() }),
            );
        }
    }
    if !known {
        return Err(missing("group"));
    }
    events.sort_by_key(|event| event["timestamp"].as_u64());
    events.truncate(limit(body));
    Ok(json!({ "events": events, "searchedLogStreams": [] }))
}

fn streams(state: &State, region: &str, body: &Value) -> Outcome {
    let prefix = text(body, "logStreamNamePrefix");
    let of_group = || state.platform.logs.iter().filter(|((place, name, _), _)| place == region && name == group(body));
    if of_group().next().is_none() {
        return Err(missing("group"));
    }
    let found = of_group().filter(|((_, _, stream), _)| stream.starts_with(prefix)).map(|((_, _, stream), lines)| {
        let last = lines.last().map_or(0, |(at, _)| at.0);
        json!({ "logStreamName": stream, "lastEventTimestamp": last, "firstEventTimestamp": lines.first().map_or(0, |(at, _)| at.0) })
    });
    Ok(json!({ "logStreams": found.collect::<Vec<_>>() }))
}
