//! `nginx/round_robin`: smooth weighted round robin, pick for pick as nginx.
//!
//! Rules kept here:
//! - The rule is `smooth`'s; all open places stand in one heat of a `contest`, which makes the
//!   same picks without a scan.
//! - A place that was tried, or is full, sits out: it is neither owed nor counted.

use super::contest::{Contest, NONE};
use super::gate::Gate;
use crate::schedule::{Ask, Crew, Position, Schedule};

/// Smooth weighted round robin.
pub(crate) struct RoundRobin {
    contest: Contest,
    gate: Gate,
}

/// The one heat.
const HEAT: u32 = 0;

impl RoundRobin {
    pub(crate) fn new(crew: &Crew<'_>) -> RoundRobin {
        let mut contest = Contest::new(&crew.weights());
        contest.clear_heat(HEAT);
        RoundRobin { contest, gate: Gate::new(crew) }
    }

    /// Picks among the open places that were not tried.
    pub(super) fn pick_besides(&mut self, tried: &[u32]) -> Option<usize> {
        if tried.is_empty() {
            return self.step();
        }
        let is_in = |place: &usize| self.contest.is_in(*place);
        let out: Vec<usize> = tried.iter().map(|place| *place as usize).filter(is_in).collect();
        out.iter().for_each(|place| self.seat(*place, false));
        let picked = self.step();
        out.iter().for_each(|place| self.seat(*place, true));
        picked
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What failures took comes back by one, as it does with each step.
    pub(super) fn give_back(&mut self, place: usize) {
        self.contest.give_back(place);
    }

    fn step(&mut self) -> Option<usize> {
        let winner = self.contest.step()?;
        self.contest.settle(winner);
        Some(winner)
    }

    fn seat(&mut self, place: usize, is_in: bool) {
        if self.contest.is_in(place) != is_in {
            self.contest.place(place, if is_in { HEAT } else { NONE }, 0);
        }
    }
}

impl Schedule for RoundRobin {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.pick_besides(ask.tried)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.gate.set_active(place, active);
        self.seat(place, self.gate.is_open(place));
    }

    fn counts_leases(&self) -> bool {
        self.gate.has_limits()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.gate.set_leases(place, leases);
        self.seat(place, self.gate.is_open(place));
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.contest.fail(place, allowed);
    }

    fn position(&self, place: usize) -> Position {
        self.contest.position(place)
    }

    fn resume(&mut self, place: usize, position: Position) {
        self.contest.resume(place, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::Troop;
    use crate::schedulers::nginx::smooth::Smooth;
    use proptest::prelude::*;

    fn all_active(weights: &[u32]) -> RoundRobin {
        let mut robin = RoundRobin::new(&Troop::new(weights).crew());
        (0..weights.len()).for_each(|place| robin.set_active(place, true));
        robin
    }

    fn letters(robin: &mut RoundRobin, picks: usize) -> String {
        let letter = |place| (b'a' + place as u8) as char;
        (0..picks).map(|_| letter(robin.pick_besides(&[]).unwrap())).collect()
    }

    #[test]
    fn five_one_one_goes_as_nginx_documents_it() {
        assert_eq!(letters(&mut all_active(&[5, 1, 1]), 14), "aabacaaaabacaa");
    }

    #[test]
    fn nobody_active_is_no_pick_and_no_step() {
        let mut robin = RoundRobin::new(&Troop::new(&[1, 2]).crew());
        assert_eq!(robin.pick_besides(&[]), None);
        assert_eq!(RoundRobin::new(&Troop::new(&[]).crew()).pick_besides(&[]), None);
        robin.set_active(1, true);
        assert_eq!(robin.pick_besides(&[1]), None);
        assert_eq!(robin.pick_besides(&[0]), Some(1));
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pick(Vec<u32>),
        Active(usize, bool),
        Fail(usize, u32),
    }

    fn event(places: usize) -> impl Strategy<Value = Event> {
        let tried = prop::collection::btree_set(0..places as u32, 0..4);
        let many = prop::collection::btree_set(0..places as u32, 0..places);
        prop_oneof![
            20 => Just(Event::Pick(Vec::new())),
            4 => tried.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
            1 => many.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
            2 => (0..places, any::<bool>()).prop_map(|(place, on)| Event::Active(place, on)),
            1 => (0..places, 1u32..4).prop_map(|(place, allowed)| Event::Fail(place, allowed)),
        ]
    }

    fn story() -> impl Strategy<Value = (Vec<u32>, Vec<Event>)> {
        let weight = prop_oneof![Just(1u32), 1u32..20, 1u32..65_536];
        prop::collection::vec(weight, 4..40).prop_flat_map(|weights| {
            let events = prop::collection::vec(event(weights.len()), 1..300);
            (Just(weights), events)
        })
    }

    proptest! {
        #[test]
        fn the_tournament_equals_the_scan_pick_for_pick((weights, events) in story()) {
            let mut robin = RoundRobin::new(&Troop::new(&weights).crew());
            let (mut scan, mut active) = (Smooth::new(&weights), vec![false; weights.len()]);
            for (place, active) in active.iter_mut().enumerate() {
                robin.set_active(place, true);
                *active = true;
            }
            for event in events {
                match event {
                    Event::Pick(tried) => {
                        let free = |p: &usize| active[*p] && !tried.contains(&(*p as u32));
                        let wanted = scan.pick((0..weights.len()).filter(free));
                        prop_assert_eq!(robin.pick_besides(&tried), wanted);
                    }
                    Event::Active(place, on) => {
                        robin.set_active(place, on);
                        active[place] = on;
                    }
                    Event::Fail(place, allowed) => {
                        robin.on_failure(place, allowed);
                        scan.on_failure(place, allowed);
                    }
                }
            }
            for place in 0..weights.len() {
                prop_assert_eq!(robin.position(place), scan.position(place));
            }
        }

        #[test]
        fn over_a_cycle_each_place_gets_exactly_its_weight(
            weights in prop::collection::vec(1u32..50, 1..30),
        ) {
            let mut robin = all_active(&weights);
            let mut picks = vec![0; weights.len()];
            for _ in 0..weights.iter().sum::<u32>() {
                picks[robin.pick_besides(&[]).unwrap()] += 1;
            }
            prop_assert_eq!(picks, weights);
        }
    }

    #[test]
    fn a_full_place_sits_out_until_a_lease_ends() {
        let mut troop = Troop::new(&[1, 1]);
        troop.servers[0].limits.most = 1;
        let mut robin = RoundRobin::new(&troop.crew());
        (0..2).for_each(|place| robin.set_active(place, true));
        robin.set_in_flight(0, 1);
        assert_eq!(letters(&mut robin, 2), "bb");
        assert_eq!(robin.pick_besides(&[1]), None);
        robin.set_in_flight(0, 0);
        assert!(letters(&mut robin, 2).contains('a'));
    }
}
