//! What a push tells while it is under way. Who listens turns it into bars or lines; the push waits for nobody.

use std::sync::Arc;

use crate::values::Digest;

use super::tags::Tagged;

/// Is told every event.
pub type Progress = Arc<dyn Fn(Event) + Send + Sync>;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A blob is part of the image.
    Named {
        /// Which.
        blob: Digest,
        /// Its bytes.
        size: u64,
    },
    /// A blob need not be sent: it is there, or was mounted from next door.
    There {
        /// Which.
        blob: Digest,
    },
    /// More bytes of a blob went out.
    Sent {
        /// Which.
        blob: Digest,
        /// So many more.
        bytes: u64,
    },
    /// A blob is sent again from its beginning.
    Again {
        /// Which.
        blob: Digest,
        /// Why.
        why: String,
    },
    /// A blob has arrived.
    Arrived {
        /// Which.
        blob: Digest,
    },
    /// A manifest was written and read back.
    Manifest {
        /// Which.
        digest: Digest,
    },
    /// What became of a tag.
    Tag(Tagged),
}

/// For who does not want to know.
pub fn silent() -> Progress {
    Arc::new(|_| ())
}
