//! Events of `tracing` as lines of the log: `service: message`, the service being a field of a span around it.
//! Only our own events: other crates' may hold headers and bodies.

use std::fmt::Write;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::env::Env;
use super::log::Log;

/// Prints events on a [`Log`].
#[derive(Debug)]
pub struct Lines {
    log: Log,
    loudest: Level,
}

impl Lines {
    /// Info and louder; with `RUNNER_DEBUG=1` debug too.
    pub fn new(log: Log, env: &Env) -> Self {
        Self { log, loudest: if env.get("RUNNER_DEBUG") == Some("1") { Level::DEBUG } else { Level::INFO } }
    }

    /// Prints the events of the whole process from now on. A second call changes nothing.
    pub fn install(self) {
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(self));
    }
}

/// The `service` of a span.
struct Service(String);

#[derive(Default)]
struct Fields {
    message: String,
    service: Option<String>,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "service" => self.service = Some(format!("{value:?}")),
            name => {
                let _ = write!(self.others, " {name}={value:?}");
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        ours && (metadata.is_span() || *metadata.level() <= self.loudest)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        keep(fields, id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        keep(fields, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let around = || context.event_scope(event)?.find_map(|span| span.extensions().get::<Service>().map(|Service(name)| name.clone()));
        let service = fields.service.take().or_else(around).map(|name| format!("{name}: ")).unwrap_or_default();
        let line = format!("{service}{}{}", fields.message, fields.others);
        match *event.metadata().level() {
            Level::ERROR => self.log.line(&format!("error: {line}")),
            Level::WARN => self.log.line(&format!("warning: {line}")),
            Level::INFO => self.log.line(&line),
            _ => self.log.debug(&line),
        }
    }
}

fn keep<S: Subscriber + for<'a> LookupSpan<'a>>(fields: Fields, id: &Id, context: &Context<'_, S>) {
    if let (Some(name), Some(span)) = (fields.service, context.span(id)) {
        span.extensions_mut().replace(Service(name));
    }
}
