//! `nginx/least_conn`: fewest leases by weight, ties by smooth weighted round robin.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_least_conn_peer`):
//! - `leases / weight` is compared exactly. Places that are equal in it stand in one heat of a
//!   `contest`, so nothing is scanned.
//! - Where several are least, smooth weighted round robin makes a step among them alone; where
//!   one is, nobody is owed or pays, and what failures took is not given back.
//! - A place that was tried sits out: two that are least without it count as several.

use std::collections::BTreeMap;

use super::contest::{Contest, NONE};
use crate::schedule::{Position, Schedule};

/// Fewest leases by weight.
pub(crate) struct NginxLeastConn {
    contest: Contest,
    weight: Vec<u32>,
    leases: Vec<u32>,
    /// The heat each place is in.
    heat: Vec<u32>,
    heats: Heats,
}

/// Heats by the reduced fraction `leases / weight` of their members.
#[derive(Default)]
struct Heats {
    by_ratio: BTreeMap<(u32, u32), u32>,
    ratio: Vec<(u32, u32)>,
    free: Vec<u32>,
}

impl NginxLeastConn {
    pub(crate) fn new(weights: &[u32]) -> NginxLeastConn {
        NginxLeastConn {
            contest: Contest::new(weights),
            weight: weights.to_vec(),
            leases: vec![0; weights.len()],
            heat: vec![NONE; weights.len()],
            heats: Heats::default(),
        }
    }

    /// Moves an active place to the heat of its leases.
    fn enter(&mut self, place: usize) {
        let (leases, weight) = (self.leases[place], self.weight[place]);
        let ratio = reduced(leases, weight);
        let left = self.heat[place];
        if left != NONE && self.heats.ratio[left as usize] == ratio {
            return;
        }
        let heat = self.heats.of(ratio, &mut self.contest);
        self.contest.place(place, heat, leases);
        self.heat[place] = heat;
        self.give_up(left);
    }

    fn leave(&mut self, place: usize) {
        self.contest.place(place, NONE, 0);
        let left = std::mem::replace(&mut self.heat[place], NONE);
        self.give_up(left);
    }

    fn give_up(&mut self, heat: u32) {
        if heat != NONE && self.contest.members(heat) == 0 {
            self.heats.remove(heat);
        }
    }
}

impl Heats {
    fn of(&mut self, ratio: (u32, u32), contest: &mut Contest) -> u32 {
        if let Some(heat) = self.by_ratio.get(&ratio) {
            return *heat;
        }
        let heat = self.free.pop().unwrap_or_else(|| {
            self.ratio.push(ratio);
            self.ratio.len() as u32 - 1
        });
        contest.clear_heat(heat);
        self.ratio[heat as usize] = ratio;
        self.by_ratio.insert(ratio, heat);
        heat
    }

    fn remove(&mut self, heat: u32) {
        self.by_ratio.remove(&self.ratio[heat as usize]);
        self.free.push(heat);
    }
}

impl Schedule for NginxLeastConn {
    fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        let is_in = |place: &usize| self.contest.is_in(*place);
        let out: Vec<usize> = tried.iter().map(|place| *place as usize).filter(is_in).collect();
        out.iter().for_each(|place| self.leave(*place));
        let picked = match self.contest.leader() {
            Some((_, heat)) if self.contest.members(heat) > 1 => self.contest.step(),
            leader => leader.map(|(place, _)| place),
        };
        if let Some(place) = picked {
            // The lease to come, whose number is told next.
            self.leases[place] += 1;
            self.enter(place);
        }
        out.iter().for_each(|place| self.enter(*place));
        picked
    }

    fn set_active(&mut self, place: usize, active: bool) {
        match (self.contest.is_in(place), active) {
            (false, true) => self.enter(place),
            (true, false) => self.leave(place),
            _ => {}
        }
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.leases[place] = leases;
        if self.contest.is_in(place) {
            self.enter(place);
        }
    }

    fn counts_leases(&self) -> bool {
        true
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

/// The fraction in lowest terms; a weight of 0 never takes part and counts as 1.
fn reduced(leases: u32, weight: u32) -> (u32, u32) {
    let weight = weight.max(1);
    if leases == 0 || weight == 1 {
        return (leases, if leases == 0 { 1 } else { weight });
    }
    let (mut divisor, mut rest) = (weight, leases % weight);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (leases / divisor, weight / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::smooth::Smooth;
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
        fn the_contest_equals_the_scan_pick_for_pick((weights, events) in story()) {
            let (mut least, mut scan) = (NginxLeastConn::new(&weights), Scan::new(&weights));
            (0..weights.len()).for_each(|place| least.set_active(place, true));
            for event in events {
                match event {
                    Event::Pick(tried) => {
                        let picked = least.pick(&tried);
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
            prop_assert!(least.heats.by_ratio.len() <= active, "empty heats are given up");
        }
    }
}
