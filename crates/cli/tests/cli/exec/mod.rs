//! `serve exec`: commands of plain clients, and what is left of them: nothing.

mod audit;
mod encodings;
mod endings;
mod limits;
mod places;
mod requests;
mod stage;
mod users;
mod wires;
