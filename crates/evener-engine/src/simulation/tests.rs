//! Simulated tests of the exchange, by subject.
#![cfg(test)]

mod plain;
