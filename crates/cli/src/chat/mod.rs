//! `serve chat`: rooms in which people talk, over whatever carries lines.

mod args;
mod lines;
mod names;
mod pace;
mod page;
mod said;

pub(crate) use args::Rooms;

use crate::args::{Limit, Model, Serve};
use crate::{printable, serve};
use lines::Lines;
use names::{Name, Names};
use pace::{Pace, Verdict};
use said::{HELP, Said};
use socketserver::{Channel, Failure, Hub, Membership, MessageHandler, Rate, Result};
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// In characters; a longer one is not passed on.
const LONGEST: usize = 1000;
/// A line, in bytes. One that is longer ends the conversation: nobody types that.
const LONGEST_LINE: usize = 16 * 1024;
/// So many of those who are in a room are named to a member that asks, at most.
const NAMED: usize = 200;
/// Where everybody comes in.
const LOBBY: &str = "lobby";
/// How fast a member may speak unless told otherwise, in lines a second.
const RATE: &str = "2/s";
/// How long a member that sends packets may be silent unless told otherwise: nothing else tells that it has left.
const SILENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(mut args: Serve) -> Result<ExitCode, Failure> {
    if matches!(args.model, Model::Serial | Model::Forks(_)) {
        Err(
            "`chat` runs on `--model tasks` and `threads`: under `forks` the members would share no rooms, and under \
             `serial` there would be one at a time",
        )?;
    }
    let rooms = std::mem::take(&mut args.rooms);
    let silence = args.idle.map_or(Some(SILENCE), |idle| idle.0);
    // Who listens says nothing for hours.
    args.idle.get_or_insert(Limit(None));
    let rate = rooms.member_rate.map_or_else(|| RATE.parse().ok(), |rate| rate.0);
    let (log, model, spin) = (args.log, args.model, args.spin.0);
    let chat = Chat::new(rate).framed(Lines::new(LONGEST_LINE)).max_message(LONGEST_LINE);
    let chat = chat.web_socket(page::web_socket(&args.addresses, &rooms.host)?);
    let chat = chat.sessions(|sessions| sessions.idle(silence));
    let mut server = serve::set_up(args, log)?;
    log.all_listening(&server);
    Ok(serve::conclude(log, serve::serve_on(&mut server, model, spin, chat)))
}

/// What all members have in common.
struct Chat {
    hub: Hub,
    names: Mutex<Names>,
    rate: Option<Rate>,
    begun: Instant,
}

/// One who is here.
struct Member {
    name: Name,
    seat: Membership,
    pace: Pace,
}

impl Chat {
    /// `rate`: how fast a member may speak.
    fn new(rate: Option<Rate>) -> Self {
        Self { hub: Hub::new(), names: Mutex::default(), rate, begun: Instant::now() }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A panic of one member's must not silence the others.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rename(&self, member: &mut Member, to: &str, c: &mut Channel) -> Result {
        // Held until it is told: nobody hears of another with that name before.
        let mut names = self.names();
        let taken =
            Name::new(to).and_then(|name| names.change(&member.name, &name, member.seat.number()).map(|()| name));
        match taken {
            Ok(name) => {
                member.seat.publish(format!("-- {} is now {name}", member.name).into_bytes());
                c.set_label(&name.to_string());
                member.name = name;
                Ok(())
            }
            Err(why) => tell(c, &why),
        }
    }

    fn go(&self, member: &mut Member, to: &str, c: &mut Channel) -> Result {
        let room = match Name::new(to) {
            Ok(room) => room.to_string(),
            Err(why) => return tell(c, &why.replacen("name", "room's name", 1)),
        };
        if room == member.seat.room() {
            return tell(c, &format!("you are in {room} already"));
        }
        match self.hub.join(&room, c) {
            Ok(seat) => {
                member.seat.publish_to_others(format!("-- {} has gone to {room}", member.name).into_bytes());
                member.seat = seat;
                self.arrive(member, c)
            }
            Err(error) => tell(c, &format!("you cannot go there: {error}")),
        }
    }

    /// The member sees who is here, and those see it.
    fn arrive(&self, member: &Member, c: &mut Channel) -> Result {
        member.seat.publish_to_others(format!("-- {} has come in", member.name).into_bytes());
        self.tell_who(member, c)
    }

