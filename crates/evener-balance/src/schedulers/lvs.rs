//! The kernel's schedulers (Linux 6.1, `net/netfilter/ipvs/ip_vs_*.c`): what they have in common.
//!
//! Rules kept here:
//! - The list is newest first, as the kernel's: the first of equals is the server added last. A
//!   server that health takes out leaves the list and comes back to where it was.
//! - A connection is active while its lease lasts and inactive for `inactive` after that; a
//!   persistence template counts as one more inactive one. `overhead` is active × 256 + all.
//! - A server is overloaded from `limits.most` connections on until they are below
//!   `limits.again`; it takes nothing new. A tried server is as if overloaded, for that pick.
//! - Weight 0 takes nothing new, except for clients a template keeps there.

mod dh;
mod fo;
mod inactive;
mod lblc;
mod lblcr;
mod lc;
mod least;
mod locality;
mod mh;
mod nq;
mod ovf;
mod roll;
mod rr;
mod sed;
mod sh;
mod templates;
#[cfg(test)]
mod tests;
mod twos;
mod wlc;
mod wrr;

use std::any::Any;

use evener_plan::LvsService;

use crate::key::{Key, KeyRule};
use crate::schedule::{Ask, Crew, Schedule};
use roll::Roll;
use templates::Templates;

pub(crate) use dh::Dh;
pub(crate) use fo::Fo;
pub(crate) use lblc::Lblc;
pub(crate) use lblcr::Lblcr;
pub(crate) use lc::Lc;
pub(crate) use least::{Least, Score};
pub(crate) use mh::Mh;
pub(crate) use nq::Nq;
pub(crate) use ovf::Ovf;
pub(crate) use rr::Rr;
pub(crate) use sed::Sed;
pub(crate) use sh::Sh;
pub(crate) use twos::Twos;
pub(crate) use wlc::Wlc;
pub(crate) use wrr::Wrr;

/// What makes one scheduler another.
pub(crate) trait Rule: Send + Sized + 'static {
    /// Picks an available place.
    fn pick(&mut self, roll: &Roll, key: &Key<'_>, now: u64) -> Option<usize>;

    /// Connections or availability of a place changed.
    fn on_load(&mut self, roll: &Roll, place: usize);

    /// A place came to the list or left it.
    fn on_list(&mut self, roll: &Roll, place: usize) {
        self.on_load(roll, place);
    }

    /// Takes over what it knew under the plan before; [`Rule::on_load`] of every place follows.
    fn inherit(&mut self, before: &Self, heirs: &Heirs<'_>) {
        let _ = (before, heirs);
    }

    /// Random numbers come from this seed from now on.
    fn stir(&mut self, seed: u64) {
        let _ = seed;
    }

    /// Whether it asks for addresses.
    const ASKS: bool = false;
}

/// The list before and now.
pub(crate) struct Heirs<'a> {
    before: &'a Roll,
    roll: &'a Roll,
    /// By place now: the place before.
    kept: &'a [Option<u32>],
}

impl Heirs<'_> {
    /// By place before: the place now.
    fn moves(&self) -> Vec<Option<u32>> {
        let mut moves = vec![None; self.before.len()];
        for (place, before) in (0..).zip(self.kept) {
            if let Some(before) = before {
                moves[*before as usize] = Some(place);
            }
        }
        moves
    }
}

/// A scheduler of IPVS.
pub(crate) struct Lvs<R> {
    roll: Roll,
    rule: R,
    templates: Option<Templates>,
    mark: u32,
    now: u64,
}

impl<R: Rule> Lvs<R> {
    pub(crate) fn new(crew: &Crew<'_>, service: &LvsService, rule: R) -> Lvs<R> {
        Lvs {
            roll: Roll::new(crew, service.inactive),
            rule,
            templates: service
                .persistence
                .as_ref()
                .map(|persistence| Templates::new(persistence, service.inactive)),
            mark: 0,
            now: 0,
        }
    }

    /// Forgets some of the templates that are over.
    fn forget_templates(&mut self, now: u64) {
        let templates = self.templates.as_mut();
        for place in templates.map(|templates| templates.expire(now)).unwrap_or_default() {
            self.roll.add_template(place, -1);
            self.rule.on_load(&self.roll, place);
        }
    }

