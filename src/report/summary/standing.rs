//! How every service stands at the end, and the commands for what a person must put back.

use crate::report::{Report, Service, advice, headline};

use super::services::MANY;
use super::{Keep, Section, code, fence, folded, phrase, prose, section, words};

/// A command longer than this goes over several lines.
const LONG: usize = 90;

/// The commands that put back by hand what could not be, or was not, put back.
pub(super) fn by_hand(report: &Report) -> Vec<Section> {
    let left = report.services.iter().filter(|service| advice::first_resort(service));
    let told = left.map(|service| {
        let why = service.kept.as_ref().map(|why| format!(" It was left as it is: {}.", prose(why))).unwrap_or_default();
        format!("**To put {} back on {} by hand:**{why}\n\n{}\n", words(&service.name), before(service), commands(service))
    });
    let jobs = report.services.iter().filter_map(|service| {
        let job = advice::job_to_look_for(service)?;
        Some(format!("**To see whether the {} job of {} runs:**\n\n{}\n", words(job), words(&service.name), commands(service)))
    });
    told.chain(jobs).map(|text| section(Keep::Always, text)).collect()
}

/// The same where going back may do more harm than good: last of all, and with what must be looked at before.
pub(super) fn last_resort(report: &Report) -> Vec<Section> {
    let left = report.services.iter().filter(|service| advice::last_resort(service));
    let told = left.map(|service| {
        let (name, to) = (words(&service.name), before(service));
        let warning = format!(
            "⚠️ The migration of {name} has changed the database: {to} may fail on it, or damage what is in it. \
             Type this only once you know that {to} works with the database as it is now."
        );
        format!("### The last resort: going back to {to}\n\n{warning}\n\n{}\n", commands(service))
    });
    told.map(|text| section(Keep::Always, text)).collect()
}

fn before(service: &Service) -> String {
    service.before.revision().map_or_else(|| "what stood before".to_owned(), code)
}

fn commands(service: &Service) -> String {
    fence(&service.by_hand.iter().map(|command| over_lines(command)).collect::<Vec<_>>())
}

/// A long command as a shell takes it over several lines; one with quotes is left alone.
fn over_lines(command: &str) -> String {
    if command.len() <= LONG || command.contains(['\'', '"', '\\', '\n']) {
        return command.to_owned();
    }
    let mut lines: Vec<String> = Vec::new();
    for part in command.split(" --") {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() < LONG => line.push_str(&format!(" --{part}")),
            Some(_) => lines.push(format!("  --{part}")),
            None => lines.push(part.to_owned()),
        }
    }
    lines.join(" \\\n")
}

/// How every service stands now. Where all went well the table has said it; of a single one the first lines have.
pub(super) fn standing(report: &Report) -> Option<Section> {
    if report.outcome.is_good() || report.services.len() < 2 || super::nothing_begun(report) {
        return None;
    }
    let lines = report.services.iter().map(|service| {
        let stands = phrase(&headline::stands(service));
        format!("- {} **{}**: {stands}{}", service.outcome.glyph(), words(&service.name), last_proven(service))
    });
    let body = lines.collect::<Vec<_>>().join("\n") + "\n";
    let few = report.services.len() < MANY;
    let text = if few { format!("### How everything stands now\n\n{body}") } else { folded("<b>How everything stands now</b>", &body) };
    Some(section(Keep::Story, text))
}

/// The last release that was proven, where it does not serve and going back to it would help.
pub(super) fn last_proven(service: &Service) -> String {
    let worth_it = |good: &&str| service.serving.as_deref() != Some(*good) && !headline::goes_forward(service);
    let good = service.known_good.as_deref().filter(worth_it);
    good.map(|good| format!(" (last proven: {})", code(good))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::over_lines;

    #[test]
    fn a_long_command_goes_over_lines_only_where_a_shell_reads_it_the_same() {
        let long = format!("aws ecs update-service --cluster {} --service web --force", "c".repeat(90));
        let over = format!("aws ecs update-service \\\n  --cluster {} \\\n  --service web --force", "c".repeat(90));
        assert_eq!(over_lines(&long), over);
        assert_eq!(over_lines("aws ecs --service web"), "aws ecs --service web");
        let quoted = format!("{long} --note 'a --b'");
        assert_eq!(over_lines(&quoted), quoted);
    }
}
