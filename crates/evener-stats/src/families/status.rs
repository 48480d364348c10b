//! Which counter a status code goes to.
//!
//! Rules kept here:
//! - The labels of the list decide: `404` is that code, `4xx` the rest of its class. The table is
//!   made from them when this crate is built.

use super::{RouteBlock, RouteCounter, ServerBlock, ServerCounter};

const NAME: &str = "evener_requests_total";
const CODES: [u8; 600] = table();

impl RouteBlock<'_> {
    /// Counts an answer by its status code; one outside 100 to 599 counts as 5xx.
    #[inline]
    pub fn add_status(self, status: u16) {
        let slot = CODES[usize::from(if status < 600 { status } else { 599 })];
        crate::layout::add(&self.words[usize::from(slot)], 1);
    }
}

impl ServerBlock<'_> {
    /// Counts an answer by the class of its status code; one outside 100 to 599 counts as 5xx.
    #[inline]
    pub fn add_status(self, status: u16) {
        let counter = match status {
            100..200 => ServerCounter::Answers1xx,
            200..300 => ServerCounter::Answers2xx,
            300..400 => ServerCounter::Answers3xx,
            400..500 => ServerCounter::Answers4xx,
            _ => ServerCounter::Answers5xx,
        };
        self.add(counter, 1);
    }
}

const fn table() -> [u8; 600] {
    let mut table = [RouteCounter::Other5xx as u8; 600];
    let mut slot = 0;
    // Classes first, so that exact codes stand over them.
    while slot < RouteCounter::LIST.len() {
        if let Some((digit, b'x')) = code_at(slot) {
            let mut code = digit as usize * 100;
            let end = code + 100;
            while code < end {
                table[code] = slot as u8;
                code += 1;
            }
        }
        slot += 1;
    }
    slot = 0;
    while slot < RouteCounter::LIST.len() {
        let label = RouteCounter::LIST[slot].labels;
        if let Some((digit, b'0'..=b'9')) = code_at(slot) {
            let text = label[0].1.as_bytes();
            let rest = (text[1] - b'0') as usize * 10 + (text[2] - b'0') as usize;
            table[digit as usize * 100 + rest] = slot as u8;
        }
        slot += 1;
    }
    table
}

/// First digit and second character of the code that a slot counts, if it counts one.
const fn code_at(slot: usize) -> Option<(u8, u8)> {
    let metric = &RouteCounter::LIST[slot];
    if metric.name.len() != NAME.len() || metric.labels.len() != 1 {
        return None;
    }
    let text = metric.labels[0].1.as_bytes();
    Some((text[0] - b'0', text[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_goes_to_its_own_slot_or_to_its_class() {
        for code in 100..600u16 {
            let metric = &RouteCounter::LIST[usize::from(CODES[usize::from(code)])];
            assert_eq!(metric.name, NAME);
            let label = metric.labels[0].1;
            let class = format!("{}xx", code / 100);
            assert!(label == code.to_string() || label == class, "{code}: {label}");
            let own = RouteCounter::LIST.iter().filter(|metric| metric.name == NAME);
            let has_own = own.map(|metric| metric.labels[0].1).any(|own| own == code.to_string());
            assert_eq!(has_own, label == code.to_string(), "{code}: {label}");
        }
        assert_eq!(CODES[0], RouteCounter::Other5xx as u8);
    }
}
