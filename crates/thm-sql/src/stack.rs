//! Room to plan in: statements, plans and expressions are trees, and a tree is walked by calls in each other.
//!
//! [`parser`](crate::parser) bounds a statement's depth and [`analyzer`](crate::analyzer) that of an expression. What
//! they let pass fits the stack of a thread made here and of a job's, whatever thread the caller's is.

use std::thread::Builder;

/// Stack of a thread that plans or runs jobs. Memory is taken as it is touched, so an ordinary statement costs no more
/// than on any other stack.
pub(crate) const DEFAULT_STACK_BYTES: usize = 16 << 20;

/// Does the work on a thread with [`DEFAULT_STACK_BYTES`], and waits for it.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let mut done = None;
    let spawned = std::thread::scope(|scope| {
        let run = || done = work.take().map(|work| work());
        let thread = Builder::new().name("thm-sql-plan".to_owned()).stack_size(DEFAULT_STACK_BYTES);
        thread.spawn_scoped(scope, run).map(std::thread::ScopedJoinHandle::join)
    });
    if let Ok(Err(panic)) = spawned {
        std::panic::resume_unwind(panic);
    }
    // No thread to be had: ordinary statements fit here, too.
    done.or_else(|| work.map(|work| work())).expect("it is done there or here")
}
