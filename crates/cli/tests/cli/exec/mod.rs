//! `serve exec`: commands of plain clients and of `call`, and what is left of them: nothing.

mod audit;
mod call;
mod encodings;
mod endings;
mod limits;
mod native;
mod places;
mod proofs;
mod requests;
mod secured;
mod stage;
mod users;
mod wires;
