//! A policy of a simulation: it sits at its desk and answers when the test says so.

use std::cell::RefCell;

use super::Sim;
use crate::policies::{Desk, Ending, Host, Letter, Mind, Question, Seat, Standing, Wants};

thread_local! {
    static DESKS: RefCell<Vec<Desk>> = const { RefCell::new(Vec::new()) };
}

/// Puts desks aside for the test.
pub struct Scripted;

/// What a policy does with a question.
type Rule = Box<dyn FnMut(&Question, &[Standing]) -> Result<Option<usize>, String>>;

/// A policy that a test has written.
pub struct Policy {
    desk: Desk,
    /// Letters taken out of the box, and not answered yet.
    held: Vec<Letter>,
    script: Script,
}

struct Script {
    wants: Wants,
    rule: Rule,
    heard: Vec<Ending>,
    seats: Vec<Seat>,
}

impl Host for Scripted {
    fn begin(&self, desk: Desk) -> Result<(), String> {
        DESKS.with_borrow_mut(|desks| desks.push(desk));
        Ok(())
    }
}

impl Mind for Script {
    fn wants(&self) -> Wants {
        self.wants.clone()
    }

    fn seat(&mut self, servers: &[Seat]) -> Result<(), String> {
        self.seats = servers.to_vec();
        Ok(())
    }

    fn pick(&mut self, asked: &Question, servers: &[Standing]) -> Result<Option<usize>, String> {
        (self.rule)(asked, servers)
    }

    fn ended(&mut self, ending: &Ending) -> Result<(), String> {
        self.heard.push(*ending);
        Ok(())
    }
}

impl Policy {
    /// The policy begun last, which does this from now on.
    pub fn begun(
        rule: impl FnMut(&Question, &[Standing]) -> Result<Option<usize>, String> + 'static,
    ) -> Policy {
        let desk = DESKS.with_borrow_mut(Vec::pop).expect("a policy was begun");
        let wants = Wants { headers: vec!["x-user".to_owned()], endings: true };
        let (rule, heard, seats) = (Box::new(rule), Vec::new(), Vec::new());
        let script = Script { wants, rule, heard, seats };
        desk.ready(&script);
        Policy { desk, held: Vec::new(), script }
    }

    /// Answers all letters in its box, and has the simulation go on.
    pub fn answers(&mut self, sim: &Sim) {
        self.answers_before(sim, |_| {});
    }

    /// The same; what is given happens before the shard hears of it.
    pub fn answers_before(&mut self, sim: &Sim, what: impl FnOnce(&Sim)) {
        self.reads();
        for letter in std::mem::take(&mut self.held) {
            self.desk.answer(letter, &mut self.script);
        }
        what(sim);
        sim.settle();
    }

    /// Takes letters out of its box without answering them.
    pub fn reads(&mut self) {
        while let Some(letter) = self.desk.read_if_there() {
            self.held.push(letter);
        }
    }

    /// Servers as it knows them.
    pub fn seats(&self) -> Vec<(String, u32)> {
        self.script.seats.iter().map(|seat| (seat.id.clone(), seat.weight)).collect()
    }

    /// How tries ended, as it has heard.
    pub fn heard(&self) -> &[Ending] {
        &self.script.heard
    }
}

/// Whether a policy was begun that nobody has taken.
pub fn was_begun() -> bool {
    DESKS.with_borrow(|desks| !desks.is_empty())
}

/// Forgets policies of a simulation before.
pub fn forget() {
    DESKS.take();
}
