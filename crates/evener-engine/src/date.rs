//! The Date field of answers that have none, made once a second.
//!
//! Rules kept here: a line is copied, not written, for each answer; it is as old as the shard's last
//! tick. The wall clock is read once per tick, whatever the load.

use std::cell::Cell;

use evener_proto::h1::answer::imf_fixdate;

use crate::clock;

/// The line `Date: Sun, 06 Nov 1994 08:49:37 GMT` with its end.
pub type Line = [u8; 37];

/// The current one.
pub struct DateLine {
    second: Cell<u64>,
    line: Cell<Line>,
}

impl DateLine {
    /// Of now.
    pub fn new() -> DateLine {
        let now = clock::unix_seconds();
        DateLine { second: Cell::new(now), line: Cell::new(line(now)) }
    }

    /// Time has moved on.
    pub fn tick(&self) {
        let now = clock::unix_seconds();
        if self.second.replace(now) != now {
            self.line.set(line(now));
        }
    }

    /// The line.
    #[inline]
    pub fn line(&self) -> Line {
        self.line.get()
    }
}

fn line(seconds: u64) -> Line {
    let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let date = imf_fixdate(seconds);
    for (to, from) in line.iter_mut().skip(b"Date: ".len()).zip(date) {
        *to = from;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_made_anew_when_a_second_has_passed() {
        assert_eq!(&line(784_111_777), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        clock::set_virtual(Some(0));
        let date = DateLine::new();
        let first = date.line();
        clock::set_virtual(Some(999_000));
        date.tick();
        assert_eq!(date.line(), first);
        clock::set_virtual(Some(1_000_000));
        date.tick();
        assert_ne!(date.line(), first);
        clock::set_virtual(None);
    }
}
