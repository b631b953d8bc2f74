//! The threads of a member, and their panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::handler::panic_text;
use crate::member::MemberError;

/// The names of the threads.
pub(super) const MEMBER: &str = "member";
pub(super) const READER: &str = "controls";

pub(super) fn thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned())
}

/// Runs the body of a thread. The error is the text of its panic.
pub(super) fn catch_panic<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    // After a panic nothing is used that the body has changed, except locks, which recover from it.
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| panic_text(&*panic))
}

pub(super) fn panicked(thread: &'static str, panic: impl Into<String>) -> MemberError {
    MemberError::Panicked {
        thread,
        panic: panic.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_thread_is_an_error_with_its_text() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        let text = catch_panic(|| panic!("on {}", "purpose")).unwrap_err();
        assert_eq!(text, "on purpose");
        let error = panicked(READER, text).to_string();
        assert_eq!(
            error,
            r#"the thread "controls" of the consumer panicked: on purpose"#
        );
    }
}
