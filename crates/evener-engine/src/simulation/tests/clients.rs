//! Limits per client: who asks too fast or for too much at once is told so, and nobody else.

use evener_plan::Rate;

use super::{GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

/// Requests of two clients behind a proxy.
const OF_ONE: &str = "GET /1 HTTP/1.1\r\nHost: h.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
const OF_TWO: &str = "GET /2 HTTP/1.1\r\nHost: h.test\r\nX-Forwarded-For: 198.51.100.2\r\n\r\n";

fn trusting(change: impl FnOnce(&mut evener_plan::Listener)) -> Sim {
    Sim::with(&["a"], |plan| {
        let web = &mut plan.listeners[0];
        web.trusted_proxies.push("192.0.2.0/24".to_owned());
        change(web);
    })
}

#[test]
fn who_asks_too_fast_is_429_with_the_time_to_wait_and_closed() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            plan.listeners[0].rate_per_client = Some(Rate { count: 2, per: 60_000 });
        });
        sim.server("a").answers(OK);
        let client = sim.client();
        for _ in 0..2 {
            client.sends(GET);
            client.receives(OK);
        }
        client.sends(GET);
        let refusal = client.receives_status(429);
        assert!(refusal.contains("\r\nRetry-After: 30\r\n"), "{refusal}");
        assert!(refusal.contains("\r\nConnection: close\r\n"), "{refusal}");
        client.sees_the_end();
        sim.saw(&[("a", answered(200)), ("a", answered(200))]);
        sim.run_for(30_000);
        let again = sim.client();
        again.sends(GET);
        again.receives(OK);
    });
}

#[test]
fn behind_a_trusted_proxy_each_client_has_a_rate_and_the_proxys_connection_stays() {
    on_every_wire(|| {
        let sim = trusting(|web| web.rate_per_client = Some(Rate { count: 1, per: 1000 }));
        sim.server("a").answers(OK);
        let proxy = sim.client();
        proxy.sends(OF_ONE);
        proxy.receives(OK);
        proxy.sends(OF_ONE);
        assert!(proxy.receives_status(429).contains("\r\nRetry-After: 1\r\n"));
        proxy.sends(OF_TWO);
        proxy.receives(OK);
        proxy.stays_connected();
        sim.run_for(1000);
        let proxy = sim.client();
        proxy.sends(OF_ONE);
        proxy.receives(OK);
    });
}

#[test]
fn behind_a_trusted_proxy_requests_in_hand_are_what_a_client_holds() {
    on_every_wire(|| {
        let sim = trusting(|web| web.per_client = Some(1));
        let (first, second) = (sim.client(), sim.client());
        first.sends(OF_ONE);
        second.sends(OF_ONE);
        second.receives_status(429);
        sim.server("a").answers(OK);
        second.sends(OF_TWO);
        second.receives(OK);
        sim.server("a").connection(0).sends(OK);
        first.receives(OK);
        second.sends(OF_ONE);
        second.receives(OK);
    });
}

#[test]
fn a_reload_keeps_what_is_known_of_clients() {
    on_every_wire(|| {
        let rate = Some(Rate { count: 1, per: 1000 });
        let sim = trusting(|web| web.rate_per_client = rate);
        sim.server("a").answers(OK);
        let proxy = sim.client();
        proxy.sends(OF_ONE);
        proxy.receives(OK);
        sim.reload(|plan| plan.listeners[0].timeouts.head = 5000);
        proxy.sends(OF_ONE);
        proxy.receives_status(429);
        sim.reload(|plan| plan.listeners[0].rate_per_client = None);
        proxy.sends(OF_ONE);
        proxy.receives(OK);
    });
}