    fn tell_who(&self, member: &Member, c: &mut Channel) -> Result {
        // In a crowd this takes a while, in which nobody is to wait for a name.
        let members = self.hub.members(member.seat.room());
        let names = self.names();
        // Of a crowd those who came first.
        let mut here: Vec<_> = members.iter().take(NAMED).filter_map(|member| names.of(member.number)).collect();
        here.sort_unstable();
        let all = here.len() + members.len().saturating_sub(NAMED);
        let mut line = format!("in {}:", member.seat.room());
        let mut named = 0;
        // A line each would be a flood, and one line has an end.
        for name in &here {
            if line.len() > LONGEST {
                break;
            }
            let _ = write!(line, " {name}");
            named += 1;
        }
        if named < all {
            let _ = write!(line, " … {all} in all");
        }
        tell(c, &line)
    }

    fn tell_rooms(&self, c: &mut Channel) -> Result {
        let mut rooms = self.hub.rooms();
        rooms.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut line = "rooms:".to_owned();
        for (room, members) in rooms.iter().take(50) {
            let _ = write!(line, " {room} ({members})");
        }
        if rooms.len() > 50 {
            let _ = write!(line, " … {} in all", rooms.len());
        }
        tell(c, &line)
    }
}

/// What the server says to one alone: after what the room has heard by then.
fn tell(c: &mut Channel, words: &str) -> Result {
    // One that takes nothing any more is being cut.
    let _ = c.outbox().push(format!("-- {words}").into_bytes());
    Ok(())
}

impl MessageHandler for Chat {
    type State = Member;

    fn open(&self, c: &mut Channel) -> Result<Member> {
        let seat = self.hub.join(LOBBY, c)?;
        let name = self.names().guest(seat.number());
        c.set_label(&name.to_string());
        tell(c, &format!("welcome. You are {name}; /name NAME changes that, and /help tells what else can be said"))?;
        let member = Member { name, seat, pace: Pace::new(self.rate) };
        self.arrive(&member, c)?;
        Ok(member)
    }

    fn message(&self, member: &mut Member, line: &[u8], c: &mut Channel) -> Result {
        if line.len() > LONGEST_LINE {
            c.end();
            return tell(
                c,
                &format!("a line of more than {LONGEST_LINE} bytes is nothing that anybody types; goodbye"),
            );
        }
        match member.pace.judge(self.begun.elapsed()) {
            Verdict::Said => {}
            Verdict::TooFast => return tell(c, "not so fast: what you say now is not passed on"),
            Verdict::Dropped => return Ok(()),
            Verdict::Enough => {
                c.end();
                return tell(c, "that was too fast for too long; goodbye");
            }
        }
        let line = String::from_utf8_lossy(line);
        let length = line.chars().count();
        if length > LONGEST {
            return tell(c, &format!("{length} characters are too many: at most {LONGEST} are passed on"));
        }
        match Said::parse(&line) {
            Said::Nothing => {}
            Said::Text(text) => {
                member.seat.publish(format!("<{}> {}", member.name, printable::text(text)).into_bytes());
            }
            Said::Me(text) => {
                member.seat.publish(format!("* {} {}", member.name, printable::text(text)).into_bytes());
            }
            Said::Name(name) => self.rename(member, name, c)?,
            Said::Join(room) => self.go(member, room, c)?,
            Said::Who => self.tell_who(member, c)?,
            Said::Rooms => self.tell_rooms(c)?,
            Said::Help => HELP.iter().try_for_each(|line| tell(c, line))?,
            Said::Quit => {
                c.end();
                tell(c, "goodbye")?;
            }
            Said::Wrong(why) => tell(c, &printable::text(&why))?,
        }
        Ok(())
    }

    fn hub(&self) -> Option<&Hub> {
        Some(&self.hub)
    }

    fn close(&self, member: Member, c: &mut Channel) {
        if c.is_draining() {
            // Whether it still reaches anybody is not for us to know.
            let _ = c.send(b"-- the server is going away; goodbye");
        }
        // Whoever hears it can have the name, and nobody hears of another with that name before.
        let mut names = self.names();
        names.give_back(&member.name, member.seat.number());
        member.seat.publish_to_others(format!("-- {} has left", member.name).into_bytes());
    }
}
