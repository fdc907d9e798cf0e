//! Logs that carry dumps.

use super::Text;

pub(super) fn unwrap(text: Text) -> Text {
    text
}
