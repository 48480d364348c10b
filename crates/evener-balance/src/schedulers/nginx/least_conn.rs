//! `nginx/least_conn`: fewest leases by weight, ties by smooth weighted round robin.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_least_conn_peer`):
//! - The rule is that of `ranks`, with the leases as load.

use super::gate::Gate;
use super::ranks::Ranks;
use crate::schedule::{Ask, Crew, Position, Schedule};

/// Fewest leases by weight.
pub(crate) struct LeastConn {
    ranks: Ranks,
    gate: Gate,
}

impl LeastConn {
    pub(crate) fn new(crew: &Crew<'_>) -> LeastConn {
        LeastConn { ranks: Ranks::new(&crew.weights()), gate: Gate::new(crew) }
    }

    fn seat(&mut self, place: usize) {
        self.ranks.seat(place, self.gate.is_open(place), self.gate.leases(place));
    }
}

impl Schedule for LeastConn {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.ranks.pick(ask.tried)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.gate.set_active(place, active);
        self.seat(place);
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.gate.set_leases(place, leases);
        self.seat(place);
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.ranks.fail(place, allowed);
    }

    fn position(&self, place: usize) -> Position {
        self.ranks.position(place)
    }

    fn resume(&mut self, place: usize, position: Position) {
        self.ranks.resume(place, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::Troop;
    use crate::schedulers::nginx::smooth::Smooth;
    use proptest::prelude::*;

    /// The rule as nginx writes it: two passes over all places.
    struct Scan {
        smooth: Smooth,
        weight: Vec<u64>,
        leases: Vec<u64>,
        active: Vec<bool>,
    }

    impl Scan {
        fn new(weights: &[u32]) -> Scan {
            Scan {
                smooth: Smooth::new(weights),
                weight: weights.iter().copied().map(u64::from).collect(),
                leases: vec![0; weights.len()],
                active: vec![true; weights.len()],
            }
        }

        fn pick(&mut self, tried: &[u32]) -> Option<usize> {
            let (weight, leases, active) = (&self.weight, &self.leases, &self.active);
            let takes_part = |place: &usize| active[*place] && !tried.contains(&(*place as u32));
            let (mut best, mut many) = (None, false);
            for place in (0..active.len()).filter(takes_part) {
                let order = best.map_or(std::cmp::Ordering::Less, |best: usize| {
                    (leases[place] * weight[best]).cmp(&(leases[best] * weight[place]))
                });
                if order.is_lt() {
                    best = Some(place);
                }
                many = order.is_eq() || (many && order.is_gt());
            }
            let best = best?;
            if !many {
                return Some(best);
            }
            let tied = |p: &usize| leases[*p] * weight[best] == leases[best] * weight[*p];
            let least = (best..active.len()).filter(takes_part).filter(tied);
            self.smooth.pick(least)
        }
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pick(Vec<u32>),
        End(usize),
        Active(usize, bool),
        Fail(usize, u32),
    }

    fn event(places: usize) -> impl Strategy<Value = Event> {
        let tried = prop::collection::btree_set(0..places as u32, 0..places);
        prop_oneof![
            20 => Just(Event::Pick(Vec::new())),
            3 => tried.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
            18 => (0..places).prop_map(Event::End),
            2 => (0..places, any::<bool>()).prop_map(|(place, on)| Event::Active(place, on)),
            1 => (0..places, 1u32..4).prop_map(|(place, allowed)| Event::Fail(place, allowed)),
        ]
    }

    fn story() -> impl Strategy<Value = (Vec<u32>, Vec<Event>)> {
        let weight = prop_oneof![Just(1u32), 1u32..6, 1u32..65_536];
        let weights = prop_oneof![
            prop::collection::vec(Just(1u32), 2..20),
            prop::collection::vec(weight, 2..20),
        ];
        weights.prop_flat_map(|weights| {
            let events = prop::collection::vec(event(weights.len()), 1..300);
            (Just(weights), events)
        })
    }

    proptest! {
        #[test]
        fn both_ways_equal_the_scan_pick_for_pick((weights, events) in story(), many in any::<bool>()) {
            let (mut least, mut scan) = (LeastConn::new(&Troop::new(&weights).crew()), Scan::new(&weights));
            if many {
                least.ranks = Ranks::many(&weights);
            }
            (0..weights.len()).for_each(|place| least.set_active(place, true));
            for event in events {
                match event {
                    Event::Pick(tried) => {
                        let picked = least.ranks.pick(&tried);
                        prop_assert_eq!(picked, scan.pick(&tried));
                        if let Some(place) = picked {
                            scan.leases[place] += 1;
                            least.set_in_flight(place, scan.leases[place] as u32);
                        }
                    }
                    Event::End(place) => {
                        scan.leases[place] = scan.leases[place].saturating_sub(1);
                        least.set_in_flight(place, scan.leases[place] as u32);
                    }
                    Event::Active(place, on) => {
                        least.set_active(place, on);
                        scan.active[place] = on;
                    }
                    Event::Fail(place, allowed) => {
                        least.on_failure(place, allowed);
                        scan.smooth.on_failure(place, allowed);
                    }
                }
            }
            for place in 0..weights.len() {
                prop_assert_eq!(least.position(place), scan.smooth.position(place));
            }
            let active = (0..weights.len()).filter(|place| scan.active[*place]).count();
            prop_assert!(least.ranks.heats() <= active, "empty heats are given up");
        }
    }

    #[test]
    fn a_pick_during_which_another_request_ended_is_played_on() {
        for many in [false, true] {
            let mut least = LeastConn::new(&Troop::new(&[1, 1, 1]).crew());
            if many {
                least.ranks = Ranks::many(&[1, 1, 1]);
            }
            (0..3).for_each(|place| least.set_active(place, true));
            (0..3).for_each(|place| least.set_in_flight(place, 1));
            // The number after each pick is the one before it.
            let mut pick = || {
                let place = least.pick(&Ask::default()).unwrap();
                least.set_in_flight(place, 1);
                place
            };
            assert_eq!([pick(), pick(), pick(), pick()], [0, 1, 2, 0]);
        }
    }

    #[test]
    fn beyond_a_few_the_same_pool_is_picked_from_another_way() {
        let at = |places: usize| LeastConn::new(&Troop::new(&vec![1; places]).crew()).ranks;
        assert!(matches!((at(16), at(17)), (Ranks::Few(_), Ranks::Many(_))));
    }
}
