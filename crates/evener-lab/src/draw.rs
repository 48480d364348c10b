//! Random numbers of a seed, and the distributions that models need.
//!
//! Precedent: xoshiro256++ (Blackman and Vigna 2019), seeded by SplitMix64.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Draw {
    state: [u64; 4],
}

impl Draw {
    /// Equal seeds give equal streams.
    pub fn new(seed: u64) -> Draw {
        let mut seed = seed;
        let mut next = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Draw { state: [next(), next(), next(), next()] }
    }

    /// A stream of its own for a part of the model, so that another part does not disturb it.
    pub fn fork(&mut self) -> Draw {
        Draw::new(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Above 0, at most 1.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential, of mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// Normal, of mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let numbers: Vec<f64> = (0..200_000).map(|_| draw()).collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let square = |number: &f64| (number - mean).powi(2);
        (mean, numbers.iter().map(square).sum::<f64>() / numbers.len() as f64)
    }

    #[test]
    fn distributions_have_their_mean_and_variance() {
        let mut draw = Draw::new(3);
        let (mean, variance) = moments(|| draw.exponential());
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let (mean, variance) = moments(|| draw.normal());
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let (mean, variance) = moments(|| draw.unit());
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 12.0).abs() < 0.002);
    }
}