    /// Whom the rule picks; templates that are over make nobody full.
    fn pick_by_rule(&mut self, ask: &Ask<'_>) -> Option<usize> {
        loop {
            let picked = self.rule.pick(&self.roll, &ask.key, ask.now);
            let is_late = |templates: &Templates| templates.is_late(ask.now);
            if picked.is_some() || !self.templates.as_ref().is_some_and(is_late) {
                return picked;
            }
            self.forget_templates(ask.now);
        }
    }

    fn choose(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.mark = 0;
        self.forget_templates(ask.now);
        let (Some(templates), Some(client)) = (&mut self.templates, ask.key.client) else {
            return self.pick_by_rule(ask);
        };
        let client = templates.client(client.ip());
        let mut known = templates.of(client);
        // Many may be over at once, and some at a time are forgotten: this one must not be late.
        if let Some(place) = known.and_then(|slot| templates.lapse(slot, ask.now)) {
            self.roll.add_template(place, -1);
            self.rule.on_load(&self.roll, place);
            known = None;
        }
        let keeps = |(place, quiescent): &(usize, bool)| {
            self.roll.is_listed(*place)
                && !ask.tried.contains(&(*place as u32))
                && (*quiescent || self.roll.weight(*place) > 0)
        };
        let kept = known.map(|slot| templates.kept(slot)).filter(keeps).map(|(place, _)| place);
        let place = match kept {
            Some(place) => place,
            None => self.pick_by_rule(ask)?,
        };
        let (mark, lost) = self.templates.as_mut()?.take(client, known, place, ask.now);
        self.mark = mark;
        if kept.is_none() {
            self.roll.add_template(place, 1);
            self.rule.on_load(&self.roll, place);
        }
        if let Some(lost) = lost {
            self.roll.add_template(lost, -1);
            self.rule.on_load(&self.roll, lost);
        }
        Some(place)
    }
}

impl<R: Rule> Schedule for Lvs<R> {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.now = self.now.max(ask.now);
        while let Some(place) = self.roll.expire(ask.now) {
            self.rule.on_load(&self.roll, place);
        }
        for &place in ask.tried {
            self.roll.set_tried(place as usize, true);
            self.rule.on_load(&self.roll, place as usize);
        }
        let picked = self.choose(ask);
        for &place in ask.tried {
            self.roll.set_tried(place as usize, false);
            self.rule.on_load(&self.roll, place as usize);
        }
        picked
    }

    fn set_alive(&mut self, place: usize, alive: bool) {
        if self.roll.is_listed(place) != alive {
            self.roll.set_listed(place, alive);
            self.rule.on_list(&self.roll, place);
        }
    }

    fn set_active(&mut self, _place: usize, _active: bool) {}

    fn key_rule(&self) -> KeyRule {
        match R::ASKS || self.templates.is_some() {
            true => KeyRule::Addresses,
            false => KeyRule::Nothing,
        }
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.roll.set_active(place, leases);
        self.rule.on_load(&self.roll, place);
    }

    fn ended(&mut self, place: usize, mark: u32, _begun: u64) {
        self.roll.ended(place, self.now);
        if let Some(templates) = &mut self.templates {
            templates.ended(mark, self.now);
        }
    }

    fn take_back(&mut self, _place: usize, mark: u32, now: u64) {
        if let Some(templates) = &mut self.templates {
            templates.ended(mark, now);
        }
    }

    fn stir(&mut self, seed: u64) {
        self.rule.stir(seed);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        let Some(before) = before.downcast_ref::<Lvs<R>>() else {
            return;
        };
        self.now = before.now;
        self.roll.inherit(&before.roll, kept, before.now);
        let heirs = Heirs { before: &before.roll, roll: &self.roll, kept };
        self.rule.inherit(&before.rule, &heirs);
        if let (Some(templates), Some(before)) = (&mut self.templates, &before.templates) {
            for (place, count) in templates.inherit(before, &heirs.moves()) {
                self.roll.add_template(place, count);
            }
        }
        (0..self.roll.len()).for_each(|place| self.rule.on_load(&self.roll, place));
    }
}
