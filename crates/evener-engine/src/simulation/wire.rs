//! How what is sent arrives: whole, cut at one byte, byte by byte, through a narrow window.

use std::cell::{Cell, RefCell};

/// How bytes pass between the engine and its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Every message arrives in one piece, every write is taken at once.
    Whole,
    /// What comes from each peer is cut once, behind this byte of the connection.
    CutIn(usize),
    /// What goes to each peer is taken up to this byte of the connection, the rest later.
    CutOut(usize),
    /// What comes is delivered in pieces of so many bytes.
    Pieces(usize),
    /// Of what goes so many bytes are taken at a time.
    Window(usize),
    /// Byte by byte in both directions.
    Bytewise,
    /// Pieces of 1 to 40 bytes in both directions, as the seed has it.
    Random(u64),
}

thread_local! {
    static CURRENT: Cell<Wire> = const { Cell::new(Wire::Whole) };
    /// Longest stream of bytes seen since the last reset, in and out.
    static LONGEST: RefCell<(usize, usize)> = const { RefCell::new((0, 0)) };
}

impl Wire {
    /// The one that simulations of this thread use now.
    pub fn current() -> Wire {
        CURRENT.get()
    }

    /// Simulations of this thread use this one from now on.
    pub fn install(self) {
        CURRENT.set(self);
    }

    /// Bytes of the next piece to the engine, after `before` bytes, of `left` that are under way.
    pub fn piece(self, before: usize, left: usize) -> usize {
        match self {
            Wire::CutIn(at) if before < at => left.min(at - before),
            Wire::Pieces(size) => left.min(size),
            Wire::Bytewise => left.min(1),
            Wire::Random(seed) => left.min(dice(seed, before)),
            _ => left,
        }
    }

    /// Bytes that a write may leave on the way after `before`, of which `held` are not yet taken.
    pub fn room(self, before: usize, held: usize) -> usize {
        match self {
            Wire::CutOut(at) if before < at => at - before,
            Wire::CutOut(at) if before == at && held > 0 => 0,
            Wire::Window(size) => size.saturating_sub(held),
            Wire::Bytewise => 1usize.saturating_sub(held),
            Wire::Random(seed) => dice(!seed, before - held).saturating_sub(held),
            _ => usize::MAX,
        }
    }

    /// Whether the end of a connection arrives with its last bytes.
    pub fn joins_the_end(self) -> bool {
        matches!(self, Wire::Whole | Wire::CutOut(_) | Wire::Window(_))
    }
}

/// Notes the lengths of a connection's streams, for [`on_every_wire`].
pub fn note(bytes_in: usize, bytes_out: usize) {
    LONGEST.with_borrow_mut(|longest| {
        longest.0 = longest.0.max(bytes_in);
        longest.1 = longest.1.max(bytes_out);
    });
}

/// Runs a scenario on every wire: whole, cut at every byte of every stream, in pieces, narrowly.
pub fn on_every_wire(scenario: impl Fn()) {
    run(&scenario, usize::MAX);
}

/// The same with at most a few dozen cuts in each direction, for scenarios with large bodies.
pub fn on_some_wires(scenario: impl Fn()) {
    run(&scenario, 40);
}

fn run(scenario: &impl Fn(), cuts: usize) {
    LONGEST.set((0, 0));
    on(Wire::Whole, scenario);
    let (bytes_in, bytes_out) = LONGEST.take();
    let narrow: &[usize] = if cuts == usize::MAX { &[1, 2, 3, 7, 16, 64] } else { &[1000, 4099] };
    for &size in narrow {
        on(Wire::Pieces(size), scenario);
        on(Wire::Window(size), scenario);
    }
    if cuts == usize::MAX {
        on(Wire::Bytewise, scenario);
        (0..SEEDS).for_each(|seed| on(Wire::Random(seed), scenario));
    }
    for at in places(bytes_in, cuts) {
        on(Wire::CutIn(at), scenario);
    }
    for at in places(bytes_out, cuts) {
        on(Wire::CutOut(at), scenario);
    }
}

/// Random wires that a scenario is run on.
const SEEDS: u64 = 20;

/// 1 to 40, the same for the same arguments (splitmix64's finaliser, Steele et al. 2014).
fn dice(seed: u64, at: usize) -> usize {
    let mut mixed = seed.wrapping_add(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    1 + ((mixed ^ (mixed >> 31)) % 40) as usize
}

fn places(length: usize, cuts: usize) -> impl Iterator<Item = usize> {
    (1..length).step_by((length / cuts).max(1))
}

fn on(wire: Wire, scenario: &impl Fn()) {
    /// Names the wire if the scenario fails on it.
    struct Named(Wire);
    impl Drop for Named {
        fn drop(&mut self) {
            CURRENT.set(Wire::Whole);
            if std::thread::panicking() {
                eprintln!("failed on the wire {:?}", self.0);
            }
        }
    }
    CURRENT.set(wire);
    let _named = Named(wire);
    scenario();
}
