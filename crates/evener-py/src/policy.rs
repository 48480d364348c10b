//! Policies in Python: what a policy's thread calls, with the GIL held only then.
//!
//! Rules kept here:
//! - The thread stays known to the interpreter for its whole life, so that a policy's thread-locals
//!   stay, and gives the GIL back whenever it waits for a letter.
//! - What is raised becomes words.

use evener_engine::policies::{
    Desk, Ending, Free, Host, Mind, Question, Seat, Standing, Wants, have_ended,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::time::Duration;

/// The interpreter that this module was imported into.
pub(crate) struct Interpreter;

impl Host for Interpreter {
    fn begin(&self, desk: Desk) -> Result<(), String> {
        desk.on_thread(|desk| Python::attach(|py| live(py, desk)))
    }
}

fn live(py: Python<'_>, desk: &mut Desk) -> Result<(), String> {
    let mut mind = PythonMind::load(py, &desk.spec().policy).map_err(|why| words(py, &why))?;
    desk.ready(&mind);
    while let Some(letter) = py.detach(|| desk.read()) {
        desk.answer(letter, &mut mind);
    }
    Ok(())
}

/// Ends the process here, where a policy hangs: it may hold the GIL, and without that Python cannot
/// end. Says nothing if all policies have ended.
pub(crate) fn leave_behind(failed: Option<&str>) {
    /// How long policies that are not asked any more may take to end.
    const FAREWELL: Duration = Duration::from_millis(200);
    if have_ended(FAREWELL) {
        return;
    }
    if let Some(why) = failed {
        eprintln!("evener worker: {why}");
    }
    std::process::exit(i32::from(failed.is_some()));
}

/// An object of `evener.policies.desk.Desk`.
struct PythonMind {
    desk: Py<PyAny>,
    wants: Wants,
}

impl PythonMind {
    fn load(py: Python<'_>, policy: &str) -> PyResult<PythonMind> {
        let desk = py.import("evener.policies.desk")?.getattr("Desk")?.call1((policy,))?;
        let headers = desk.getattr("headers")?.extract()?;
        let wants = Wants { headers, endings: desk.getattr("hears")?.extract()? };
        Ok(PythonMind { desk: desk.unbind(), wants })
    }
}

impl Mind for PythonMind {
    fn wants(&self) -> Wants {
        self.wants.clone()
    }

    fn seat(&mut self, servers: &[Seat]) -> Result<(), String> {
        let rows = servers.iter().map(|seat| (&seat.id, &seat.address, seat.weight, seat.tier));
        let rows: Vec<_> = rows.collect();
        Python::attach(|py| {
            self.desk.call_method1(py, "seat", (rows,)).map(drop).map_err(|why| words(py, &why))
        })
    }

    fn pick(&mut self, question: &Question, servers: &[Standing]) -> Result<Option<usize>, String> {
        Python::attach(|py| {
            let answer = self.ask(py, question, servers).map_err(|why| words(py, &why))?;
            if answer.is_none() {
                return Ok(None);
            }
            match answer.extract::<usize>() {
                Ok(index) => Ok(Some(index)),
                Err(_) => Err(answer.to_string()),
            }
        })
    }

    fn ended(&mut self, ending: &Ending) -> Result<(), String> {
        let Ending { server, status, failure, seconds } = *ending;
        Python::attach(|py| {
            let said = self.desk.call_method1(py, "ended", (server, status, failure, seconds));
            match said.and_then(|said| said.extract::<Option<String>>(py)) {
                Ok(None) => Ok(()),
                Ok(Some(why)) => Err(why),
                Err(why) => Err(words(py, &why)),
            }
        })
    }
}

impl PythonMind {
    fn ask<'py>(
        &self,
        py: Python<'py>,
        question: &Question,
        servers: &[Standing],
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = question.client.map(|client| client.to_string()).unwrap_or_default();
        let asked = (&question.method, &question.host, &question.path, client);
        let rows = servers.iter().map(|server| {
            (server.state.as_str(), server.in_flight, server.latency).into_pyobject(py)
        });
        let rows: Vec<Bound<'py, PyTuple>> = rows.collect::<PyResult<_>>()?;
        let free = servers.iter().enumerate().filter(|(_, server)| server.free == Free::Yes);
        let free: Vec<usize> = free.map(|(index, _)| index).collect();
        let arguments = (asked, &question.headers, PyList::new(py, rows)?, free);
        self.desk.bind(py).call_method1("pick", arguments)
    }
}

/// An exception in a line.
fn words(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| error.to_string(), |text| text.to_string())
}
