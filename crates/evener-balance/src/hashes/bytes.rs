//! Hashes of bytes: sdbm, djb2, wt6 (HAProxy `src/hash.c`) and CRC-32 (IEEE 802.3; nginx and
//! HAProxy).

/// The hash of the sdbm database library.
pub(crate) fn sdbm(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |hash: u32, &byte| hash.wrapping_mul(65_599).wrapping_add(byte.into()))
}

/// Bernstein's second.
pub(crate) fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5_381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

/// HAProxy's own: two words that turn each other.
pub(crate) fn wt6(bytes: &[u8]) -> u32 {
    let (mut one, mut two) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut turn_one, mut turn_two) = (6, 18);
    for &byte in bytes {
        let byte = u32::from(byte);
        let (a, b) = (!(one ^ byte), !two.wrapping_add(byte));
        (one, two) = (b.rotate_left(turn_one), a.rotate_left(turn_two));
        let turns = ((one >> 16) ^ two) & 0xffff;
        (turn_one, turn_two) = (turns & 0x1f, turns >> 11);
    }
    one ^ two
}

/// CRC-32 of some bytes.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    Crc32::new().with(bytes).value()
}

/// A CRC-32 that goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) fn new() -> Crc32 {
        Crc32(u32::MAX)
    }

    pub(crate) fn with(self, bytes: &[u8]) -> Crc32 {
        let step =
            |crc: u32, &byte: &u8| (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize];
        Crc32(bytes.iter().fold(self.0, step))
    }

    pub(crate) fn value(self) -> u32 {
        !self.0
    }
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_hold() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(Crc32::new().with(b"12345").with(b"6789").value(), 0xcbf4_3926);
        assert_eq!(djb2(b""), 5_381);
        assert_eq!(djb2(b"a"), 177_670);
        assert_eq!(sdbm(b"ab"), 97 * 65_599 + 98);
    }

    /// HAProxy's `hash(wt6)` converter has no published vector; this follows its text by hand.
    #[test]
    fn wt6_of_nothing_is_its_two_words() {
        assert_eq!(wt6(b""), 0xa53c_965a ^ 0x5ca6_953a);
        assert_ne!(wt6(b"a"), wt6(b"b"));
    }
}
