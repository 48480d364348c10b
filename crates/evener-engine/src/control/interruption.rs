//! Which errors say only that a call was interrupted, and is to be made again.

use std::io;

/// The kernel's codes for "make this call again" (include/linux/errno.h: ERESTARTSYS,
/// ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK). They become EINTR, or are obeyed, before
/// a call returns; under a debugger that holds the process in the call they have been seen to come
/// through.
const RESTART: [i32; 4] = [512, 513, 514, 516];

/// Whether a signal or a debugger came between, and nothing else is wrong.
pub fn is_interruption(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::Interrupted
        || why.raw_os_error().is_some_and(|code| RESTART.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_to_be_made_again_is_no_failure() {
        let interrupted = |code| is_interruption(&io::Error::from_raw_os_error(code));
        assert!([4, 512, 513, 514, 516].into_iter().all(interrupted));
        // EBADF, EAGAIN, EINVAL; 515 is ENOIOCTLCMD.
        assert!(![9, 11, 22, 515].into_iter().any(interrupted));
    }
}
