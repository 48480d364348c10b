//! Requests and answers as they mostly are.

use evener_balance::Outcome;

use crate::simulation::{Sim, on_every_wire};

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: h.test\r\nAccept: */*\r\n\r\n";
const FORWARDED: &str = "GET /a?b HTTP/1.1\r\nHost: h.test\r\nAccept: */*\r\n\
     X-Forwarded-For: 192.0.2.200\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";

#[test]
fn a_get_goes_to_a_server_and_its_answer_comes_back_as_it_is() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK).stays_connected();
        sim.server("a").received(FORWARDED);
        sim.saw(&[("a", Outcome::Answered { status: 200 })]);
        assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
    });
}
