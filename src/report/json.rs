//! The JSON report and its schema.

use schemars::generate::SchemaSettings;

use super::Report;
use crate::failure::{Failure, Result};

/// The report as a file.
pub fn document(report: &Report) -> Result<String> {
    let text = serde_json::to_string_pretty(report);
    text.map(|text| text + "\n").map_err(|error| Failure::bug("the report cannot be written as JSON").why(error.to_string()))
}

/// The schema of the document (<https://json-schema.org/draft/2020-12/schema>), as it is written: every key is there.
pub fn schema() -> schemars::Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>()
}
