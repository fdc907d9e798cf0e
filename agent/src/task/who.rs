//! Who is at work: the task that the calling thread polls, or the thread itself.

use super::here;

/// A task, or a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A task that nobody tracks.
    Unknown,
    /// A task, by its number.
    Task(u64),
    /// A thread, by tid, in no task that is known.
    Thread(u32),
}

/// Who is at work on the calling thread.
#[inline]
pub(crate) fn who() -> Who {
    match here::task() {
        0 => untracked(),
        task => Who::Task(task),
    }
}

/// A thread that polls a task of which only its runtime knows is not to blame for what that task does.
fn untracked() -> Who {
    #[cfg(feature = "tokio")]
    if tokio::task::try_id().is_some() {
        return Who::Unknown;
    }
    Who::Thread(here::tid())
}

impl Who {
    /// As one number.
    #[inline]
    pub fn number(self) -> u64 {
        match self {
            Who::Unknown => 0,
            Who::Task(id) => id << 1 | 1,
            Who::Thread(tid) => u64::from(tid) << 1,
        }
    }

    /// Whose number that is.
    pub fn from_number(number: u64) -> Who {
        match (number, number & 1) {
            (0, _) => Who::Unknown,
            (_, 1) => Who::Task(number >> 1),
            _ => Who::Thread((number >> 1) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_s_own() {
        for who in [Who::Unknown, Who::Task(1), Who::Task(1 << 40), Who::Thread(1), who()] {
            assert_eq!(Who::from_number(who.number()), who);
        }
    }

    #[test]
    fn a_task_is_at_work_while_it_is_polled() {
        let task = crate::task::track(async { who() });
        let id = task.id();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = std::pin::pin!(task).poll(&mut context);
        assert!(matches!(polled, std::task::Poll::Ready(Who::Task(task)) if task == id));
        assert!(matches!(who(), Who::Thread(_)));
    }
}
