//! SipHash-1-3 of one 32-bit word, cut to 32 bits: what Linux's `hsiphash_1u32` is on 64-bit
//! machines (`lib/siphash.c`; Aumasson and Bernstein 2012).

/// The hash of one word under a key of two.
pub(crate) fn siphash13_word(word: u32, key: [u64; 2]) -> u32 {
    let mut state = [
        0x736f_6d65_7073_6575 ^ key[0],
        0x646f_7261_6e64_6f6d ^ key[1],
        0x6c79_6765_6e65_7261 ^ key[0],
        0x7465_6462_7974_6573 ^ key[1],
    ];
    // The one block: four bytes and their number on top.
    let block = (4 << 56) | u64::from(word);
    state[3] ^= block;
    round(&mut state);
    state[0] ^= block;
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    (state[0] ^ state[1] ^ state[2] ^ state[3]) as u32
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    /// The standard library's own hasher is SipHash-1-3 under the key 0, 0.
    #[test]
    fn it_is_the_standard_librarys() {
        for word in [0, 1, 0x0a02_0001, u32::MAX] {
            let mut known = std::collections::hash_map::DefaultHasher::new();
            known.write(&word.to_le_bytes());
            assert_eq!(siphash13_word(word, [0, 0]), known.finish() as u32);
        }
    }
}
