//! What a route changes of fields: edits compiled with the plan, and expanded for a request in hand.
//!
//! Rules kept here:
//! - A route without edits costs a look into an empty list.
//! - Values are expanded before a byte of their head is written: one that is unsafe is a 500, and
//!   nothing goes on.
//! - The edits of answers are for whoever answers once the route is chosen, errors included.
//!
//! Not known here: which names may be edited and how they are cut (proto's `edit`).

use evener_plan::{HeaderEdits, Route};
use evener_proto::Malformed;
use evener_proto::h1::edit::Edits;

use super::exchange::Exchange;
use super::fault::Fault;
use super::template::Template;
use super::words::ExchangeWords;

/// Edits in one direction.
pub type FieldEdits = Edits<Template>;

/// The edits of one route.
#[derive(Default)]
pub struct RouteEdits {
    /// Of requests.
    pub request: Option<FieldEdits>,
    /// Of answers.
    pub answer: Option<FieldEdits>,
}

/// The edits of a listener's routes, by index. Empty where no route has any.
#[derive(Default)]
pub struct AllEdits(Box<[RouteEdits]>);

impl AllEdits {
    /// Compiles the edits of routes.
    ///
    /// # Errors
    /// A sentence naming route and field.
    pub fn compile(routes: &[Route]) -> Result<AllEdits, String> {
        if routes.iter().all(|r| r.request_headers.is_none() && r.response_headers.is_none()) {
            return Ok(AllEdits::default());
        }
        let all = routes.iter().map(|route| {
            let compile = |edits: &Option<HeaderEdits>| edits.as_ref().map(compile).transpose();
            let both = || {
                let request = compile(&route.request_headers)?;
                Ok(RouteEdits { request, answer: compile(&route.response_headers)? })
            };
            both().map_err(|why: String| format!("route {}: {why}", route.name))
        });
        Ok(AllEdits(all.collect::<Result<_, _>>()?))
    }

    /// Those of requests that this route took.
    #[inline]
    pub fn of_requests(&self, route: Option<usize>) -> Option<&FieldEdits> {
        self.0.get(route?)?.request.as_ref()
    }

    /// Those of answers to requests that this route took.
    #[inline]
    pub fn of_answers(&self, route: Option<usize>) -> Option<&FieldEdits> {
        self.0.get(route?)?.answer.as_ref()
    }
}

fn compile(edits: &HeaderEdits) -> Result<FieldEdits, String> {
    let mut made = FieldEdits::new();
    let told = |name: &str, what: Malformed| format!("field {name:?}: {what}");
    for line in &edits.set {
        let value = Template::parse(&line.value)?;
        made.set(line.name.as_bytes(), value).map_err(|what| told(&line.name, what))?;
    }
    for line in &edits.add {
        let value = Template::parse(&line.value)?;
        made.add(line.name.as_bytes(), value).map_err(|what| told(&line.name, what))?;
    }
    for name in &edits.remove {
        made.remove(name.as_bytes()).map_err(|what| told(name, what))?;
    }
    Ok(made)
}

impl Exchange<'_> {
    /// Expands what the route adds to requests into `work.desk.edited`. Server and pool must be known.
    ///
    /// # Errors
    /// [`Fault::Unsafe`].
    #[inline]
    pub(super) fn expand_request_edits(&mut self) -> Result<(), Fault> {
        match self.view.running().edits.of_requests(self.asked.route).is_some() {
            true => self.expand(AllEdits::of_requests),
            false => Ok(()),
        }
    }

    /// The same for answers.
    ///
    /// # Errors
    /// [`Fault::Unsafe`].
    #[inline]
    pub(super) fn expand_answer_edits(&mut self) -> Result<(), Fault> {
        match self.view.running().edits.of_answers(self.asked.route).is_some() {
            true => self.expand(AllEdits::of_answers),
            false => Ok(()),
        }
    }

    #[cold]
    fn expand(
        &mut self,
        which: fn(&AllEdits, Option<usize>) -> Option<&FieldEdits>,
    ) -> Result<(), Fault> {
        let mut out = std::mem::take(&mut self.work.desk.edited);
        out.clear();
        let edits = which(&self.view.running().edits, self.asked.route);
        let words = ExchangeWords(self);
        let written =
            edits.map(|edits| edits.write(&mut out, |template, out| template.expand(&words, out)));
        self.work.desk.edited = out;
        written.unwrap_or(Ok(())).map_err(|_| Fault::Unsafe)
    }
}
