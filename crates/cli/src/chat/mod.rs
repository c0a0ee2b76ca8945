//! `serve chat`: rooms in which people talk, over whatever carries lines.

mod args;
mod lines;
mod names;
mod pace;
mod page;
mod said;

pub(crate) use args::Rooms;

use crate::args::Serve;
use crate::model::Model;
use crate::values::Limit;
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
/// Of how many who come in the others hear, in a time: of more only when they say something.
const ARRIVALS: &str = "10/s";
/// How long a member that sends packets may be silent unless told otherwise: nothing else tells that it has left.
const SILENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(mut args: Serve) -> Result<ExitCode, Failure> {
    if matches!(args.model, Model::Serial | Model::Forks(_)) {
        Err(
            "`chat` runs on `--model tasks` and `threads`: under `forks` the members would share no rooms, and under \
             `serial` there would be one at a time",
        )?;
    }
    let rooms = args.rooms.clone();
    let silence = args.idle.map_or(Some(SILENCE), |idle| idle.0);
    // Who listens says nothing for hours.
    args.idle.get_or_insert(Limit(None));
    let rate = rooms.member_rate.map_or_else(|| RATE.parse().ok(), |rate| rate.0);
    let (log, model, spin, handshake) = (args.log, args.model, args.spin.0, args.handshake.0);
    let chat = Chat::new(rate).framed(Lines::new(LONGEST_LINE)).max_message(LONGEST_LINE);
    let chat = chat.web_socket(page::web_socket(&args.addresses, &rooms.host)?.handshake(handshake));
    let chat = chat.sessions(|sessions| sessions.idle(silence));
    let mut server = serve::set_up(args, log)?;
    log.all_listening(&server);
    Ok(serve::conclude(log, serve::serve_on(&mut server, model, spin, chat)))
}

/// What all members have in common.
struct Chat {
    hub: Hub,
    names: Mutex<Names>,
    arrivals: Mutex<Pace>,
    rate: Option<Rate>,
    begun: Instant,
}

/// One who is here.
struct Member {
    name: Name,
    seat: Membership,
    pace: Pace,
    /// The others have heard that it is here, and will hear that it has left.
    is_known: bool,
}

impl Chat {
    /// `rate`: how fast a member may speak.
    fn new(rate: Option<Rate>) -> Self {
        let arrivals = Mutex::new(Pace::new(ARRIVALS.parse().ok()));
        Self { hub: Hub::new(), names: Mutex::default(), arrivals, rate, begun: Instant::now() }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    fn rename(&self, member: &mut Member, to: &str, c: &mut Channel) -> Result {
        // Held until it is told: nobody hears of another with that name before.
        let mut names = self.names();
        let taken =
            Name::new(to).and_then(|name| names.change(&member.name, &name, member.seat.number()).map(|()| name));
        match taken {
            Ok(name) => {
                member.say(format!("-- {} is now {name}", member.name));
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
                member.tell_others(&format!("has gone to {room}"));
                member.seat = seat;
                member.is_known = true;
                member.tell_others("has come in");
                self.tell_who(member, c)
            }
            Err(error) => tell(c, &format!("you cannot go there: {error}")),
        }
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

impl Member {
    /// What the others in the room hear of it, if they know of it.
    fn tell_others(&self, news: &str) {
        if self.is_known {
            self.seat.publish_to_others(format!("-- {} {news}", self.name).into_bytes());
        }
    }

    /// All in the room hear it, and know of it from then on.
    fn say(&mut self, line: String) {
        self.is_known = true;
        self.seat.publish(line.into_bytes());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of one member's must not silence the others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let is_known = lock(&self.arrivals).judge(self.begun.elapsed()) == Verdict::Said;
        let member = Member { name, seat, pace: Pace::new(self.rate), is_known };
        member.tell_others("has come in");
        self.tell_who(&member, c)?;
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
            Said::Text(text) => member.say(format!("<{}> {}", member.name, printable::text(text))),
            Said::Me(text) => member.say(format!("* {} {}", member.name, printable::text(text))),
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
        member.tell_others("has left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketserver::{Server, Tasks, blocking::Stream, client};

    fn join(server: &socketserver::Running) -> Result<Stream> {
        let mut new = client::connect(&server.handle().endpoints()[0])?;
        while !hear(&mut new)?.starts_with("-- in lobby:") {}
        Ok(new)
    }

    fn hear(c: &mut Stream) -> Result<String> {
        Ok(c.read_line(10_000)?.ok_or("it has ended")?)
    }

    #[test]
    fn of_a_crowd_that_comes_and_goes_not_all_is_told() -> Result {
        let arrivals = Mutex::new(Pace::new(Some("1/h".parse()?)));
        let chat = Chat { arrivals, ..Chat::new(None) }.framed(Lines::new(LONGEST_LINE));
        let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), chat)?;
        let mut first = join(&server)?;
        let known = (0..4).map(|_| join(&server)).collect::<Result<Vec<_>>>()?;
        let quiet = (0..4).map(|_| join(&server)).collect::<Result<Vec<_>>>()?;
        for guest in 2..=5 {
            assert_eq!(hear(&mut first)?, format!("-- guest-{guest} has come in"));
        }
        // Whoever says something is known.
        let mut speaker = join(&server)?;
        speaker.write_all(b"here I am\n")?;
        assert_eq!(hear(&mut first)?, "<guest-10> here I am");
        drop(quiet);
        while server.handle().totals().closed < 4 {
            std::thread::yield_now();
        }
        drop(speaker);
        assert_eq!(hear(&mut first)?, "-- guest-10 has left");
        drop(known);
        let mut left = (0..4).map(|_| hear(&mut first)).collect::<Result<Vec<_>>>()?;
        left.sort_unstable();
        assert_eq!(left, [2, 3, 4, 5].map(|guest| format!("-- guest-{guest} has left")));
        server.stop()?;
        Ok(())
    }
}
