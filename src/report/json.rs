//! The JSON report and its schema.

use super::Report;
use crate::failure::{Failure, Result};

/// The report as a file.
pub fn document(report: &Report) -> Result<String> {
    let text = serde_json::to_string_pretty(report);
    text.map(|text| text + "\n").map_err(|error| Failure::bug("the report cannot be written as JSON").why(error.to_string()))
}

/// The schema of the document; `schema/report.schema.json` is this, and a test holds them equal.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
