//! Evidence cut into pieces that fit a line of the journal.

use crate::failure::{Evidence, cut};

/// Bytes of text in one piece, and of one line.
const PIECE: usize = 2800;
const LINE: usize = 200;
/// Lines kept of one piece of evidence: the last ones.
const LINES: usize = 60;

/// `evidence` as pieces of the same title, lines in order, each line at most 200 bytes.
pub(crate) fn pieces(evidence: Evidence) -> Vec<Evidence> {
    let Evidence { mut title, lines } = evidence;
    cut(&mut title, LINE);
    let mut pieces: Vec<Evidence> = Vec::new();
    let mut room = 0;
    for mut line in lines.iter().skip(lines.len().saturating_sub(LINES)).cloned() {
        cut(&mut line, LINE);
        let size = serde_json::to_string(&line).map_or(LINE, |json| json.len() + 1);
        if size > room {
            pieces.push(Evidence { title: title.clone(), lines: Vec::new() });
            room = PIECE;
        }
        room = room.saturating_sub(size);
        if let Some(piece) = pieces.last_mut() {
            piece.lines.push(line);
        }
    }
    pieces
}
